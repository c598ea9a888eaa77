//! Whether a zone of somebody else is signed so that validating resolvers believe it (RFC 4035 section 5).
//!
//! Looks at one zone at a time: the DS records that its parent has, its DNSKEY records, the signatures of an answer, and
//! [proofs](super::denial) that there is none.

use hickory_proto::dnssec::Verifier;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS, RRSIG};
use hickory_proto::rr::{self, DNSClass, RData, Record, RecordType, SerialNumber};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable};
use thiserror::Error;

use crate::model::name::Name;
use crate::model::text::listed;
use crate::model::time::Timestamp;
use crate::net::dns_client::DnsReply;

use super::denial::{self, Denial};
use super::iterative::{IterativeError, IterativeResolver, ZoneCut};

/// The most keys, and the most signatures of one record set, that are tried: each costs a verification.
const MAX_TRIED: usize = 8;

/// Why validating resolvers refuse a zone, or an answer from it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureFault {
    /// The zone has no DNSKEY records.
    #[error("the parent has DS records ({ds}), and {zone} has no DNSKEY records")]
    NoKeys { zone: Name, ds: String },
    /// No key is one of those in the DS records.
    #[error("the parent's DS records are of the keys {ds}, and the keys of {zone} are {keys}")]
    OtherKeys { zone: Name, ds: String, keys: String },
    /// The record set has no signature.
    #[error("{rtype} of {name} has no signature")]
    Unsigned { name: Name, rtype: RecordType },
    /// The signature is too old.
    #[error("the signature of {rtype} of {name} expired at {at}")]
    Expired { name: Name, rtype: RecordType, at: Timestamp },
    /// The signature is of the future.
    #[error("the signature of {rtype} of {name} is valid from {at} on")]
    NotYet { name: Name, rtype: RecordType, at: Timestamp },
    /// The signature is of another key, or of other records.
    #[error("the signature of {rtype} of {name} is wrong")]
    Wrong { name: Name, rtype: RecordType },
    /// No NSEC or NSEC3 record says that the record set is not there.
    #[error("no NSEC or NSEC3 record proves that {name} has no {rtype}")]
    Unproven { name: Name, rtype: RecordType },
    /// The answer is that of a wildcard, and no NSEC or NSEC3 record says that the name itself does not exist.
    #[error("a wildcard answers {rtype} of {name}, and no NSEC or NSEC3 record proves that the name does not exist")]
    UnprovenWildcard { name: Name, rtype: RecordType },
}

/// The keys of a zone that its parent vouches for, or that these keys vouch for.
#[derive(Debug, Clone)]
pub struct ZoneKeys {
    zone: Name,
    keys: Vec<DNSKEY>,
}

/// What the parent says of the keys of a zone.
#[derive(Debug)]
pub enum ZoneSecurity {
    /// Nothing that resolvers could check.
    Unsigned,
    /// These keys sign the zone.
    Signed(ZoneKeys),
    /// Validating resolvers refuse the whole zone.
    Broken(SignatureFault),
}

impl IterativeResolver {
    /// Checks the keys of a zone. Fails where the parent or the zone gives no answer.
    pub async fn zone_security(&self, zone: &ZoneCut, now: Timestamp) -> Result<ZoneSecurity, IterativeError> {
        let apex = &zone.apex;
        let parents = self.resolve(apex, RecordType::DS).await?.reply;
        let ds: Vec<DS> = ds_records(&parents).into_iter().filter(is_known).collect();
        if ds.is_empty() {
            return Ok(ZoneSecurity::Unsigned);
        }
        let reply = self.resolve(apex, RecordType::DNSKEY).await?.reply;
        Ok(match ZoneKeys::named_by(&ds, apex, &reply, now) {
            Ok(keys) => ZoneSecurity::Signed(keys),
            Err(fault) => ZoneSecurity::Broken(fault),
        })
    }
}

/// Whether validators know the algorithms of a DS record. They ignore the others (RFC 4035 section 5.2).
pub fn is_known(ds: &DS) -> bool {
    ds.algorithm().is_supported() && ds.digest_type().is_supported()
}

/// The DS records in an answer.
pub fn ds_records(reply: &DnsReply) -> Vec<DS> {
    reply.answers().iter().filter_map(ds_of).collect()
}

