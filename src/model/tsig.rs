//! TSIG keys (RFC 8945): a secret that a client and this server share, and the MACs that are made with it.
//!
//! A key has to be *used*, so a hash of it would not do. What is stored of it is a [`Derivation`], which gives the
//! secret only together with the [`Master`]: neither the database nor a backup of it holds anything to sign with.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::digest::KeyInit;
use hmac::{EagerHash, Hmac, Mac as _};
use md5::Md5;
use ring::rand::{SecureRandom, SystemRandom};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::model::account::Username;
use crate::model::secret::RandomError;

/// Bytes of the longest MAC.
pub const MAX_MAC: usize = 64;
/// The fewest bytes of a truncated MAC, whatever the algorithm (RFC 8945 section 5.2.2.1).
const MIN_MAC: usize = 10;
/// Bytes of a master secret, of what tells one from another, and of a derivation's salt.
const MASTER: usize = 32;
const MASTER_ID: usize = 8;
const SALT: usize = 16;

/// Why a text is not an algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the algorithms of TSIG are hmac-sha256, hmac-sha384, hmac-sha512, hmac-sha1 and hmac-md5; found {0:?}")]
pub struct AlgorithmError(String);

/// How MACs are made (RFC 8945 section 6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// For clients that know nothing better; the configuration must allow it.
    HmacMd5,
    /// For clients that know nothing better.
    HmacSha1,
    /// What everybody knows.
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

impl Algorithm {
    const ALL: [Self; 5] = [Self::HmacMd5, Self::HmacSha1, Self::HmacSha256, Self::HmacSha384, Self::HmacSha512];

    /// The name as people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacMd5 => "hmac-md5",
            Self::HmacSha1 => "hmac-sha1",
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }

    /// The name in messages, in lower case and wire form.
    pub fn as_wire(self) -> &'static [u8] {
        match self {
            Self::HmacMd5 => b"\x08hmac-md5\x07sig-alg\x03reg\x03int\x00",
            Self::HmacSha1 => b"\x09hmac-sha1\x00",
            Self::HmacSha256 => b"\x0bhmac-sha256\x00",
            Self::HmacSha384 => b"\x0bhmac-sha384\x00",
            Self::HmacSha512 => b"\x0bhmac-sha512\x00",
        }
    }

    /// Bytes of a whole MAC; a secret has as many (RFC 8945 section 8).
    pub fn bytes(self) -> usize {
        match self {
            Self::HmacMd5 => 16,
            Self::HmacSha1 => 20,
            Self::HmacSha256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
        }
    }
}

impl FromStr for Algorithm {
    type Err = AlgorithmError;

    fn from_str(text: &str) -> Result<Self, AlgorithmError> {
        let is_it = |algorithm: &Self| algorithm.as_str().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(is_it).ok_or_else(|| AlgorithmError(text.chars().take(80).collect()))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A secret and the one algorithm that it is used with.
#[derive(Clone)]
pub struct TsigKey {
    algorithm: Algorithm,
    secret: Box<[u8]>,
}

impl TsigKey {
    /// A key of a secret that is known from elsewhere.
    pub fn new(algorithm: Algorithm, secret: &[u8]) -> Self {
        Self { algorithm, secret: secret.into() }
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The secret in base64, as all clients take it; for the one reply that shows it.
    pub fn reveal(&self) -> String {
        STANDARD.encode(&self.secret)
    }

    /// The MAC over bytes that come in several pieces.
    pub fn mac(&self, pieces: &[&[u8]]) -> Mac {
        match self.algorithm {
            Algorithm::HmacMd5 => mac::<Md5>(&self.secret, pieces),
            Algorithm::HmacSha1 => mac::<Sha1>(&self.secret, pieces),
            Algorithm::HmacSha256 => mac::<Sha256>(&self.secret, pieces),
            Algorithm::HmacSha384 => mac::<Sha384>(&self.secret, pieces),
            Algorithm::HmacSha512 => mac::<Sha512>(&self.secret, pieces),
        }
    }
}

impl fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TsigKey({}, redacted)", self.algorithm)
    }
}

fn mac<D: EagerHash>(secret: &[u8], pieces: &[&[u8]]) -> Mac {
    let mut bytes = [0; MAX_MAC];
    // invariant: HMAC takes a key of any length (RFC 2104 section 2), so there always is one
    let Ok(mut hmac) = <Hmac<D> as KeyInit>::new_from_slice(secret) else { return Mac { bytes, length: 0 } };
    pieces.iter().for_each(|piece| hmac.update(piece));
    let made = hmac.finalize().into_bytes();
    bytes[..made.len()].copy_from_slice(&made);
    Mac { bytes, length: made.len() }
}

/// A whole MAC.
#[derive(Clone, Copy)]
pub struct Mac {
    bytes: [u8; MAX_MAC],
    length: usize,
}

/// What a MAC in a message is, compared with the right one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// The right one, or the first half or more of it.
    Right,
    /// Another one.
    Wrong,
    /// Longer than the right one, or shorter than any may be (RFC 8945 section 5.2.2.1).
    Misshapen,
}

