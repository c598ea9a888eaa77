//! TSIG keys (RFC 8945): secrets that a client and this server share, and the MACs made with them.

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
use crate::model::tsig::{Algorithm, Derivation, MASTER_ID, MasterSecretId, SALT};

/// Bytes of the longest MAC.
pub const MAX_MAC: usize = 64;
/// The fewest bytes of a truncated MAC, whatever the algorithm (RFC 8945 section 5.2.2.1).
const MIN_MAC: usize = 10;
/// Bytes of a master secret.
const MASTER: usize = 32;

/// A secret and the one algorithm that uses it.
#[derive(Clone)]
pub struct TsigKey {
    algorithm: Algorithm,
    secret: Box<[u8]>,
}

impl TsigKey {
    /// Makes a key of a secret from elsewhere, of any length.
    pub fn new(algorithm: Algorithm, secret: &[u8]) -> Self {
        Self { algorithm, secret: secret.into() }
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The secret in base64, the form that all clients take; only the reply to the key's creation shows it.
    pub fn reveal(&self) -> String {
        STANDARD.encode(&self.secret)
    }

    /// Computes the MAC over the concatenation of `pieces`.
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
    // HMAC takes a key of any length (RFC 2104 section 2), so the error case does not occur.
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

/// The result of comparing a message's MAC with the right one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// The right one, or at least its first half.
    Right,
    Wrong,
    /// Longer than the right one, or shorter than RFC 8945 section 5.2.2.1 allows.
    Misshapen,
}

impl Mac {
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Compares this MAC with the one in a message, in constant time for a given length.
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

/// A text that is not a master secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the file does not hold {MASTER} bytes in base64")]
pub struct MasterSecretError;

/// The secret from which a server makes all its TSIG keys, each with a [`Derivation`].
#[derive(Clone)]
pub struct MasterSecret([u8; MASTER]);

impl MasterSecret {
    pub fn random() -> Result<Self, RandomError> {
        random().map(Self)
    }

    /// The secret as text, for the file that holds it.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Makes the derivation of a new key.
    pub fn derivation(&self, algorithm: Algorithm) -> Result<Derivation, RandomError> {
        Ok(Derivation { algorithm, salt: random()?, master: self.id(), wrapped: None })
    }

    /// Makes an account's key; `None` where `derivation` belongs to another master secret.
    pub fn key(&self, who: Username, derivation: &Derivation) -> Option<TsigKey> {
        let Derivation { algorithm, salt, master, wrapped } = derivation;
        if *master != self.id() {
            return None;
        }
        match wrapped {
            None => {
                let whole = self.mac(&[b"key", who.as_bytes(), salt, algorithm.as_str().as_bytes()]);
                Some(TsigKey::new(*algorithm, &whole.as_bytes()[..algorithm.bytes()]))
            }
            Some(wrapped) => Some(TsigKey::new(*algorithm, &self.masked(who, *algorithm, salt, wrapped))),
        }
    }

    /// Makes the derivation of a key that another server has made; `None` where the secret has another length than those
    /// that servers make.
    pub fn wrap(&self, who: Username, algorithm: Algorithm, secret: &[u8]) -> Result<Option<Derivation>, RandomError> {
        if secret.len() != algorithm.bytes() {
            return Ok(None);
        }
        let salt = random()?;
        let wrapped = self.masked(who, algorithm, &salt, secret).into();
        Ok(Some(Derivation { algorithm, salt, master: self.id(), wrapped: Some(wrapped) }))
    }

    /// XORs a text with a pad that nobody can compute without the master secret, and that no other salt has.
    fn masked(&self, who: Username, algorithm: Algorithm, salt: &[u8; SALT], text: &[u8]) -> Vec<u8> {
        let pad = self.mac(&[b"wrap", who.as_bytes(), salt, algorithm.as_str().as_bytes()]);
        text.iter().zip(pad.as_bytes()).map(|(byte, pad)| byte ^ pad).collect()
    }

    fn id(&self) -> MasterSecretId {
        let mut id = [0; MASTER_ID];
        id.copy_from_slice(&self.mac(&[b"id"]).as_bytes()[..MASTER_ID]);
        MasterSecretId(id)
    }

    fn mac(&self, pieces: &[&[u8]]) -> Mac {
        mac::<Sha512>(&self.0, pieces)
    }
}

impl FromStr for MasterSecret {
    type Err = MasterSecretError;

    fn from_str(text: &str) -> Result<Self, MasterSecretError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| MasterSecretError)?;
        bytes.try_into().map(Self).map_err(|_| MasterSecretError)
    }
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSecret(redacted)")
    }
}

fn random<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_secret_of_another_server_comes_out_of_its_wrapping_for_its_account_alone() {
        let (old, new) = (MasterSecret::random().unwrap(), MasterSecret::random().unwrap());
        let (who, other) = (Username::random(), Username::random());
        for algorithm in Algorithm::ALL {
            let key = old.key(who, &old.derivation(algorithm).unwrap()).unwrap();
            let moved = new.wrap(who, algorithm, &key.secret).unwrap().unwrap();
            assert_eq!(new.key(who, &moved).unwrap().secret, key.secret, "{algorithm}");
            assert_ne!(new.key(other, &moved).unwrap().secret, key.secret, "{algorithm}");
            assert_ne!(moved.wrapped.as_deref().unwrap(), &*key.secret, "{algorithm}");
            assert!(old.key(who, &moved).is_none(), "{algorithm}");
            assert!(new.wrap(who, algorithm, b"short").unwrap().is_none());
        }
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
        let (master, other) = (MasterSecret::random().unwrap(), MasterSecret::random().unwrap());
        let (who, stranger) = (Username::random(), Username::random());
        for algorithm in Algorithm::ALL {
            let stored = master.derivation(algorithm).unwrap();
            let read: Derivation = stored.to_string().parse().unwrap();
            let again: MasterSecret = master.reveal().parse().unwrap();
            let secret = master.key(who, &stored).unwrap().reveal();
            assert_eq!(again.key(who, &read).unwrap().reveal(), secret);
            assert_eq!(STANDARD.decode(&secret).unwrap().len(), algorithm.bytes());
            assert_ne!(master.key(stranger, &stored).unwrap().reveal(), secret);
            assert_ne!(master.key(who, &master.derivation(algorithm).unwrap()).unwrap().reveal(), secret);
            assert!(other.key(who, &stored).is_none());
        }
    }

    #[test]
    fn nothing_secret_is_in_debug_output() {
        let master = MasterSecret::random().unwrap();
        let stored = master.derivation(Algorithm::HmacSha256).unwrap();
        let key = master.key(Username::random(), &stored).unwrap();
        let shown = format!("{master:?} {key:?} {stored:?} {:?}", key.mac(&[b"x"]));
        assert_eq!(
            shown,
            "MasterSecret(redacted) TsigKey(hmac-sha256, redacted) Derivation(hmac-sha256) Mac(redacted)"
        );
    }
}
