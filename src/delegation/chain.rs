//! The chain of trust from the root to a zone, as a validating resolver follows it (RFC 4035 section 5).
//!
//! The keys that the root tells are taken for the root's: who could forge them could forge every other answer on the way
//! as well, and this is a check of a set-up, not a defence. Denials are not verified: a DS record that a parent denies is
//! missing for a validator, too.

use std::sync::Arc;

use hickory_proto::dnssec::rdata::{DNSKEY, DS};
use hickory_proto::rr::{self, RecordType};
use hickory_proto::serialize::binary::BinDecodable;

use crate::model::name::Name;
use crate::model::time::{PreciseTimestamp, Timestamp};
use crate::net::dns_client::DnsReply;

use super::iterative::{IterativeError, IterativeResolver, ZoneCut};
use super::signatures::{SignatureFault, ZoneKeys, ZoneSecurity, ds_records};

/// Whether a validating resolver accepts the answers of a zone.
#[derive(Debug, Clone)]
pub enum Chain {
    /// A zone on the way is not signed, or has no DS record in its parent, or only such as no validator knows. Nothing
    /// below is validated. The zone is the first one that is insecure.
    Insecure(Name),
    /// Every link holds, and these are the keys of the zone.
    Secure(ZoneKeys),
    /// A validating resolver answers SERVFAIL to every question for a name in this zone.
    Broken {
        /// The zone whose keys or signatures are wrong.
        zone: Name,
        /// What is wrong.
        fault: SignatureFault,
    },
    /// Nobody answers for the keys of this zone.
    Unknown {
        /// The zone.
        zone: Name,
        /// Why there is no answer.
        problem: String,
    },
}

impl Chain {
    /// Follows the chain to `zone`.
    pub async fn follow(resolver: &IterativeResolver, zone: &Arc<ZoneCut>) -> Self {
        let now = PreciseTimestamp::now().seconds();
        match secure_keys(resolver, zone, now).await {
            Ok(keys) => Self::Secure(keys),
            Err(end) => end,
        }
    }

    /// The chain, broken if the keys at its end have not signed the DS records of a zone below in this reply.
    pub fn to_ds(self, below: &Name, reply: &DnsReply) -> Self {
        let Self::Secure(keys) = &self else { return self };
        let now = PreciseTimestamp::now().seconds();
        match keys.check_set(below, RecordType::DS, reply.answers(), now) {
            Ok(()) => self,
            Err(fault) => Self::Broken { zone: keys.zone().clone(), fault },
        }
    }
}

/// The keys of a zone at the end of a chain that holds; otherwise where it ends.
async fn secure_keys(resolver: &IterativeResolver, zone: &Arc<ZoneCut>, now: Timestamp) -> Result<ZoneKeys, Chain> {
    let root = Name::root();
    let reply = resolver.resolve(&root, RecordType::DNSKEY).await.map_err(|error| unknown(&root, &error))?.reply;
    let mut keys = ZoneKeys::trusted(&root, &reply).ok_or_else(|| Chain::Insecure(root.clone()))?;
    keys.check_set(&root, RecordType::DNSKEY, reply.answers(), now).map_err(|fault| broken(&root, fault))?;
    for cut in zone.ancestry().into_iter().rev() {
        keys = keys_below(resolver, &keys, &cut, now).await?;
    }
    Ok(keys)
}

/// The keys of a zone, by the keys of the zone above it.
async fn keys_below(
    resolver: &IterativeResolver,
    above: &ZoneKeys,
    cut: &ZoneCut,
    now: Timestamp,
) -> Result<ZoneKeys, Chain> {
    let apex = &cut.apex;
    let ds = resolver.resolve(apex, RecordType::DS).await.map_err(|error| unknown(apex, &error))?.reply;
    if ds_records(&ds).is_empty() {
        return Err(Chain::Insecure(apex.clone()));
    }
    above.check_set(apex, RecordType::DS, ds.answers(), now).map_err(|fault| broken(above.zone(), fault))?;
    match resolver.zone_security(cut, now).await.map_err(|error| unknown(apex, &error))? {
        ZoneSecurity::Unsigned => Err(Chain::Insecure(apex.clone())),
        ZoneSecurity::Broken(fault) => Err(broken(apex, fault)),
        ZoneSecurity::Signed(keys) => Ok(keys),
    }
}

fn broken(zone: &Name, fault: SignatureFault) -> Chain {
    Chain::Broken { zone: zone.clone(), fault }
}

fn unknown(zone: &Name, error: &IterativeError) -> Chain {
    Chain::Unknown { zone: zone.clone(), problem: error.to_string() }
}

/// Whether one of the DS records names one of the keys.
pub fn is_one_named(zone: &Name, ds: &[DS], keys: &[DNSKEY]) -> bool {
    // invariant: the library takes every name of ours
    let Ok(zone) = rr::Name::from_bytes(zone.as_wire()) else { return false };
    ds.iter().any(|ds| keys.iter().any(|key| ds.covers(&zone, key).unwrap_or(false)))
}
