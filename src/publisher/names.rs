//! The further names of an account: more owners, and the aliases that stand for them.

use tracing::info;

use crate::model::account::{Account, AccountStatus, MAX_ALIASES, MAX_OWNERS, OwnAlias, Username};
use crate::model::enrolment::EnrolmentId;
use crate::model::name::{Alias, Owner, OwnerLabel, Subdomain, ZoneName};
use crate::store::StoreError;
use crate::store::writer::Tx;
use crate::zone::live::OwnerState;
use crate::zone::{is_static, zone_named, zone_of};

use super::{Decided, Inner, PublishError, Publisher, Result, Shown};

/// Labels that nobody may choose: programs look for them in every domain, and would trust what they find.
const RESERVED: [&str; 8] = ["autoconfig", "autodiscover", "imap", "isatap", "localhost", "mail", "mta-sts", "wpad"];

/// A subdomain that is asked for.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// The zone; the first one that is no challenge zone where none is named.
    pub zone: Option<ZoneName>,
    /// A label of choice; a random UUID where none is named.
    pub subdomain: Option<Subdomain>,
    /// The enrolment token that pays for it.
    pub enrolment: Option<EnrolmentId>,
}

/// Where an account is to publish.
#[derive(Debug, Clone)]
pub enum Place {
    /// At a subdomain.
    Subdomain(Choice),
    /// At the apex of a challenge zone. Whoever owns it gets certificates for the domain, so nobody but the operator
    /// decides that.
    Apex(ZoneName),
}

impl Place {
    /// What the operator asks for: a challenge zone is given as a whole.
    pub fn of_operator(choice: Choice) -> Self {
        match choice {
            Choice { zone: Some(zone), subdomain: None, .. } if zone.is_challenge() => Self::Apex(zone),
            choice => Self::Subdomain(choice),
        }
    }

    /// The enrolment token that pays for it.
    pub(super) fn enrolment(&self) -> Option<EnrolmentId> {
        match self {
            Self::Subdomain(choice) => choice.enrolment,
            Self::Apex(_) => None,
        }
    }
}

impl Publisher {
    /// Gives an active account another owner. The name exists in DNS from then on, without a value.
    pub async fn add_owner(&self, who: Username, place: Place) -> Result<Owner> {
        let inner = self.0.clone();
        let change = move |tx: &Tx<'_>| {
            let account = match active(tx, who)? {
                Ok(account) => account,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if account.given().len() >= MAX_OWNERS {
                return Ok(Err(PublishError::TooManyOwners));
            }
            let owner = match inner.free_owner(tx, &place)? {
                Ok(owner) => owner,
                Err(refusal) => return Ok(Err(refusal)),
            };
            tx.add_owner(&owner, who)?;
            tx.touch(&owner.zone);
            Ok(Ok((owner.clone(), vec![Shown::Owner(owner, Some(OwnerState::Empty))])))
        };
        let owner = self.change_account(who, change).await?;
        info!(username = %who, %owner, "name added");
        Ok(owner)
    }

    /// Takes an owner away from an account, with its values and the aliases that stand for it; and with an apex the
    /// labels of ACME accounts below it. An account keeps its last owner.
    pub async fn remove_owner(&self, who: Username, owner: Owner) -> Result<()> {
        let inner = self.0.clone();
        let gone = owner.clone();
        let change = move |tx: &Tx<'_>| {
            let Some(account) = tx.account(who)? else { return Ok(Err(PublishError::NoAccount)) };
            if !account.owners.contains(&gone) {
                return Ok(Err(PublishError::NotOwner));
            }
            let with_it = |owner: &&Owner| **owner == gone || owner.above().as_ref() == Some(&gone);
            let all: Vec<&Owner> = account.owners.iter().filter(with_it).collect();
            if all.len() == account.owners.len() {
                return Ok(Err(PublishError::LastOwner));
            }
            let mut shown = Vec::new();
            for owner in all {
                shown.extend(inner.give_up(tx, &account, owner)?);
                tx.remove_owner(owner)?;
            }
            Ok(Ok(((), shown)))
        };
        self.change_account(who, change).await?;
        info!(username = %who, %owner, "name removed");
        Ok(())
    }

    /// Has an alias stand for one of an active account's owners, in place of the one that it stood for so far.
    pub async fn add_alias(&self, who: Username, alias: Alias, owner: Owner) -> Result<()> {
        let inner = self.0.clone();
        let change = move |tx: &Tx<'_>| {
            let account = match active(tx, who)? {
                Ok(account) => account,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if !account.owners.contains(&owner) {
                return Ok(Err(PublishError::NotOwner));
            }
            if owner.above().is_some() {
                return Ok(Err(PublishError::PassingOwner(owner.clone())));
            }
            if zone_of(&inner.zones.load(), alias.name().as_ref()).is_some() {
                return Ok(Err(PublishError::AliasOfOurs(alias.clone())));
            }
            let is_new = account.owner_behind(&alias).is_none();
            if is_new && account.aliases.len() >= MAX_ALIASES {
                return Ok(Err(PublishError::TooManyAliases));
            }
            tx.put_alias(&alias, &owner)?;
            Ok(Ok(((), is_new.then(|| Shown::Alias(alias.clone())).into_iter().collect())))
        };
        self.change_account(who, change).await
    }

    /// Takes an alias away from an account; whether it had it.
    pub async fn remove_alias(&self, who: Username, alias: Alias) -> Result<bool> {
        let change = move |tx: &Tx<'_>| {
            let Some(account) = tx.account(who)? else { return Ok(Err(PublishError::NoAccount)) };
            tx.remove_alias(&alias, who)?;
            let had = account.owner_behind(&alias).is_some();
            Ok(Ok((had, had.then(|| Shown::NoAlias(alias.clone())).into_iter().collect())))
        };
        self.change_account(who, change).await
    }
}

