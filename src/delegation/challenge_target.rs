//! Where the names of a certificate are proven: whether what a CA looks at leads to an owner of ours, or says in somebody
//! else's zone what it must.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tracing::warn;

use crate::config::{self, Method};
use crate::model::actor::Actor;
use crate::model::identifier::Identifier;
use crate::model::name::owner::AcmeAccountLabel;
use crate::model::name::{CHALLENGE_LABEL, Name, Owner, PERSIST_LABEL, ZoneName};
use crate::net::dns_client::DnsClient;
use crate::publisher::{Abort, PersistError, Publisher};
use crate::zone::zone_of;
use crate::zone::zonefile::cname_target;

use super::persist::{Grantee, Seen, Sought, quoted};
use crate::acme::authority::Authority;
use crate::acme::error::{AcmeError, Result};

/// A name, and where it is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What the certificate is for.
    pub name: Identifier,
    /// The name at which the CA looks.
    pub looked_at: Name,
    /// The owner at which that is published: that name itself, or where its CNAME leads. `None` where a persistent
    /// authorization has to stand in somebody else's zone.
    pub owner: Option<Owner>,
}

/// A record that somebody must add to their zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The name, below which nothing else is needed.
    pub name: String,
    /// Where its CNAME must lead, or may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The TXT record that may stand there itself instead, as zone files write its data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txt: Option<String>,
    /// What is there instead.
    pub found: String,
}

impl Missing {
    /// The record, or each of those of which one is enough.
    pub fn records(&self) -> impl Iterator<Item = String> {
        let cname = self.target.iter().map(|target| format!("{}. CNAME {target}.", self.name));
        cname.chain(self.txt.iter().map(|txt| format!("{}. TXT {txt}", self.name)))
    }
}

/// What a CA looks for, and so where.
#[derive(Debug, Clone)]
pub enum Proof {
    /// A challenge's value, at `_acme-challenge`.
    Challenge,
    /// The same below it, at the label of our account.
    AcmeAccount(AcmeAccountLabel),
    /// A persistent authorization, at `_validation-persist`.
    Persistent(Grantee),
}

impl Proof {
    /// What it looks for by the method that is set. Asks the CA only where that depends on the account there.
    pub async fn of(settings: &config::Acme, authority: &Authority) -> Result<Self> {
        if settings.challenge == Method::Dns01 {
            return Ok(Self::Challenge);
        }
        let account = authority.account().await?;
        if settings.challenge == Method::DnsAccount01 {
            return Ok(Self::AcmeAccount(AcmeAccountLabel::of(account.url())));
        }
        Ok(Self::Persistent(Grantee::new(&account, settings.persist_lifetime)))
    }

    fn looked_at(&self, base: &Name) -> Result<Name> {
        let name = match self {
            Self::Challenge => base.child(CHALLENGE_LABEL),
            Self::AcmeAccount(label) => base.child(CHALLENGE_LABEL).and_then(|above| above.child(label.as_str())),
            Self::Persistent(_) => base.child(PERSIST_LABEL),
        };
        name.map_err(|error| AcmeError::Setup(format!("{base}: {error}")))
    }

    fn is_persistent(&self) -> bool {
        matches!(self, Self::Persistent(_))
    }

    fn fits(&self, owner: &Owner) -> bool {
        !self.is_persistent() || owner.may_persist()
    }
}

/// What it takes to find out.
#[derive(Debug, Clone)]
pub struct Search {
    /// The write road, which makes labels.
    pub publisher: Publisher,
    /// Who looks at the zones of others.
    pub lookup: DnsClient,
    /// What the CA looks for.
    pub proof: Proof,
    /// Where names led when the last certificate was got. One that cannot be looked up is taken to lead there still.
    pub before: Proven,
}

/// The name at which a CA looks, and the owner there; `None` where the record stands in somebody else's zone.
type Found = (Name, Option<Owner>);

/// Where names at which a CA has looked led: to owners of ours, or to themselves where the record stands in somebody
/// else's zone.
pub type Proven = BTreeMap<String, String>;

/// Where these names lead.
pub fn proven(placed: &[Placed]) -> Proven {
    let led = |placed: &Placed| placed.owner.as_ref().map_or(placed.looked_at.to_string(), ToString::to_string);
    placed.iter().map(|placed| (placed.looked_at.to_string(), led(placed))).collect()
}