/// The keys of a zone in an answer.
pub fn dnskeys(reply: &DnsReply) -> Vec<DNSKEY> {
    reply.answers().iter().filter_map(key_of).filter(DNSKEY::zone_key).collect()
}

/// The DS record that this is.
pub fn ds_of(record: &Record) -> Option<DS> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::DS(ds)) => Some(ds.clone()),
        _ => None,
    }
}

fn key_of(record: &Record) -> Option<DNSKEY> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::DNSKEY(key)) => Some(key.clone()),
        _ => None,
    }
}

fn signature_of(record: &Record) -> Option<&RRSIG> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) => Some(signature),
        _ => None,
    }
}

/// A name as the library writes it.
fn written(name: &Name) -> rr::Name {
    // invariant: the library takes every name of ours
    rr::Name::from_bytes(name.as_wire()).unwrap_or_default()
}

fn tag(key: &DNSKEY) -> String {
    key.calculate_key_tag().map_or_else(|_| "?".to_owned(), |tag| tag.to_string())
}

impl ZoneKeys {
    /// The keys of the zone `apex` in an answer, if one of those in its DS records signs them.
    pub fn named_by(ds: &[DS], apex: &Name, reply: &DnsReply, now: Timestamp) -> Result<Self, SignatureFault> {
        let keys = dnskeys(reply);
        let tags = listed(ds.iter().map(DS::key_tag));
        if keys.is_empty() {
            return Err(SignatureFault::NoKeys { zone: apex.clone(), ds: tags });
        }
        let owner = reply.answers().first().map(|record| record.name.clone()).unwrap_or_default();
        let is_vouched_for = |key: &&DNSKEY| ds.iter().any(|ds| ds.covers(&owner, key).unwrap_or(false));
        let vouched_for: Vec<DNSKEY> = keys.iter().filter(is_vouched_for).cloned().collect();
        if vouched_for.is_empty() {
            return Err(SignatureFault::OtherKeys { zone: apex.clone(), ds: tags, keys: listed(keys.iter().map(tag)) });
        }
        let entry = Self { zone: apex.clone(), keys: vouched_for };
        entry.check_set(apex, RecordType::DNSKEY, reply.answers(), now)?;
        Ok(Self { zone: apex.clone(), keys })
    }

    /// The keys in an answer, without a parent that vouches for them; `None` if there are none.
    pub fn trusted(zone: &Name, reply: &DnsReply) -> Option<Self> {
        let keys = dnskeys(reply);
        (!keys.is_empty()).then(|| Self { zone: zone.clone(), keys })
    }

    /// The zone.
    pub fn zone(&self) -> &Name {
        &self.zone
    }

    /// Checks the signatures of an answer about the records of a type at a name: those of the records there, or of a CNAME
    /// in their place, or of what says that there are none. The answer of a wildcard takes the proof that no closer name
    /// exists (RFC 4035 section 5.3.4, RFC 5155 section 8.8).
    pub fn check(
        &self,
        name: &Name,
        rtype: RecordType,
        reply: &DnsReply,
        now: Timestamp,
    ) -> Result<(), SignatureFault> {
        let asked = written(name);
        // Behind a CNAME there may be records of another zone.
        let own: Vec<Record> = reply.answers().iter().filter(|record| record.name == asked).cloned().collect();
        let is_there = |rtype: &RecordType| own.iter().any(|record| record.record_type() == *rtype);
        let mut types = [RecordType::CNAME, rtype].into_iter().filter(is_there).peekable();
        if types.peek().is_none() {
            return self.check_denial(name, rtype, reply, now);
        }
        types.try_for_each(|rtype| {
            let Some(signature) = self.good_signature(name, rtype, &own, now)? else { return Ok(()) };
            let labels = signature.input().num_labels;
            if labels >= asked.num_labels() {
                return Ok(());
            }
            let proofs = self.checked_proofs(reply.authorities(), now)?;
            match denial::proves_expansion(&written(&self.zone), &asked, labels, &proofs) {
                true => Ok(()),
                false => Err(SignatureFault::UnprovenWildcard { name: name.clone(), rtype }),
            }
        })
    }

