//! The further names of an account: more owners, and the aliases that stand for them.

use tracing::info;

use crate::model::account::{Account, AccountStatus, MAX_ALIASES, MAX_OWNERS, OwnAlias, Username};
use crate::model::actor::Actor;
use crate::model::enrolment::EnrolmentId;
use crate::model::name::{Alias, Owner, OwnerLabel, Subdomain, ZoneName};
use crate::store::StoreError;
use crate::store::writer::Tx;
use crate::zone::change::{Action, Subject};
use crate::zone::owner_state::OwnerState;
use crate::zone::{is_static, zone_named, zone_of};

use super::{Abort, AccessError, AliasChangeError, Inner, OwnerError, Publisher};

/// Labels that nobody may choose: programs look them up in every domain, and would trust what they find.
const RESERVED: [&str; 8] = ["autoconfig", "autodiscover", "imap", "isatap", "localhost", "mail", "mta-sts", "wpad"];

/// A request for a subdomain.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// The zone; `None`: the first one that is not a challenge zone.
    pub zone: Option<ZoneName>,
    /// The chosen label; `None`: a random UUID.
    pub subdomain: Option<Subdomain>,
    /// The enrolment token that the request uses.
    pub enrolment: Option<EnrolmentId>,
}

/// A request for an owner.
#[derive(Debug, Clone)]
pub enum OwnerRequest {
    /// A subdomain.
    Subdomain(Choice),
    /// The apex of a challenge zone. Whoever owns it gets certificates for the domain, so only the operator gives it.
    Apex(ZoneName),
}

impl OwnerRequest {
    /// The operator's request: a challenge zone is given as a whole.
    pub fn of_operator(choice: Choice) -> Self {
        match choice {
            Choice { zone: Some(zone), subdomain: None, .. } if zone.is_challenge() => Self::Apex(zone),
            choice => Self::Subdomain(choice),
        }
    }

    /// The enrolment token that the request uses.
    pub(super) fn enrolment(&self) -> Option<EnrolmentId> {
        match self {
            Self::Subdomain(choice) => choice.enrolment,
            Self::Apex(_) => None,
        }
    }
}

impl Publisher {
    /// Gives an active account another owner. The name exists in DNS from then on, without a value.
    pub async fn add_owner(
        &self,
        actor: Actor,
        who: Username,
        request: OwnerRequest,
    ) -> Result<Owner, Abort<OwnerError>> {
        let inner = self.0.clone();
        let operation = move |tx: &Tx<'_>| {
            let account = active::<OwnerError>(tx, who)?;
            if account.given().len() >= MAX_OWNERS {
                return Err(OwnerError::TooMany.into());
            }
            let owner = inner.free_owner(tx, &request)?;
            tx.add_owner(&owner, who)?;
            tx.record_owner(Action::AddOwner, owner.clone(), Some(OwnerState::Empty))?;
            tx.record_account(Action::AddOwner, who, tx.account(who)?);
            Ok(owner)
        };
        let owner = self.write(actor, operation).await?;
        info!(username = %who, %owner, %actor, "name added");
        Ok(owner)
    }

    /// Removes an owner of an account, with its values and the aliases that stand for it; an apex takes with it the
    /// labels of ACME accounts below it. An account keeps its last owner.
    pub async fn remove_owner(&self, actor: Actor, who: Username, owner: Owner) -> Result<(), Abort<OwnerError>> {
        let gone = owner.clone();
        self.write(actor, move |tx| remove_owner(tx, who, &gone)).await?;
        info!(username = %who, %owner, %actor, "name removed");
        Ok(())
    }

    /// Lets an alias stand for one of an active account's owners, in place of the one that it stood for so far.
    pub async fn add_alias(
        &self,
        actor: Actor,
        who: Username,
        alias: Alias,
        owner: Owner,
    ) -> Result<(), Abort<AliasChangeError>> {
        let inner = self.0.clone();
        self.write(actor, move |tx| inner.add_alias(tx, who, &alias, &owner)).await
    }

    /// Removes an alias of an account; whether the account had it.
    pub async fn remove_alias(
        &self,
        actor: Actor,
        who: Username,
        alias: Alias,
    ) -> Result<bool, Abort<AliasChangeError>> {
        let operation = move |tx: &Tx<'_>| {
            let account = tx.account(who)?.ok_or(AccessError::NoAccount)?;
            if account.owner_behind(&alias).is_none() {
                return Ok(false);
            }
            tx.remove_alias(&alias, who)?;
            tx.record(Action::RemoveAlias, Subject::AliasRemoved(alias.clone()));
            tx.record_account(Action::RemoveAlias, who, tx.account(who)?);
            Ok(true)
        };
        self.write(actor, operation).await
    }
}

