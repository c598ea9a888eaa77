//! Signing a zone online (RFC 4034, 4035): each record set when it is first asked for, and then from memory.
//!
//! Nothing is signed at start, so a zone of a million names starts as fast as an unsigned one. Signatures of sets that
//! exist are made on demand and kept; those that deny names which do not exist are made at a bounded rate, since
//! anybody can invent such names for as long as they like.

mod cache;
mod canonical;
pub mod key;
pub mod nsec;
pub mod phase;
mod rate;
mod signed;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType;

use crate::model::name::{MAX_NAME, Name, NameRef};
use crate::model::time::{Clock, Timestamp};
use crate::model::txt::RecordSet;

use cache::Cache;
use canonical::{RrsigHead, rrsig_labels, signed_data};
use key::ZoneKey;
use phase::{CdsRequest, Phase};
use rate::RateLimit;

pub use signed::Signed;

/// How far a signature's inception lies back: some validators allow no skew at all.
const BACKDATED: Duration = Duration::from_secs(2 * 3_600);
/// How long a signature is valid.
const VALIDITY: Duration = Duration::from_secs(14 * 86_400);

/// Cached signatures of sets that exist, of variants of sets, and of names that do not exist: about 300 bytes each.
const POSITIVE: usize = 1 << 18;
const VARIANTS: usize = 1 << 16;
const NEGATIVE: usize = 1 << 14;

/// Denials of names never seen before that are signed each second over UDP, and the burst after a quiet time.
/// At 24 us a signature this is 2.4 % of a core.
const PER_SECOND: u32 = 1_000;
const DATAGRAM_BURST: Duration = Duration::from_millis(250);
/// How long such a query may wait over a stream. All streams together have the same rate.
const STREAM_WAIT: Duration = Duration::from_secs(1);

/// Why a record set was not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The clock is before the last change that is stored: a signature would carry a wrong time.
    Clock,
    /// Too many names that do not exist are being asked for.
    Busy,
    /// The system's random number generator failed.
    Random,
}

/// The kind of transport. The size of a reply depends on it, and whether the client can wait for a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// In a datagram: the client can be told at once to retry over a stream.
    Datagram,
    /// In a stream: the client can wait.
    Stream,
}

/// How a zone is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dnssec {
    /// The file of its keys, which `txtgate dnssec init` makes and nothing else.
    pub key: PathBuf,
    /// Seconds that resolvers may keep the keys.
    pub dnskey_ttl: u32,
}

/// The keys of a zone and how far they have come.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The zone.
    pub apex: Name,
    /// Where the zone stands between unsigned, signed and signed by another key.
    pub phase: Phase,
    /// The key, and during a rollover the next one behind it.
    pub keys: Vec<Arc<ZoneKey>>,
    /// Seconds that resolvers may keep the keys.
    pub ttl: u32,
}

/// A zone's signer.
#[derive(Debug)]
pub struct Signing {
    keys: Keys,
    /// DNSKEY, and CDS with CDNSKEY where the parent is to hear of something.
    sets: Vec<RecordSet>,
    clock: Clock,
    spread: RandomState,
    positive: Cache,
    variants: Cache,
    negative: Cache,
    datagrams: RateLimit,
    streams: RateLimit,
}

/// A record set to sign.
#[derive(Debug, Clone, Copy)]
pub struct Unsigned<'a, I> {
    /// Its name.
    pub owner: NameRef<'a>,
    /// Its type.
    pub rtype: RecordType,
    /// Its TTL as it is served by us.
    pub ttl: u32,
    /// The RDATA of each record, uncompressed, in any order.
    pub rdatas: I,
}

impl Signing {
    /// A signer; `None` in the phase in which the zone is not signed any more.
    pub fn new(keys: Keys, clock: Clock) -> Option<Self> {
        if keys.phase == Phase::Unsigned {
            return None;
        }
        Some(Self {
            sets: apex_sets(&keys),
            keys,
            clock,
            spread: RandomState::new(),
            positive: Cache::new(POSITIVE),
            variants: Cache::new(VARIANTS),
            negative: Cache::new(NEGATIVE),
            datagrams: RateLimit::new(PER_SECOND, DATAGRAM_BURST),
            streams: RateLimit::new(PER_SECOND, STREAM_WAIT),
        })
    }

    /// A signer that denies so few names a second that no machine is too slow to reach the limit.
    #[cfg(test)]
    pub fn with_denials(mut self, per_second: u32) -> Self {
        self.datagrams = RateLimit::new(per_second, DATAGRAM_BURST);
        self.streams = RateLimit::new(per_second, STREAM_WAIT);
        self
    }

    /// Whether it serves these keys at this step already; then it is kept, and its signatures with it.
    pub fn is_of(&self, keys: &Keys) -> bool {
        let public = |keys: &Keys| keys.keys.iter().map(|key| key.dnskey().to_vec()).collect::<Vec<_>>();
        (self.keys.phase, self.keys.ttl) == (keys.phase, keys.ttl) && public(&self.keys) == public(keys)
    }

    /// The sets that signing adds at the apex: DNSKEY, CDS, CDNSKEY.
    pub fn sets(&self) -> &[RecordSet] {
        &self.sets
    }

