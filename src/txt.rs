//! TXT values as DNS-01 publishes them, and record sets.

use std::fmt;
use std::str::FromStr;

use hickory_proto::rr::RecordType;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::time::Timestamp;

/// Characters of a TXT value: base64url of a SHA-256 digest, without padding (RFC 8555 section 8.4).
pub const TXT_VALUE: usize = 43;

/// Why a text is not a TXT value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TxtValueError {
    #[error("this looks like a key authorization; send base64url(SHA-256(it))")]
    KeyAuthorization,
    #[error("a TXT value has 43 characters; found {0}")]
    Length(usize),
    #[error("a TXT value is base64url (A-Z a-z 0-9 - _); found {0:?}")]
    Character(char),
}

/// base64url(SHA-256(key authorization)): any 43 base64url characters, kept byte for byte.
///
/// It is never decoded: the last character carries two unused bits, so not every value survives the round trip.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct TxtValue([u8; TXT_VALUE]);

impl TxtValue {
    /// The characters.
    pub fn as_str(&self) -> &str {
        // invariant: only ASCII gets past `from_str`
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The octets of the one character-string in the record.
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

/// A published TXT value and its times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveValue {
    /// What is served.
    pub txt: TxtValue,
    /// When it was published, or published again.
    pub published: Timestamp,
    /// From when on it is no longer served.
    pub expires: Timestamp,
}

impl LiveValue {
    /// Whether it is served at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires
    }
}

/// All records of one name and type (RFC 2181 section 5): they share a TTL, and no RDATA stands twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordSet {
    /// The type.
    pub rtype: RecordType,
    /// Seconds that a resolver may keep it.
    pub ttl: u32,
    /// Each record's RDATA as uncompressed wire octets, in the order in which it is served.
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

    #[test]
    fn what_is_wrong_with_a_value_is_said() {
        assert_eq!("".parse::<TxtValue>(), Err(TxtValueError::Length(0)));
        assert_eq!("a".repeat(44).parse::<TxtValue>(), Err(TxtValueError::Length(44)));
        assert_eq!("+".repeat(43).parse::<TxtValue>(), Err(TxtValueError::Character('+')));
        assert_eq!("token.thumbprint".parse::<TxtValue>(), Err(TxtValueError::KeyAuthorization));
    }
}
