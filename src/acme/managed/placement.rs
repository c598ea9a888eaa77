//! Where the names of a certificate are proven: whether `_acme-challenge` of each leads to an owner of ours.

use serde::Serialize;
use tokio::task::JoinSet;
use tracing::warn;

use crate::identifier::Identifier;
use crate::lookup::Lookup;
use crate::name::{CHALLENGE_LABEL, Name, Owner, OwnerLabel, ZoneName};
use crate::publisher::{PublishError, Publisher};
use crate::zone::zone_of;

use super::super::account::blocking;
use super::super::error::{AcmeError, Result};
use super::super::issue::Placed;

/// A record that somebody must add to their zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The name, below which nothing else is needed.
    pub name: String,
    /// Where its CNAME must lead.
    pub target: String,
    /// What is there instead.
    pub found: String,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}. CNAME {}.", self.name, self.target)
    }
}

/// The owner of each name; an error lists every record that is missing. With `trusting`, a name that cannot be looked
/// up is taken to lead where it led before: it did when the last certificate was got.
pub async fn place(
    publisher: &Publisher,
    lookup: &Lookup,
    names: &[Identifier],
    trusting: bool,
) -> Result<Vec<Placed>> {
    let mut asking = JoinSet::new();
    let mut bases: Vec<&Name> = names.iter().map(Identifier::base).collect();
    bases.sort_unstable();
    bases.dedup();
    for base in bases {
        let (publisher, lookup, base) = (publisher.clone(), lookup.clone(), base.clone());
        asking.spawn(async move { (locate(&publisher, &lookup, &base, trusting).await, base) });
    }
    let (mut found, mut missing): (Vec<(Name, Owner)>, Vec<Missing>) = Default::default();
    while let Some(done) = asking.join_next().await {
        let (located, base) = done.map_err(|error| AcmeError::Setup(error.to_string()))?;
        match located? {
            Ok(owner) => found.push((base, owner)),
            Err(record) => missing.push(record),
        }
    }
    if !missing.is_empty() {
        missing.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        return Err(AcmeError::NotDelegated(missing));
    }
    let owner = |name: &Identifier| found.iter().find(|(base, _)| base == name.base()).map(|(_, owner)| owner.clone());
    Ok(names.iter().filter_map(|name| Some(Placed { name: name.clone(), owner: owner(name)? })).collect())
}

async fn locate(
    publisher: &Publisher,
    lookup: &Lookup,
    base: &Name,
    trusting: bool,
) -> Result<std::result::Result<Owner, Missing>> {
    let challenge = base.child(CHALLENGE_LABEL).map_err(|error| AcmeError::Setup(format!("{base}: {error}")))?;
    if let Some(owner) = own(publisher, base, &challenge).await? {
        return Ok(Ok(owner));
    }
    let found = match lookup.cname_chain(&challenge).await {
        Ok(chain) => {
            for owner in chain.iter().filter_map(|name| owner_at(publisher, name)) {
                if owner.label == OwnerLabel::Challenge || is_stored(publisher, &owner).await {
                    return Ok(Ok(owner));
                }
            }
            chain.last().map_or_else(|| "it is no CNAME".into(), |last| format!("it leads to {last}"))
        }
        Err(error) if !error.is_negative() && trusting => {
            warn!("it is not seen whether {challenge} still leads here: {error}");
            return Ok(Ok(publisher.managed_owner(base.clone()).await?));
        }
        Err(error) => error.to_string(),
    };
    let target = publisher.managed_owner(base.clone()).await?.to_string();
    Ok(Err(Missing { name: challenge.to_string(), target, found }))
}

/// The owner of a name in a zone of ours, which needs no CNAME.
async fn own(publisher: &Publisher, base: &Name, challenge: &Name) -> Result<Option<Owner>> {
    let zone = zone_of(&publisher.zones().load(), challenge.as_ref()).map(|zone| zone.name.clone());
    let Some(zone) = zone else { return Ok(None) };
    if zone.apex() == base {
        return Ok(Some(Owner { zone, label: OwnerLabel::Challenge }));
    }
    // A zone `_acme-challenge.example.com`: NS records lead here.
    let apex = Owner::apex(zone.clone());
    if zone.apex() == challenge && is_stored(publisher, &apex).await {
        return Ok(Some(apex));
    }
    Err(unprovable(base, &zone, challenge))
}

fn unprovable(base: &Name, zone: &ZoneName, challenge: &Name) -> AcmeError {
    let what = if zone.apex() == challenge {
        format!("nobody owns {zone}; run `txtgate account create DOMAIN --zone {zone}` first")
    } else {
        format!("it lies in this server's zone {zone}; ask for {zone} and *.{zone}, which cover it")
    };
    AcmeError::Unprovable { name: base.clone(), what }
}

/// The owner that this name would be.
fn owner_at(publisher: &Publisher, name: &Name) -> Option<Owner> {
    let zones = publisher.zones().load();
    Owner::at(name, &zone_of(&zones, name.as_ref())?.name)
}

/// Whether there is one that can be published at.
async fn is_stored(publisher: &Publisher, owner: &Owner) -> bool {
    let (publisher, wanted) = (publisher.clone(), owner.clone());
    let read = blocking(move || Ok(publisher.store().read(|rows| rows.owner(&wanted)).map_err(PublishError::from)?));
    match read.await {
        Ok(row) => row.is_some_and(|row| row.is_served()),
        Err(error) => {
            warn!(%owner, "cannot be read: {error}");
            false
        }
    }
}