impl Mac {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Compares what stands in a message, in constant time for a given length.
    pub fn compare(&self, presented: &[u8]) -> Match {
        let least = MIN_MAC.max(self.length.div_ceil(2));
        if !(least..=self.length).contains(&presented.len()) {
            return Match::Misshapen;
        }
        let is_right = self.bytes[..presented.len()].ct_eq(presented);
        if is_right.into() { Match::Right } else { Match::Wrong }
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(redacted)")
    }
}

/// Why a text is no master secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it does not hold {MASTER} bytes in base64")]
pub struct MasterError;

/// The secret from which all TSIG keys of a server are made, each with its [`Derivation`].
#[derive(Clone)]
pub struct Master([u8; MASTER]);

impl Master {
    /// A new one.
    pub fn random() -> Result<Self, RandomError> {
        random().map(Self)
    }

    /// The secret as text, for the file that keeps it.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Says how to make another key of an algorithm.
    pub fn derivation(&self, algorithm: Algorithm) -> Result<Derivation, RandomError> {
        Ok(Derivation { algorithm, salt: random()?, master: self.id() })
    }

    /// An account's key; `None` where it was made from another master secret.
    pub fn key(&self, who: Username, derivation: &Derivation) -> Option<TsigKey> {
        let Derivation { algorithm, salt, master } = derivation;
        if *master != self.id() {
            return None;
        }
        let whole = self.mac(&[b"key", who.as_bytes(), salt, algorithm.as_str().as_bytes()]);
        Some(TsigKey::new(*algorithm, &whole.as_bytes()[..algorithm.bytes()]))
    }

    fn id(&self) -> MasterId {
        let mut id = [0; MASTER_ID];
        id.copy_from_slice(&self.mac(&[b"id"]).as_bytes()[..MASTER_ID]);
        MasterId(id)
    }

    fn mac(&self, pieces: &[&[u8]]) -> Mac {
        mac::<Sha512>(&self.0, pieces)
    }
}

impl FromStr for Master {
    type Err = MasterError;

    fn from_str(text: &str) -> Result<Self, MasterError> {
        bytes(text).map(Self).ok_or(MasterError)
    }
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Master(redacted)")
    }
}

/// By which a master secret is known again, and which tells nothing of it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct MasterId([u8; MASTER_ID]);

/// Why a stored text is no derivation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DerivationError {
    #[error(transparent)]
    Algorithm(#[from] AlgorithmError),
    #[error("a TSIG key is stored as an algorithm, a salt and a master's id")]
    Form,
}

/// What is stored of an account's TSIG key: all that makes its secret but for the master secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Derivation {
    algorithm: Algorithm,
    salt: [u8; SALT],
    master: MasterId,
}

impl Derivation {
    /// The key's algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl fmt::Display for Derivation {
    /// The stored form; not secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { algorithm, salt, master: MasterId(id) } = self;
        write!(f, "{algorithm} {} {}", URL_SAFE_NO_PAD.encode(salt), URL_SAFE_NO_PAD.encode(id))
    }
}

impl fmt::Debug for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Derivation({})", self.algorithm)
    }
}