impl Search {
    /// The place of each name; an error lists every record that is missing.
    pub async fn place(&self, names: &[Identifier]) -> Result<Vec<Placed>> {
        let (search, mut asking) = (Arc::new(self.clone()), JoinSet::new());
        let mut bases: Vec<&Name> = names.iter().map(Identifier::base).collect();
        bases.sort_unstable();
        bases.dedup();
        for base in bases {
            let is_wildcard = names.iter().any(|name| name.base() == base && name.is_wildcard());
            let (search, base) = (search.clone(), base.clone());
            asking.spawn(async move { (search.locate(&base, is_wildcard).await, base) });
        }
        let (mut found, mut missing): (Vec<(Name, Found)>, Vec<Missing>) = Default::default();
        while let Some(done) = asking.join_next().await {
            let (located, base) = done.map_err(|error| AcmeError::Setup(error.to_string()))?;
            match located? {
                Ok(place) => found.push((base, place)),
                Err(record) => missing.push(record),
            }
        }
        if !missing.is_empty() {
            missing.sort_unstable_by(|one, other| one.name.cmp(&other.name));
            return Err(if self.proof.is_persistent() {
                AcmeError::NotAuthorized(missing)
            } else {
                AcmeError::NotDelegated(missing)
            });
        }
        let place =
            |name: &Identifier| found.iter().find(|(base, _)| base == name.base()).map(|(_, place)| place.clone());
        let placed = names.iter().filter_map(|name| {
            let (looked_at, owner) = place(name)?;
            Some(Placed { name: name.clone(), looked_at, owner })
        });
        Ok(placed.collect())
    }

    async fn locate(&self, base: &Name, is_wildcard: bool) -> Result<std::result::Result<Found, Missing>> {
        let looked_at = self.proof.looked_at(base)?;
        if let Some(owner) = self.own(base, &looked_at).await? {
            return self.at(looked_at, owner);
        }
        let found = match self.lookup.cname_chain(&looked_at, |target| self.is_last(target)).await {
            Ok(chain) => match self.ours(&chain).await {
                Some(owner) => return self.at(looked_at, owner),
                None => chain.last().map_or_else(|| "it is no CNAME".into(), |last| format!("it leads to {last}")),
            },
            Err(error) if error.is_negative() => error.to_string(),
            Err(error) => match self.as_before(&looked_at).await {
                Some(before) => {
                    warn!("it is not seen whether {looked_at} still leads where it did: {error}");
                    return before.map_or(Ok(Ok((looked_at.clone(), None))), |owner| self.at(looked_at, owner));
                }
                None => error.to_string(),
            },
        };
        match &self.proof {
            Proof::Challenge | Proof::AcmeAccount(_) => {
                let target = Some(self.publisher.managed_owner(Actor::CERTIFICATES, base.clone()).await?.to_string());
                Ok(Err(Missing { name: looked_at.to_string(), target, txt: None, found }))
            }
            // Without the CA's name nothing can be said of a record; its challenges will tell that.
            Proof::Persistent(grantee) if !grantee.knows_issuers() => Ok(Ok((looked_at, None))),
            Proof::Persistent(grantee) => {
                let trusting = self.before.contains_key(&looked_at.to_string());
                let sought = Sought { base, looked_at: &looked_at, is_wildcard, trusting };
                let seen = theirs(&self.publisher, &self.lookup, grantee, sought).await?;
                Ok(seen.map(|_| (looked_at, None)))
            }
        }
    }

    fn at(&self, looked_at: Name, owner: Owner) -> Result<std::result::Result<Found, Missing>> {
        let is_off = self.proof.is_persistent() && !self.publisher.persists();
        if is_off { Err(Abort::Refused(PersistError::Off).into()) } else { Ok(Ok((looked_at, Some(owner)))) }
    }

    /// The owner of a name in a zone of ours, which needs no CNAME.
    async fn own(&self, base: &Name, looked_at: &Name) -> Result<Option<Owner>> {
        let Some(zone) = zone_at(&self.publisher, looked_at) else { return Ok(None) };
        let owner = Owner::at(looked_at, &zone);
        if zone.apex() == base {
            // What the configuration has there is served in place of anything else.
            return Ok(owner.filter(|_| !self.is_written(looked_at)));
        }
        // A zone `_acme-challenge.example.com`: NS records lead here.
        let is_owned = zone.is_challenge() && is_stored(&self.publisher, &Owner::apex(zone.clone())).await;
        owner.filter(|_| is_owned).map(Some).ok_or_else(|| unprovable(base, &zone))
    }