    /// The signatures of a set that exists.
    pub fn sign<R: AsRef<[u8]>, I>(&self, set: &Unsigned<'_, I>) -> Result<Arc<Signed>, Refused>
    where
        I: Iterator<Item = R> + Clone,
    {
        self.cached(&self.positive, set, || Ok(Duration::ZERO)).map(|(signed, _)| signed)
    }

    /// The signatures of one variant of a set. An NSEC lists other types for other questions, and its variants must not
    /// replace each other in the cache.
    pub fn sign_variant<R: AsRef<[u8]>, I>(&self, set: &Unsigned<'_, I>) -> Result<Arc<Signed>, Refused>
    where
        I: Iterator<Item = R> + Clone,
    {
        self.cached(&self.variants, set, || Ok(Duration::ZERO)).map(|(signed, _)| signed)
    }

    /// The signatures of an NSEC that denies a name, and how long the querier must be kept waiting for them.
    pub fn sign_denial<R: AsRef<[u8]>, I>(
        &self,
        set: &Unsigned<'_, I>,
        carrier: Carrier,
    ) -> Result<(Arc<Signed>, Duration), Refused>
    where
        I: Iterator<Item = R> + Clone,
    {
        self.cached(&self.negative, set, || match carrier {
            Carrier::Datagram => self.datagrams.take().map(|_| Duration::ZERO).ok_or(Refused::Busy),
            Carrier::Stream => self.streams.take().ok_or(Refused::Busy),
        })
    }

    fn cached<R: AsRef<[u8]>, I>(
        &self,
        cache: &Cache,
        set: &Unsigned<'_, I>,
        limit: impl FnOnce() -> Result<Duration, Refused>,
    ) -> Result<(Arc<Signed>, Duration), Refused>
    where
        I: Iterator<Item = R> + Clone,
    {
        let mut buffer = [0; MAX_NAME + 2];
        let key = cache_key(set.owner, set.rtype, &mut buffer);
        let fingerprint = self.fingerprint(set);
        let wall = self.clock.wall();
        if let Some(found) = cache.find(key).filter(|found| found.fingerprint == fingerprint && found.is_fresh(wall)) {
            return Ok((found, Duration::ZERO));
        }
        let wall = wall.map_err(|_| Refused::Clock)?;
        let pause = limit()?;
        let signed = Arc::new(self.make(set, fingerprint, wall)?);
        cache.put(key, signed.clone());
        Ok((signed, pause))
    }

    fn fingerprint<R: AsRef<[u8]>, I: Iterator<Item = R> + Clone>(&self, set: &Unsigned<'_, I>) -> u64 {
        let mut hasher = self.spread.build_hasher();
        hasher.write_u32(set.ttl);
        for rdata in set.rdatas.clone() {
            hasher.write_usize(rdata.as_ref().len());
            hasher.write(rdata.as_ref());
        }
        hasher.finish()
    }

    fn make<R: AsRef<[u8]>, I>(&self, set: &Unsigned<'_, I>, fingerprint: u64, at: Timestamp) -> Result<Signed, Refused>
    where
        I: Iterator<Item = R> + Clone,
    {
        let mut bytes = Vec::new();
        for key in &self.keys.keys {
            let head = RrsigHead {
                covered: set.rtype,
                algorithm: key.algorithm().number(),
                labels: rrsig_labels(set.owner),
                ttl: set.ttl,
                expires: at.plus(VALIDITY),
                inception: at.minus(BACKDATED),
                tag: key.tag(),
                signer: &self.keys.apex,
            };
            head.write(&mut bytes);
            let data = signed_data(&head, set.owner, set.rdatas.clone());
            bytes.extend_from_slice(key.sign(&data).map_err(|_| Refused::Random)?.as_ref());
        }
        Ok(Signed { fingerprint, at, bytes: bytes.into(), count: self.keys.keys.len() })
    }
}

fn cache_key<'b>(owner: NameRef<'_>, rtype: RecordType, buffer: &'b mut [u8; MAX_NAME + 2]) -> &'b [u8] {
    let wire = owner.as_wire();
    buffer[..wire.len()].copy_from_slice(wire);
    buffer[wire.len()..wire.len() + 2].copy_from_slice(&u16::from(rtype).to_be_bytes());
    &buffer[..wire.len() + 2]
}

/// CDS and CDNSKEY tell the parent its DS set (RFC 7344 section 4), or ask it to delete the set (RFC 8078 section 4).
fn apex_sets(keys: &Keys) -> Vec<RecordSet> {
    let Keys { apex, phase, keys, ttl } = keys;
    let ttl = *ttl;
    let set = |rtype, rdatas| RecordSet { rtype, ttl, rdatas };
    let mut sets = vec![set(RecordType::DNSKEY, keys.iter().map(|key| key.dnskey().into()).collect())];
    let (cds, cdnskey): (Box<[u8]>, Box<[u8]>) = match (phase.cds(), &keys[..]) {
        (CdsRequest::Nothing, _) | (_, []) => return sets,
        (CdsRequest::First, [key, ..]) | (CdsRequest::Last, [.., key]) => (key.ds(apex).into(), key.dnskey().into()),
        (CdsRequest::Delete, _) => ([0; 5].into(), [0, 0, 3, 0, 0].into()),
    };
    sets.push(set(RecordType::CDS, vec![cds]));
    sets.push(set(RecordType::CDNSKEY, vec![cdnskey]));
    sets
}

#[cfg(test)]
mod tests;