/// An account that is active in the transaction.
fn active<R>(tx: &Tx<'_>, who: Username) -> Result<Account, Abort<R>>
where
    R: std::error::Error + From<AccessError>,
{
    match tx.account(who)? {
        None => Err(Abort::Refused(AccessError::NoAccount.into())),
        Some(account) if account.status != AccountStatus::Active => Err(Abort::Refused(AccessError::Disabled.into())),
        Some(account) => Ok(account),
    }
}

fn remove_owner(tx: &Tx<'_>, who: Username, gone: &Owner) -> Result<(), Abort<OwnerError>> {
    let account = tx.account(who)?.ok_or(AccessError::NoAccount)?;
    if !account.owners.contains(gone) {
        return Err(AccessError::NotOwner.into());
    }
    let goes_too = |owner: &&Owner| *owner == gone || owner.above().as_ref() == Some(gone);
    let all: Vec<&Owner> = account.owners.iter().filter(goes_too).collect();
    if all.len() == account.owners.len() {
        return Err(OwnerError::Last.into());
    }
    for owner in all {
        give_up(tx, Action::RemoveOwner, &account, owner)?;
        tx.remove_owner(owner)?;
    }
    tx.record_account(Action::RemoveOwner, who, tx.account(who)?);
    Ok(())
}

/// Records that an account gives up one of its owners. A label that was chosen leaves a tombstone: a CNAME that still
/// leads to it must not find a stranger behind it. Random labels are never given twice.
pub(super) fn give_up(tx: &Tx<'_>, action: Action, account: &Account, owner: &Owner) -> Result<(), StoreError> {
    if is_chosen(owner) {
        tx.insert_tombstone(owner, tx.now().date)?;
    }
    for OwnAlias { alias, .. } in account.aliases.iter().filter(|own| own.owner == *owner) {
        tx.record(action, Subject::AliasRemoved(alias.clone()));
    }
    tx.record_owner(action, owner.clone(), None)
}

/// Whether somebody has chosen the label. Others are random, and never given twice.
pub(super) fn is_chosen(owner: &Owner) -> bool {
    matches!(&owner.label, OwnerLabel::Subdomain(subdomain) if !subdomain.is_uuid_shaped())
}

impl Inner {
    pub(super) fn add_alias(
        &self,
        tx: &Tx<'_>,
        who: Username,
        alias: &Alias,
        owner: &Owner,
    ) -> Result<(), Abort<AliasChangeError>> {
        let account = active::<AliasChangeError>(tx, who)?;
        if !account.owners.contains(owner) {
            return Err(AccessError::NotOwner.into());
        }
        if owner.above().is_some() {
            return Err(AliasChangeError::PassingOwner(owner.clone()).into());
        }
        if zone_of(&self.zones.load(), alias.name().as_ref()).is_some() {
            return Err(AliasChangeError::OwnZone(alias.clone()).into());
        }
        let is_new = account.owner_behind(alias).is_none();
        if is_new && account.aliases.len() >= MAX_ALIASES {
            return Err(AliasChangeError::TooMany.into());
        }
        tx.put_alias(alias, owner)?;
        if is_new {
            tx.record(Action::AddAlias, Subject::AliasAdded(alias.clone()));
        }
        tx.record_account(Action::AddAlias, who, tx.account(who)?);
        Ok(())
    }

    /// The owner that is requested, if it is free and may be given.
    pub(super) fn free_owner(&self, tx: &Tx<'_>, request: &OwnerRequest) -> Result<Owner, Abort<OwnerError>> {
        match request {
            OwnerRequest::Subdomain(choice) => self.free_subdomain(tx, choice),
            OwnerRequest::Apex(zone) => self.free_apex(tx, zone),
        }
    }

    fn free_subdomain(&self, tx: &Tx<'_>, choice: &Choice) -> Result<Owner, Abort<OwnerError>> {
        let zone = self.zone_wanted(choice.zone.as_ref())?;
        let chosen = self.label_wanted(tx, choice, &zone)?;
        if let Some(chosen) = &chosen {
            self.check_choice(chosen, &zone)?;
        }
        let subdomain = chosen.unwrap_or_else(Subdomain::random);
        let owner = Owner::subdomain(zone, subdomain.clone());
        if Self::is_taken(tx, &owner)? { Err(OwnerError::LabelTaken(subdomain).into()) } else { Ok(owner) }
    }

    /// Whether an account has an owner, or has had it, so that a CNAME may still lead to it.
    pub(super) fn is_taken(tx: &Tx<'_>, owner: &Owner) -> Result<bool, StoreError> {
        Ok(tx.owner(owner)?.is_some() || tx.has_tombstone(owner)?)
    }

    fn zone_wanted(&self, wanted: Option<&ZoneName>) -> Result<ZoneName, OwnerError> {
        let zones = self.zones.load();
        match wanted {
            Some(name) if zone_named(&zones, name).is_none() => Err(AccessError::NoZone(name.clone()).into()),
            Some(name) if name.is_challenge() => Err(OwnerError::ChallengeZone(name.clone())),
            Some(name) => Ok(name.clone()),
            None => {
                let first = zones.iter().map(|zone| &zone.name).find(|name| !name.is_challenge());
                first.cloned().ok_or(OwnerError::NoOrdinaryZone)
            }
        }
    }

    /// Whether a label may be chosen at all, whoever has it.
    pub(super) fn check_choice(&self, chosen: &Subdomain, zone: &ZoneName) -> Result<(), OwnerError> {
        let zones = self.zones.load();
        let why = if chosen.is_uuid_shaped() {
            "labels in the form of a UUID are given, not chosen"
        } else if RESERVED.contains(&chosen.as_str()) {
            "programs look for that name of their own accord"
        } else if zone_named(&zones, zone).is_some_and(|zone| is_static(zone, chosen.as_str())) {
            "the server's configuration has records there"
        } else {
            return Ok(());
        };
        Err(OwnerError::LabelReserved(chosen.clone(), why))
    }
}