    fn is_written(&self, name: &Name) -> bool {
        let zones = self.publisher.zones().load();
        zone_of(&zones, name.as_ref()).is_some_and(|zone| zone.statics.at(name.as_ref()).is_some())
    }

    /// Whether no CNAME leads on from a name, as the configuration says that of a name in a zone of ours.
    fn is_last(&self, name: &Name) -> bool {
        let zones = self.publisher.zones().load();
        let sets = zone_of(&zones, name.as_ref()).map(|zone| zone.statics.at(name.as_ref()));
        sets.is_some_and(|sets| sets.and_then(cname_target).is_none())
    }

    /// The first owner in a chain of CNAMEs at which can be published.
    async fn ours(&self, chain: &[Name]) -> Option<Owner> {
        for name in chain {
            let Some(owner) = owner_at(&self.publisher, name) else { continue };
            if self.proof.fits(&owner) && (owner.is_daemons() || is_stored(&self.publisher, &owner).await) {
                return Some(owner);
            }
        }
        None
    }

    /// The owner to which a name led before; `Some(None)` where the record stood in somebody else's zone.
    async fn as_before(&self, looked_at: &Name) -> Option<Option<Owner>> {
        let target: Name = self.before.get(&looked_at.to_string())?.parse().ok()?;
        let owner = self.ours(std::slice::from_ref(&target)).await;
        let is_theirs = self.proof.is_persistent() && target == *looked_at;
        (owner.is_some() || is_theirs).then_some(owner)
    }
}

/// The persistent authorization in somebody else's zone, or the records of which one is missing.
pub async fn theirs(
    publisher: &Publisher,
    lookup: &DnsClient,
    grantee: &Grantee,
    of: Sought<'_>,
) -> Result<std::result::Result<String, Missing>> {
    let wanted = grantee.value(of.base, of.is_wildcard, publisher.now())?.to_string();
    let found = match grantee.look(lookup, of, publisher.now()).await {
        Seen::Granted(value) => return Ok(Ok(value.to_string())),
        Seen::Nothing(error) if of.trusting => {
            warn!("it is not seen what {} says, and left to the CA: {error}", of.looked_at);
            return Ok(Ok(wanted));
        }
        Seen::Nothing(error) => error.to_string(),
        Seen::Missing(found) => found,
    };
    // What the configuration has in a zone of ours stays there.
    let may_lead_here = publisher.persists() && zone_at(publisher, of.looked_at).is_none();
    let target = if may_lead_here {
        Some(publisher.managed_owner(Actor::CERTIFICATES, of.base.clone()).await?.to_string())
    } else {
        None
    };
    Ok(Err(Missing { name: of.looked_at.to_string(), target, txt: Some(quoted(&wanted)), found }))
}

fn unprovable(base: &Name, zone: &ZoneName) -> AcmeError {
    let what = if zone.is_challenge() {
        format!("nobody owns {zone}; run `txtgate account create DOMAIN --zone {zone}` first")
    } else {
        format!("it lies in this server's zone {zone}; ask for {zone} and *.{zone}, which cover it")
    };
    AcmeError::Unprovable { name: base.clone(), what }
}

/// The owner that a name would be.
pub fn owner_at(publisher: &Publisher, name: &Name) -> Option<Owner> {
    Owner::at(name, &zone_at(publisher, name)?)
}

/// The zone of ours that a name lies in.
fn zone_at(publisher: &Publisher, name: &Name) -> Option<ZoneName> {
    zone_of(&publisher.zones().load(), name.as_ref()).map(|zone| zone.name.clone())
}

/// Whether there is one that can be published at.
async fn is_stored(publisher: &Publisher, owner: &Owner) -> bool {
    let wanted = owner.clone();
    match publisher.read(move |rows| rows.owner(&wanted)).await {
        Ok(row) => row.is_some_and(|row| row.is_served()),
        Err(error) => {
            warn!(%owner, "cannot be read: {error}");
            false
        }
    }
}
