//! A registration secret or an enrolment token as a client presents it, and the hash and the key that come from it.

use std::fmt;
use std::str::FromStr;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use super::{MIN_REGISTRATION_SECRET, RandomError, SecretError, SecretHash, sha256};

/// The purpose of derived keys, so that no other use of a secret derives the same key.
const SEALING: &[u8] = b"txtgate storage 1";

/// A registration secret or an enrolment token as a client presents it. Never stored.
#[derive(Clone)]
pub struct PresentedSecret(String);

impl PresentedSecret {
    pub fn hash(&self) -> SecretHash {
        SecretHash(sha256(&self.0))
    }

    /// The key for the storage of the secret's holder. It cannot be derived from the hash.
    pub fn sealing_key(&self) -> Result<SealingKey, SealError> {
        let secret = Salt::new(HKDF_SHA256, SEALING).extract(self.0.as_bytes());
        let key = secret.expand(&[b"key"], &AES_256_GCM).map_err(|_| SealError::Key)?;
        Ok(SealingKey(LessSafeKey::new(UnboundKey::from(key))))
    }
}

impl FromStr for PresentedSecret {
    type Err = SecretError;

    /// Accepts any text of at least [`MIN_REGISTRATION_SECRET`] characters.
    fn from_str(text: &str) -> Result<Self, SecretError> {
        let length = text.chars().count();
        if length < MIN_REGISTRATION_SECRET { Err(SecretError::Short(length)) } else { Ok(Self(text.to_owned())) }
    }
}

impl fmt::Debug for PresentedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedSecret(redacted)")
    }
}

/// A text cannot be encrypted or decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    #[error("no key can be derived from the secret")]
    Key,
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error("it is too long to be sealed")]
    Long,
    #[error("it was sealed with another secret or for another name, or it is damaged")]
    Open,
}

/// Encrypts the storage of a secret's holder: AES-256-GCM, with a random nonce before the text.
pub struct SealingKey(LessSafeKey);

impl SealingKey {
    /// Encrypts `text`, and binds it to the `name` under which it is stored.
    pub fn seal(&self, name: &str, text: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| RandomError)?;
        let (mut sealed, unique) = (text.to_vec(), Nonce::assume_unique_for_key(nonce));
        self.0.seal_in_place_append_tag(unique, Aad::from(name), &mut sealed).map_err(|_| SealError::Long)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts the result of [`SealingKey::seal`] for the same name.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Open)?;
        let (nonce, mut text) = (Nonce::assume_unique_for_key(*nonce), text.to_vec());
        let opened = self.0.open_in_place(nonce, Aad::from(name), &mut text).map_err(|_| SealError::Open)?;
        Ok(opened.to_vec())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> SealingKey {
        secret.parse::<PresentedSecret>().unwrap().sealing_key().unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_its_secret_and_name_alone() {
        let (key, other) = (key(&"a".repeat(32)), key(&"b".repeat(32)));
        let sealed = key.seal("example.com", b"secret").unwrap();
        assert_eq!(key.open("example.com", &sealed).unwrap(), b"secret");
        assert_ne!(key.seal("example.com", b"secret").unwrap(), sealed, "another nonce each time");
        assert_eq!(other.open("example.com", &sealed), Err(SealError::Open));
        assert_eq!(key.open("example.org", &sealed), Err(SealError::Open));
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(key.open("example.com", &damaged), Err(SealError::Open), "byte {at}");
        }
        for short in 0..NONCE_LEN + 16 {
            assert_eq!(key.open("example.com", &sealed[..short]), Err(SealError::Open));
        }
    }

    #[test]
    fn a_shown_secret_is_long_and_never_printed() {
        assert_eq!("short".parse::<PresentedSecret>().unwrap_err(), SecretError::Short(5));
        let secret: PresentedSecret = "s3cret-".repeat(4).parse().unwrap();
        let printed = format!("{secret:?} {:?}", secret.sealing_key().unwrap());
        assert!(!printed.contains("s3cret"), "{printed}");
        assert_eq!(secret.hash(), SecretHash::of(&"s3cret-".repeat(4)).unwrap());
    }
}