fn active(tx: &Tx<'_>, who: Username) -> Decided<Account> {
    Ok(match tx.account(who)? {
        None => Err(PublishError::NoAccount),
        Some(account) if account.status != AccountStatus::Active => Err(PublishError::Disabled),
        Some(account) => Ok(account),
    })
}

impl Inner {
    /// The owner that is asked for, if it may be had.
    pub(super) fn free_owner(&self, tx: &Tx<'_>, place: &Place) -> Decided<Owner> {
        match place {
            Place::Subdomain(choice) => self.free_subdomain(tx, choice),
            Place::Apex(zone) => self.free_apex(tx, zone),
        }
    }

    fn free_subdomain(&self, tx: &Tx<'_>, choice: &Choice) -> Decided<Owner> {
        let zone = match self.zone_wanted(choice.zone.as_ref()) {
            Ok(zone) => zone,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let chosen = match self.label_wanted(tx, choice, &zone)? {
            Ok(chosen) => chosen,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(refusal) = chosen.as_ref().and_then(|chosen| self.refusal_of_choice(chosen, &zone)) {
            return Ok(Err(refusal));
        }
        let subdomain = chosen.unwrap_or_else(Subdomain::random);
        let owner = Owner::subdomain(zone, subdomain.clone());
        Ok(if Self::is_taken(tx, &owner)? { Err(PublishError::LabelTaken(subdomain)) } else { Ok(owner) })
    }

    /// Whether somebody has an owner, or has had it and may still be meant by a CNAME.
    pub(super) fn is_taken(tx: &Tx<'_>, owner: &Owner) -> std::result::Result<bool, StoreError> {
        Ok(tx.owner(owner)?.is_some() || tx.is_buried(owner)?)
    }

    fn zone_wanted(&self, wanted: Option<&ZoneName>) -> Result<ZoneName> {
        let zones = self.zones.load();
        match wanted {
            Some(name) if zone_named(&zones, name).is_none() => Err(PublishError::NoZone(name.clone())),
            Some(name) if name.is_challenge() => Err(PublishError::ChallengeZone(name.clone())),
            Some(name) => Ok(name.clone()),
            None => {
                let first = zones.iter().map(|zone| &zone.name).find(|name| !name.is_challenge());
                first.cloned().ok_or(PublishError::NoOrdinaryZone)
            }
        }
    }

    /// Why a label of choice may not be had, whoever has it.
    pub(super) fn refusal_of_choice(&self, chosen: &Subdomain, zone: &ZoneName) -> Option<PublishError> {
        let reserved = |why| Some(PublishError::LabelReserved(chosen.clone(), why));
        if chosen.is_uuid_shaped() {
            return reserved("labels in the form of a UUID are given, not chosen");
        }
        if RESERVED.contains(&chosen.as_str()) {
            return reserved("programs look for that name of their own accord");
        }
        let zones = self.zones.load();
        if zone_named(&zones, zone).is_some_and(|zone| is_static(zone, chosen.as_str())) {
            return reserved("the server's configuration has records there");
        }
        None
    }

    /// What DNS sees when an account gives up one of its owners. A label that was chosen leaves a tombstone: whoever
    /// still has a CNAME to it must not find a stranger behind it. Random ones are never given twice.
    pub(super) fn give_up(
        &self,
        tx: &Tx<'_>,
        account: &Account,
        owner: &Owner,
    ) -> std::result::Result<Vec<Shown>, StoreError> {
        let chosen = matches!(&owner.label, OwnerLabel::Subdomain(subdomain) if !subdomain.is_uuid_shaped());
        if chosen {
            tx.bury(owner, self.clock.now())?;
        }
        tx.touch(&owner.zone);
        let aliases = account.aliases.iter().filter(|own| own.owner == *owner);
        let aliases = aliases.map(|OwnAlias { alias, .. }| Shown::NoAlias(alias.clone()));
        Ok(aliases.chain([Shown::Owner(owner.clone(), None)]).collect())
    }
}
