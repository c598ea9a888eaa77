//! Names in certificates.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::model::name::{Name, NameError};

/// No certificate can be had for a text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentifierError {
    #[error("{0} is an IP address; it cannot be proven by DNS (RFC 8738 section 7), so name a host instead")]
    Address(IpAddr),
    #[error("{0:?} has a * that is not its whole first label; write names like \"example.com\" or \"*.example.com\"")]
    Wildcard(String),
    #[error("write the name of a host; found {0:?}: {1}")]
    Name(String, NameError),
    #[error("write the name of a host, of two labels or more of letters, digits and inner hyphens; found {0:?}")]
    Host(String),
}

/// A DNS identifier of a certificate: the name of a host, or a wildcard (RFC 8555 section 7.1.3).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Identifier {
    base: Name,
    is_wildcard: bool,
}

impl Identifier {
    /// The name without `*.`. A challenge proves it at `_acme-challenge.` before this name (RFC 8555 section 8.4).
    pub fn base(&self) -> &Name {
        &self.base
    }

    /// Whether the identifier covers every name one label below its base.
    pub fn is_wildcard(&self) -> bool {
        self.is_wildcard
    }
}

impl FromStr for Identifier {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        let shown = || text.chars().take(300).collect::<String>();
        if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse() {
            return Err(IdentifierError::Address(address));
        }
        let (base, is_wildcard) = text.strip_prefix("*.").map_or((text, false), |base| (base, true));
        if base.contains('*') {
            return Err(IdentifierError::Wildcard(shown()));
        }
        let base: Name = base.parse().map_err(|error| IdentifierError::Name(shown(), error))?;
        let is_ldh = |label: &[u8]| !label.contains(&b'_') && !label.starts_with(b"-") && !label.ends_with(b"-");
        if base.as_ref().labels().count() < 2 || !base.as_ref().labels().all(is_ldh) {
            return Err(IdentifierError::Host(shown()));
        }
        Ok(Self { base, is_wildcard })
    }
}

impl TryFrom<String> for Identifier {
    type Error = IdentifierError;

    fn try_from(text: String) -> Result<Self, IdentifierError> {
        text.parse()
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_wildcard { "*." } else { "" }, self.base)
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Identifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_wildcards() {
        let wildcard: Identifier = "*.Example.COM.".parse().unwrap();
        assert_eq!((wildcard.to_string().as_str(), wildcard.is_wildcard()), ("*.example.com", true));
        assert_eq!(wildcard.base().to_string(), "example.com");
        assert!(!"xn--bcher-kva.example".parse::<Identifier>().unwrap().is_wildcard());
    }

    #[test]
    fn what_dns_cannot_prove_is_refused_with_a_reason() {
        for address in ["192.0.2.1", "2001:db8::1", "[::1]"] {
            assert!(matches!(address.parse::<Identifier>(), Err(IdentifierError::Address(_))), "{address}");
        }
        for bad in ["a.*.example.com", "*example.com", "*.*.example.com"] {
            assert!(matches!(bad.parse::<Identifier>(), Err(IdentifierError::Wildcard(_))), "{bad}");
        }
        for bad in ["b\u{378}cher.example", "", "*.", "a..b"] {
            assert!(matches!(bad.parse::<Identifier>(), Err(IdentifierError::Name(..))), "{bad}");
        }
        for bad in ["localhost", "a_b.example.com", "-a.example.com", "*.com"] {
            assert!(matches!(bad.parse::<Identifier>(), Err(IdentifierError::Host(_))), "{bad}");
        }
    }
}
