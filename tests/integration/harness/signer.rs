//! A key that signs a nameserver's zones (RFC 4034), with times that a test chooses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

const ALGORITHM: u8 = 13;
const DAY: u32 = 86_400;

/// An ECDSA P-256 key. Its signatures are valid from yesterday until tomorrow.
#[derive(Clone)]
pub struct Signer {
    pair: Arc<EcdsaKeyPair>,
    inception: u32,
    expiration: u32,
    is_forger: bool,
    proves: bool,
}

impl Signer {
    /// A new key.
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let now = u32::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        Self { pair: Arc::new(pair), inception: now - DAY, expiration: now + DAY, is_forger: false, proves: true }
    }

    /// The same key, whose signatures expired a day ago.
    pub fn expired(mut self) -> Self {
        self.inception -= 30 * DAY;
        self.expiration -= 2 * DAY;
        self
    }

    /// The same key, whose signatures are not valid before tomorrow.
    pub fn early(mut self) -> Self {
        self.inception += 2 * DAY;
        self.expiration += 30 * DAY;
        self
    }

    /// The same key, whose signatures are wrong.
    pub fn forging(mut self) -> Self {
        self.is_forger = true;
        self
    }

    /// The same key, in a zone without NSEC records.
    pub fn without_proofs(mut self) -> Self {
        self.proves = false;
        self
    }

    /// Whether the zone has NSEC records.
    pub fn proves(&self) -> bool {
        self.proves
    }

    /// The DNSKEY record of a zone.
    pub fn dnskey(&self, apex: &Name) -> Record {
        record(apex, RecordType::DNSKEY, self.public())
    }

    /// The DS record of a zone, for its parent.
    pub fn ds(&self, apex: &str) -> Record {
        let apex = Name::from_ascii(apex).unwrap();
        let digest = digest(&SHA256, &[apex.to_bytes().unwrap(), self.public()].concat());
        let mut rdata = self.tag().to_be_bytes().to_vec();
        rdata.extend_from_slice(&[ALGORITHM, 2]);
        rdata.extend_from_slice(digest.as_ref());
        record(&apex, RecordType::DS, rdata)
    }

    /// A signature of each record set that belongs to the zone. The NS records of a delegation do not.
    pub fn signatures(&self, apex: &Name, records: &[Record]) -> Vec<Record> {
        let mut sets = BTreeMap::<(Name, u16), Vec<&Record>>::new();
        for record in records {
            sets.entry((record.name.clone(), record.record_type().into())).or_default().push(record);
        }
        let is_ours = |(name, rtype): &(Name, u16)| *rtype != u16::from(RecordType::NS) || name == apex;
        sets.into_iter().filter(|(key, _)| is_ours(key)).map(|((name, _), set)| self.sign(apex, &name, &set)).collect()
    }

    fn sign(&self, apex: &Name, owner: &Name, set: &[&Record]) -> Record {
        let rtype = u16::from(set[0].record_type()).to_be_bytes();
        let ttl = set[0].ttl.to_be_bytes();
        let owner_wire = owner.to_lowercase().to_bytes().unwrap();
        let mut rrsig = rtype.to_vec();
        rrsig.extend_from_slice(&[ALGORITHM, owner.num_labels()]);
        rrsig.extend_from_slice(&ttl);
        rrsig.extend_from_slice(&self.expiration.to_be_bytes());
        rrsig.extend_from_slice(&self.inception.to_be_bytes());
        rrsig.extend_from_slice(&self.tag().to_be_bytes());
        rrsig.extend_from_slice(&apex.to_lowercase().to_bytes().unwrap());
        let mut rdatas: Vec<Vec<u8>> = set.iter().map(|record| canonical(&record.data)).collect();
        rdatas.sort_unstable();
        let mut signed = rrsig.clone();
        for rdata in rdatas {
            let length = u16::try_from(rdata.len()).unwrap().to_be_bytes();
            signed.extend([&owner_wire[..], &rtype, &[0, 1], &ttl, &length, &rdata].concat());
        }
        let mut signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap().as_ref().to_vec();
        if self.is_forger {
            signature[20] ^= 1;
        }
        rrsig.extend(signature);
        record(owner, RecordType::RRSIG, rrsig)
    }

    /// The RDATA of the DNSKEY: zone key and secure entry point, for P-256 without the byte that says "uncompressed".
    fn public(&self) -> Vec<u8> {
        let point = self.pair.public_key().as_ref();
        [&[1, 1, 3, ALGORITHM], &point[1..]].concat()
    }

    fn tag(&self) -> u16 {
        let add = |sum: u32, pair: &[u8]| sum + u32::from(pair[0]) * 256 + u32::from(*pair.get(1).unwrap_or(&0));
        let sum = self.public().chunks(2).fold(0, add);
        ((sum + (sum >> 16)) & 0xffff) as u16
    }
}

/// RDATA as signatures cover it: no name in it is compressed (RFC 4034 section 6.2).
fn canonical(data: &RData) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    data.emit(&mut encoder.with_name_encoding(NameEncoding::UncompressedLowercase)).unwrap();
    bytes
}

/// A record of a type that the library leaves as it is.
pub fn record(name: &Name, rtype: RecordType, rdata: Vec<u8>) -> Record {
    Record::from_rdata(name.clone(), 60, RData::Unknown { code: rtype, rdata: NULL::with(rdata) })
}