impl FromStr for Derivation {
    type Err = DerivationError;

    fn from_str(text: &str) -> Result<Self, DerivationError> {
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or(DerivationError::Form);
        let (algorithm, salt, master) = (word()?.parse()?, bytes(word()?), bytes(word()?).map(MasterId));
        salt.zip(master).map(|(salt, master)| Self { algorithm, salt, master }).ok_or(DerivationError::Form)
    }
}

fn random<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 2202 and RFC 4231, each test case 2.
    #[test]
    fn macs_are_those_of_the_rfcs() {
        for (algorithm, start) in [
            (Algorithm::HmacMd5, "750c783e6ab0b503eaa86e310a5db738"),
            (Algorithm::HmacSha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Algorithm::HmacSha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (Algorithm::HmacSha384, "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"),
            (Algorithm::HmacSha512, "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"),
        ] {
            let mac = TsigKey::new(algorithm, b"Jefe").mac(&[b"what do ya want ", b"for nothing?"]);
            assert!(hex(mac.as_bytes()).starts_with(start), "{algorithm}: {}", hex(mac.as_bytes()));
            assert_eq!(mac.as_bytes().len(), algorithm.bytes());
        }
    }

    /// RFC 8945 section 5.2.2.1: not longer, not below half, not below 10 bytes.
    #[test]
    fn a_mac_may_be_cut_to_half() {
        for (algorithm, least) in [(Algorithm::HmacMd5, 10), (Algorithm::HmacSha1, 10), (Algorithm::HmacSha512, 32)] {
            let mac = TsigKey::new(algorithm, b"secret").mac(&[b"message"]);
            let mut long = mac.as_bytes().to_vec();
            long.push(0);
            for length in 0..=long.len() {
                let is_allowed = (least..=algorithm.bytes()).contains(&length);
                let (expected, wrong) =
                    if is_allowed { (Match::Right, Match::Wrong) } else { (Match::Misshapen, Match::Misshapen) };
                assert_eq!(mac.compare(&long[..length]), expected, "{algorithm} {length}");
                for at in 0..length {
                    let mut other = long[..length].to_vec();
                    other[at] ^= 1;
                    assert_eq!(mac.compare(&other), wrong, "{algorithm} {length} {at}");
                }
            }
        }
    }

    #[test]
    fn a_key_is_made_again_from_what_is_stored_and_from_nothing_else() {
        let (master, other) = (Master::random().unwrap(), Master::random().unwrap());
        let (who, stranger) = (Username::random(), Username::random());
        for algorithm in Algorithm::ALL {
            let stored = master.derivation(algorithm).unwrap();
            let read: Derivation = stored.to_string().parse().unwrap();
            let again: Master = master.reveal().parse().unwrap();
            let secret = master.key(who, &stored).unwrap().reveal();
            assert_eq!(again.key(who, &read).unwrap().reveal(), secret);
            assert_eq!(STANDARD.decode(&secret).unwrap().len(), algorithm.bytes());
            assert_ne!(master.key(stranger, &stored).unwrap().reveal(), secret);
            assert_ne!(master.key(who, &master.derivation(algorithm).unwrap()).unwrap().reveal(), secret);
            assert!(other.key(who, &stored).is_none());
        }
        for bad in ["", "hmac-sha256", "hmac-sha256 AAAA AAAA", "hmac-sha3 AAAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAA"] {
            assert!(bad.parse::<Derivation>().is_err(), "{bad}");
        }
        assert_eq!("HMAC-SHA512".parse(), Ok(Algorithm::HmacSha512));
    }

    #[test]
    fn nothing_secret_is_in_debug_output() {
        let master = Master::random().unwrap();
        let stored = master.derivation(Algorithm::HmacSha256).unwrap();
        let key = master.key(Username::random(), &stored).unwrap();
        let shown = format!("{master:?} {key:?} {stored:?} {:?}", key.mac(&[b"x"]));
        assert_eq!(shown, "Master(redacted) TsigKey(hmac-sha256, redacted) Derivation(hmac-sha256) Mac(redacted)");
    }
}
