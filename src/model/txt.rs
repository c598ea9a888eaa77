//! TXT values of DNS-01, persistent authorizations, and record sets.

pub mod persist;

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hickory_proto::rr::RecordType;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::model::time::{RunningTime, Timestamp};

/// The most bytes of a character-string in a TXT record (RFC 1035 section 3.3); longer texts are split into several.
pub const MAX_STRING: usize = 255;
/// The length of a TXT value: base64url of a SHA-256 digest, without padding (RFC 8555 section 8.4).
pub const TXT_VALUE: usize = 43;

/// A text is not a TXT value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TxtValueError {
    #[error("this looks like a key authorization; send base64url(SHA-256(it))")]
    KeyAuthorization,
    #[error("a TXT value has 43 characters; found {0}")]
    Length(usize),
    #[error("a TXT value is base64url (A-Z a-z 0-9 - _); found {0:?}")]
    Character(char),
}

/// base64url(SHA-256(key authorization)): any 43 base64url characters, stored byte for byte.
///
/// The daemon never decodes a value: the last character has two unused bits, so decoding and encoding would change
/// some.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct TxtValue([u8; TXT_VALUE]);

impl TxtValue {
    pub fn as_str(&self) -> &str {
        // invariant: only ASCII gets past `from_str`
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The bytes of the record's only character-string.
    pub fn as_bytes(&self) -> &[u8; TXT_VALUE] {
        &self.0
    }
}

impl FromStr for TxtValue {
    type Err = TxtValueError;

    fn from_str(text: &str) -> Result<Self, TxtValueError> {
        if text.contains('.') {
            return Err(TxtValueError::KeyAuthorization);
        }
        if let Some(bad) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
            return Err(TxtValueError::Character(bad));
        }
        text.as_bytes().try_into().map(Self).map_err(|_| TxtValueError::Length(text.len()))
    }
}

impl TryFrom<String> for TxtValue {
    type Error = TxtValueError;

    fn try_from(text: String) -> Result<Self, TxtValueError> {
        text.parse()
    }
}

impl fmt::Display for TxtValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TxtValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for TxtValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A text is not a key authorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key authorization is a token, a dot and the thumbprint of the account's key, both in base64url")]
pub struct KeyAuthorizationError;

/// The token of a challenge and the thumbprint of the account's key, which bind the challenge to the ACME account
/// (RFC 8555 section 8.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyAuthorization(String);

impl KeyAuthorization {
    /// The challenge's token.
    pub fn token(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }

    /// The TXT value that proves it in DNS-01.
    pub fn txt_value(&self) -> TxtValue {
        let mut value = [0; TXT_VALUE];
        // invariant: 32 bytes are 43 characters without padding
        _ = URL_SAFE_NO_PAD.encode_slice(digest(&SHA256, self.0.as_bytes()), &mut value);
        TxtValue(value)
    }
}

impl FromStr for KeyAuthorization {
    type Err = KeyAuthorizationError;

    fn from_str(text: &str) -> Result<Self, KeyAuthorizationError> {
        let is_base64url = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let (token, thumbprint) = text.split_once('.').ok_or(KeyAuthorizationError)?;
        let is_right = is_base64url(token) && is_base64url(thumbprint);
        is_right.then(|| Self(text.to_owned())).ok_or(KeyAuthorizationError)
    }
}

/// A published TXT value and its times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveValue {
    pub txt: TxtValue,
    /// The date of the last publication.
    pub published: Timestamp,
    /// The first moment at which it is no longer served.
    pub expires: RunningTime,
}

impl LiveValue {
    /// Whether it is served at `now`.
    pub fn is_live(&self, now: RunningTime) -> bool {
        now < self.expires
    }
}

/// All records of one name and type (RFC 2181 section 5). They share a TTL, and no two have the same RDATA.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordSet {
    pub rtype: RecordType,
    /// In seconds.
    pub ttl: u32,
    /// Each record's RDATA as uncompressed wire bytes, in the order in which it is served.
    pub rdatas: Vec<Box<[u8]>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_43_base64url_characters_are_kept_byte_for_byte() {
        // The last character's two spare bits are set: a decoder would refuse or change it.
        let text = format!("{}B", "a-_Z9".repeat(8) + "xy");
        assert_eq!(text.parse::<TxtValue>().unwrap().as_str(), text);
    }

    /// Of the token and the thumbprint that RFC 8555 uses, the digest by `printf | openssl dgst -sha256 -binary`.
    #[test]
    fn a_key_authorization_becomes_its_digest() {
        let text = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";
        let key_authorization: KeyAuthorization = text.parse().unwrap();
        assert_eq!(key_authorization.token(), "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA");
        assert_eq!(key_authorization.txt_value().as_str(), "lCM7cZyQXcVHK2nnW3jjAhNT3Fvm18UN-kWZZknKoYM");
        for wrong in ["", ".", "a", "a.", ".b", "a.b.c", "a b.c", "a.b="] {
            assert_eq!(wrong.parse::<KeyAuthorization>(), Err(KeyAuthorizationError), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_value_is_said() {
        assert_eq!("".parse::<TxtValue>(), Err(TxtValueError::Length(0)));
        assert_eq!("a".repeat(44).parse::<TxtValue>(), Err(TxtValueError::Length(44)));
        assert_eq!("+".repeat(43).parse::<TxtValue>(), Err(TxtValueError::Character('+')));
        assert_eq!("token.thumbprint".parse::<TxtValue>(), Err(TxtValueError::KeyAuthorization));
    }
}