    /// Checks that the zone itself says that a name has no records of a type.
    fn check_denial(
        &self,
        name: &Name,
        rtype: RecordType,
        reply: &DnsReply,
        now: Timestamp,
    ) -> Result<(), SignatureFault> {
        let said = reply.authorities();
        self.check_set(&self.zone, RecordType::SOA, said, now)?;
        let checked = self.checked_proofs(said, now)?;
        let (zone, asked) = (written(&self.zone), written(name));
        let denial = Denial { zone: &zone, name: &asked, rtype, is_name_error: reply.is_name_error() };
        match denial.is_proven_by(&checked) {
            true => Ok(()),
            false => Err(SignatureFault::Unproven { name: name.clone(), rtype }),
        }
    }

    /// The NSEC and NSEC3 records of an answer, whose signatures are good.
    fn checked_proofs(&self, said: &[Record], now: Timestamp) -> Result<Vec<Record>, SignatureFault> {
        let mut checked = Vec::new();
        for (owner, records) in denial::proofs(said).into_iter().take(MAX_TRIED) {
            let owner = owner.to_bytes().ok().and_then(|wire| Name::from_wire(&wire).ok());
            let owner = owner.unwrap_or_else(|| self.zone.clone());
            for proof in [RecordType::NSEC, RecordType::NSEC3] {
                self.check_set(&owner, proof, &records, now)?;
            }
            checked.extend(records);
        }
        Ok(checked)
    }

    /// Checks that one of a record set's signatures is good. Otherwise the error says what is wrong with the best one.
    pub fn check_set(
        &self,
        name: &Name,
        rtype: RecordType,
        records: &[Record],
        now: Timestamp,
    ) -> Result<(), SignatureFault> {
        self.good_signature(name, rtype, records, now).map(|_| ())
    }

    /// The signature of a record set that is good; `None` where there are no such records.
    fn good_signature<'r>(
        &self,
        name: &Name,
        rtype: RecordType,
        records: &'r [Record],
        now: Timestamp,
    ) -> Result<Option<&'r RRSIG>, SignatureFault> {
        let Some(owner) = records.iter().find(|record| record.record_type() == rtype).map(|record| &record.name) else {
            return Ok(None);
        };
        let at_owner = records.iter().filter(|record| record.name == *owner);
        let signatures = at_owner.filter_map(signature_of).filter(|one| one.input().type_covered == rtype);
        let mut fault = SignatureFault::Unsigned { name: name.clone(), rtype };
        for signature in signatures.take(MAX_TRIED) {
            if !self.has_made(signature, owner, records) {
                fault = SignatureFault::Wrong { name: name.clone(), rtype };
                continue;
            }
            match untimely(signature, name, rtype, now) {
                None => return Ok(Some(signature)),
                Some(untimely) => fault = untimely,
            }
        }
        Err(fault)
    }

    /// Whether one of the keys has made a signature of these records.
    fn has_made(&self, signature: &RRSIG, owner: &hickory_proto::rr::Name, records: &[Record]) -> bool {
        let mut fitting = self.keys.iter().filter(|key| is_named_by(key, signature)).take(MAX_TRIED);
        fitting.any(|key| key.verify_rrsig(owner, DNSClass::IN, signature, records.iter()).is_ok())
    }
}

/// Whether a signature says that it was made with a key.
fn is_named_by(key: &DNSKEY, signature: &RRSIG) -> bool {
    let input = signature.input();
    key.algorithm() == input.algorithm
        && input.algorithm.is_supported()
        && key.calculate_key_tag().is_ok_and(|tag| tag == input.key_tag)
}

/// What is wrong with the times of a signature.
fn untimely(signature: &RRSIG, name: &Name, rtype: RecordType, now: Timestamp) -> Option<SignatureFault> {
    let date = SerialNumber::new(now.low_32_bits());
    let (from, to) = (signature.input().sig_inception, signature.input().sig_expiration);
    let name = name.clone();
    if date > to {
        return Some(SignatureFault::Expired { name, rtype, at: Timestamp::from_unix(to.get().into()) });
    }
    (date < from).then(|| SignatureFault::NotYet { name, rtype, at: Timestamp::from_unix(from.get().into()) })
}
