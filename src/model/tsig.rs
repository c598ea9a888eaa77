//! What the store holds of a TSIG key (RFC 8945): its algorithm, and the [`Derivation`] of its secret.
//!
//! A server *uses* the secret to sign, so a hash is not enough. A derivation gives the secret only together with the
//! master secret, which is in a file of its own: neither the database nor a backup contains anything to sign with.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;

use crate::model::text::serde_as_text;

/// Bytes of a derivation's salt.
pub const SALT: usize = 16;
/// Bytes of a master secret's identifier.
pub const MASTER_ID: usize = 8;

/// A text that names no algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the algorithms of TSIG are hmac-sha256, hmac-sha384, hmac-sha512, hmac-sha1 and hmac-md5; found {0:?}")]
pub struct AlgorithmError(String);

/// The MAC algorithm of a key (RFC 8945 section 6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// For clients without any better algorithm; the configuration must allow it.
    HmacMd5,
    /// For clients without any better algorithm.
    HmacSha1,
    /// The one algorithm that every client implements.
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

impl Algorithm {
    pub const ALL: [Self; 5] = [Self::HmacMd5, Self::HmacSha1, Self::HmacSha256, Self::HmacSha384, Self::HmacSha512];

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

    /// Bytes of a whole MAC; a secret has the same length (RFC 8945 section 8).
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
        let mut algorithms = Self::ALL.into_iter();
        let found = algorithms.find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| AlgorithmError(text.chars().take(80).collect()))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

serde_as_text!(Algorithm);

/// Identifies a master secret without revealing anything of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MasterSecretId(pub [u8; MASTER_ID]);

/// A stored text that is not a derivation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DerivationError {
    #[error(transparent)]
    Algorithm(#[from] AlgorithmError),
    #[error("a TSIG key is stored as an algorithm, a salt and the identifier of a master secret")]
    Form,
}

/// The stored part of an account's TSIG key: everything that makes its secret, except the master secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Derivation {
    pub algorithm: Algorithm,
    pub salt: [u8; SALT],
    pub master: MasterSecretId,
    /// The secret itself, encrypted with the master secret: of a key that another server has made.
    pub wrapped: Option<Box<[u8]>>,
}

impl fmt::Display for Derivation {
    /// The stored form, which is not secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let salt = URL_SAFE_NO_PAD.encode(self.salt);
        write!(f, "{} {salt} {}", self.algorithm, URL_SAFE_NO_PAD.encode(self.master.0))?;
        match &self.wrapped {
            Some(wrapped) => write!(f, " {}", URL_SAFE_NO_PAD.encode(wrapped)),
            None => Ok(()),
        }
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
        let algorithm: Algorithm = words.next().unwrap_or_default().parse()?;
        let salt = words.next().and_then(decode).ok_or(DerivationError::Form)?;
        let master = words.next().and_then(decode).ok_or(DerivationError::Form)?;
        let wrapped =
            words.next().map(|word| URL_SAFE_NO_PAD.decode(word).map_err(|_| DerivationError::Form)).transpose()?;
        if wrapped.as_ref().is_some_and(|wrapped| wrapped.len() != algorithm.bytes()) || words.next().is_some() {
            return Err(DerivationError::Form);
        }
        Ok(Self { algorithm, salt, master: MasterSecretId(master), wrapped: wrapped.map(Into::into) })
    }
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derivation_is_read_from_its_stored_form_and_from_nothing_else() {
        let stored = "hmac-sha384 AAAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAA";
        let read: Derivation = stored.parse().unwrap();
        assert_eq!((read.algorithm, read.to_string().as_str()), (Algorithm::HmacSha384, stored));
        for bad in ["", "hmac-sha256", "hmac-sha256 AAAA AAAA", "hmac-sha3 AAAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAA"] {
            assert!(bad.parse::<Derivation>().is_err(), "{bad}");
        }
        assert_eq!("HMAC-SHA512".parse(), Ok(Algorithm::HmacSha512));
    }

    #[test]
    fn a_key_of_another_server_is_stored_with_its_wrapped_secret() {
        let plain = "hmac-sha1 AAAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAA";
        let stored = format!("{plain} {}", URL_SAFE_NO_PAD.encode([7; 20]));
        let read: Derivation = stored.parse().unwrap();
        assert_eq!((read.wrapped.as_deref(), read.to_string()), (Some(&[7; 20][..]), stored.clone()));
        for bad in [format!("{plain} AAAA"), format!("{plain} !"), format!("{stored} AAAA")] {
            assert!(bad.parse::<Derivation>().is_err(), "{bad}");
        }
    }
}
