//! A zone's key: one for both the keys and the data of the zone (a combined signing key).

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, Signature};
use thiserror::Error;

use crate::model::name::Name;

/// Zone key and secure entry point (RFC 4034 section 2.1.1), and the one protocol number there is.
const FLAGS_AND_PROTOCOL: [u8; 3] = [1, 1, 3];
/// SHA-256 (RFC 4509).
const DIGEST_SHA256: u8 = 2;

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    #[error("the system's random number generator failed")]
    Random,
    #[error("not a private key of algorithm {0} in PKCS #8 form")]
    Unreadable(u8),
}

/// Why a text is not an algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the algorithms are 13 (ECDSA P-256 with SHA-256) and 15 (Ed25519)")]
pub struct AlgorithmError;

/// The algorithms that keys may have (RFC 8624 section 3.1: those that are recommended for signing).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSAP256SHA256 (RFC 6605), which every validator knows.
    EcdsaP256,
    /// ED25519 (RFC 8080).
    Ed25519,
}

impl Algorithm {
    /// Its number in DNSKEY, DS and RRSIG.
    pub fn number(self) -> u8 {
        match self {
            Self::EcdsaP256 => 13,
            Self::Ed25519 => 15,
        }
    }

    /// The algorithm of a number.
    pub fn of_number(number: u8) -> Result<Self, AlgorithmError> {
        [Self::EcdsaP256, Self::Ed25519].into_iter().find(|a| a.number() == number).ok_or(AlgorithmError)
    }
}

impl FromStr for Algorithm {
    type Err = AlgorithmError;

    fn from_str(text: &str) -> Result<Self, AlgorithmError> {
        text.parse().map_err(|_| AlgorithmError).and_then(Self::of_number)
    }
}

/// A private key and its public records.
pub struct ZoneKey {
    algorithm: Algorithm,
    pair: Pair,
    /// Kept to be written again when the key file changes.
    pkcs8: Box<[u8]>,
    dnskey: Box<[u8]>,
    tag: u16,
}

// One or two exist in a process.
#[allow(clippy::large_enum_variant)]
enum Pair {
    EcdsaP256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl ZoneKey {
    /// A new one.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let pkcs8 = match algorithm {
            Algorithm::EcdsaP256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
            Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8(&random),
        };
        Self::from_pkcs8(algorithm, pkcs8.map_err(|_| KeyError::Random)?.as_ref())
    }

    /// One that was generated before.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let unreadable = |_| KeyError::Unreadable(algorithm.number());
        let pair = match algorithm {
            Algorithm::EcdsaP256 => {
                let random = SystemRandom::new();
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random);
                Pair::EcdsaP256(pair.map_err(unreadable)?)
            }
            Algorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8).map_err(unreadable)?),
        };
        let dnskey = [&FLAGS_AND_PROTOCOL[..], &[algorithm.number()], pair.public()].concat();
        Ok(Self { algorithm, pair, pkcs8: pkcs8.into(), tag: key_tag(&dnskey), dnskey: dnskey.into() })
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key tag (RFC 4034 appendix B): a hint by which signatures name their key.
    pub fn tag(&self) -> u16 {
        self.tag
    }

    /// The RDATA of its DNSKEY record, and of its CDNSKEY.
    pub fn dnskey(&self) -> &[u8] {
        &self.dnskey
    }

    /// The RDATA of its DS record at the parent of `apex` (RFC 4034 section 5, SHA-256), and of its CDS.
    pub fn ds(&self, apex: &Name) -> Vec<u8> {
        let digest = digest(&SHA256, &[apex.as_wire(), &self.dnskey].concat());
        let mut ds = self.tag.to_be_bytes().to_vec();
        ds.extend_from_slice(&[self.algorithm.number(), DIGEST_SHA256]);
        ds.extend_from_slice(digest.as_ref());
        ds
    }

    /// The private key, for the key file alone.
    pub fn reveal_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Signs: 24 us with P-256, 34 us with Ed25519.
    pub(super) fn sign(&self, data: &[u8]) -> Result<Signature, KeyError> {
        match &self.pair {
            Pair::EcdsaP256(pair) => pair.sign(&SystemRandom::new(), data).map_err(|_| KeyError::Random),
            Pair::Ed25519(pair) => Ok(pair.sign(data)),
        }
    }
}

impl Pair {
    /// The public key as DNSKEY has it: for P-256 without the byte that says "uncompressed" (RFC 6605 section 4).
    fn public(&self) -> &[u8] {
        match self {
            Self::EcdsaP256(pair) => pair.public_key().as_ref().strip_prefix(&[4]).unwrap_or_default(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }
}

impl fmt::Debug for ZoneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZoneKey({}, algorithm {}, redacted)", self.tag, self.algorithm.number())
    }
}

fn key_tag(dnskey: &[u8]) -> u16 {
    let sum: u32 = dnskey
        .iter()
        .enumerate()
        .map(|(at, byte)| if at % 2 == 0 { u32::from(*byte) << 8 } else { u32::from(*byte) })
        .sum();
    // invariant: the carry is added below 16 bits, where it belongs, and the rest is cut on purpose
    (sum + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn tag_and_ds_are_those_of_rfc_6605_and_8080() {
        let p256 = "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==";
        let dnskey = [&[1, 1, 3, 13][..], &STANDARD.decode(p256).unwrap()].concat();
        assert_eq!(key_tag(&dnskey), 55_648);
        let ed25519 = "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=";
        let dnskey = [&[1, 1, 3, 15][..], &STANDARD.decode(ed25519).unwrap()].concat();
        assert_eq!(key_tag(&dnskey), 3_613);
    }

    #[test]
    fn a_key_survives_its_file_and_never_shows() {
        for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
            let key = ZoneKey::generate(algorithm).unwrap();
            let again = ZoneKey::from_pkcs8(algorithm, key.reveal_pkcs8()).unwrap();
            assert_eq!((key.dnskey(), key.tag()), (again.dnskey(), again.tag()));
            assert_eq!(
                format!("{key:?}"),
                format!("ZoneKey({}, algorithm {}, redacted)", key.tag(), algorithm.number())
            );
        }
        let key = ZoneKey::generate(Algorithm::Ed25519).unwrap();
        assert!(ZoneKey::from_pkcs8(Algorithm::EcdsaP256, key.reveal_pkcs8()).is_err());
    }
}
