//! ACME's validation methods, as far as this daemon can prove names by them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How names are proven: a validation method as ACME's registry calls it (RFC 8555 section 9.7.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// A value for each challenge, at `_acme-challenge` (RFC 8555 section 8.4).
    #[serde(rename = "dns-01")]
    Dns01,
    /// The same at a label below it that is the ACME account's own (draft-ietf-acme-dns-account-label).
    #[serde(rename = "dns-account-01")]
    DnsAccount01,
    /// A standing record that names CA and account, at `_validation-persist` (draft-ietf-acme-dns-persist).
    #[serde(rename = "dns-persist-01")]
    DnsPersist01,
}

impl Method {
    /// Its name in ACME, and in CAA records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns01 => "dns-01",
            Self::DnsAccount01 => "dns-account-01",
            Self::DnsPersist01 => "dns-persist-01",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
