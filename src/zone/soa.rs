//! The SOA record: its names and timers from the configuration, its serial from the live values.

use std::str::FromStr;

use serde::Deserialize;

use crate::model::name::{Name, NameError};
use crate::model::serial::Serial;

/// A zone's SOA but for the serial (RFC 1035 section 3.3.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// The first nameserver.
    pub mname: Name,
    /// The contact's mail address as a name.
    pub rname: Name,
    /// Seconds between a secondary's checks.
    pub refresh: u32,
    /// Seconds after a failed check.
    pub retry: u32,
    /// Seconds after which a secondary stops answering.
    pub expire: u32,
    /// Seconds that a negative answer may be kept. The record's TTL and its MINIMUM are both this, so that no
    /// resolver picks the wrong one of the two (RFC 2308 section 3).
    pub negative_ttl: u32,
}

impl Soa {
    /// Appends the RDATA, its names uncompressed.
    pub fn write_rdata(&self, serial: Serial, out: &mut Vec<u8>) {
        out.extend_from_slice(self.mname.as_wire());
        out.extend_from_slice(self.rname.as_wire());
        for number in [serial.0, self.refresh, self.retry, self.expire, self.negative_ttl] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// A contact: `hostmaster@example.org`, or the same as a name, `hostmaster.example.org`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Contact(pub Name);

impl FromStr for Contact {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let Some((local, host)) = text.split_once('@') else {
            return text.parse().map(Self);
        };
        if let Some(bad) = local.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(NameError::Character(bad));
        }
        let length = u8::try_from(local.len()).map_err(|_| NameError::LongLabel(local.to_owned()))?;
        let mut wire = vec![length];
        wire.extend_from_slice(local.as_bytes());
        wire.extend_from_slice(host.parse::<Name>()?.as_wire());
        // The local part is one label, dots and all (RFC 1035 section 8).
        Name::from_wire(&wire).map(Self)
    }
}

impl TryFrom<String> for Contact {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_address_becomes_a_name_with_its_dots_escaped() {
        let contact: Contact = "first.last@example.org".parse().unwrap();
        assert_eq!(contact.0.to_string(), "first\\.last.example.org");
        assert_eq!("hostmaster.example.org".parse::<Contact>().unwrap().0.to_string(), "hostmaster.example.org");
        assert!("@example.org".parse::<Contact>().is_err());
    }
}
