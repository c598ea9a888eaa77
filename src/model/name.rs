//! Domain names: [`Name`] in canonical wire form, the apex of a zone, and the [owners](owner) at which accounts
//! publish.

pub mod idn;
pub mod owner;
pub mod owner_label;

mod alias;
mod error;

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use owner::Owner;
pub use owner_label::{OwnerLabel, Subdomain};

pub use alias::{Alias, AliasError};
pub use error::NameError;

/// The most bytes of a name on the wire, the root's zero byte included (RFC 1035 section 2.3.4).
pub const MAX_NAME: usize = 255;
/// The most bytes of one label (RFC 1035 section 2.3.4).
pub const MAX_LABEL: usize = 63;

/// A fully qualified domain name in canonical form: uncompressed wire format, ASCII letters in lower case
/// (RFC 4034 section 6.2). Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<[u8]>);

impl Name {
    /// Reads a name in uncompressed wire form, root byte included, and turns it into lower case.
    ///
    /// # Errors
    ///
    /// The bytes are not exactly one name of at most 255 bytes.
    pub fn from_wire(wire: &[u8]) -> Result<Self, NameError> {
        if wire.len() > MAX_NAME {
            return Err(NameError::Long);
        }
        let mut at = 0;
        loop {
            match wire.get(at) {
                Some(0) if at + 1 == wire.len() => return Ok(Self(wire.to_ascii_lowercase().into())),
                Some(&length) if length != 0 && usize::from(length) <= MAX_LABEL => at += 1 + usize::from(length),
                _ => return Err(NameError::EmptyLabel),
            }
        }
    }

    /// The root's name.
    pub fn root() -> Self {
        Self([0].into())
    }

    /// The zone with this apex as a sentence names it: `the root`, or `example.org`.
    pub fn as_zone(&self) -> String {
        if *self == Self::root() { "the root".to_owned() } else { self.to_string() }
    }

    /// The name one label below this one.
    pub fn child(&self, label: &str) -> Result<Self, NameError> {
        let mut wire = Vec::with_capacity(1 + label.len() + self.0.len());
        push_label(&mut wire, label)?;
        wire.extend_from_slice(&self.0);
        Self::from_wire(&wire)
    }

    /// The name one label above this one; `None` above the root.
    pub fn parent(&self) -> Option<Self> {
        let first = usize::from(self.0[0]);
        (first != 0).then(|| Self(self.0[1 + first..].into()))
    }

    /// A borrowed view, for look-ups.
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.0)
    }

    /// The wire form, root byte included.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Whether this name is `apex` or lies below it.
    pub fn is_in(&self, apex: &Self) -> bool {
        self.as_ref().below(apex.as_ref()).is_some()
    }
}

impl Borrow<[u8]> for Name {
    /// The wire form, so that a map with names as keys can be searched with the bytes of a [`NameRef`].
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    /// Reads `auth.example.org`, with or without the closing dot, and turns U-labels into A-labels. Escapes are errors:
    /// only zone files need them, and have a parser of their own.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let text = &*idn::to_ascii(text)?;
        let mut wire = Vec::with_capacity(text.len() + 2);
        let text = text.strip_suffix('.').unwrap_or(text);
        if !text.is_empty() {
            for label in text.split('.') {
                push_label(&mut wire, label)?;
            }
        }
        wire.push(0);
        Self::from_wire(&wire)
    }
}

fn push_label(wire: &mut Vec<u8>, label: &str) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    if let Some(bad) = label.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
        return Err(NameError::Character(bad));
    }
    let length = u8::try_from(label.len()).ok().filter(|n| usize::from(*n) <= MAX_LABEL);
    wire.push(length.ok_or_else(|| NameError::LongLabel(label.to_owned()))?);
    wire.extend(label.bytes().map(|b| b.to_ascii_lowercase()));
    Ok(())
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// A borrowed [`Name`]: canonical wire form, made only from a [`Name`] or by [`NameRef::lowered`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameRef<'a>(&'a [u8]);

impl<'a> NameRef<'a> {
    /// Copies a name that a DNS parser has already checked into `buffer`, in lower case.
    ///
    /// `wire` is one uncompressed name of at most 255 bytes, root byte included. The caller has checked its labels.
    pub fn lowered(wire: &[u8], buffer: &'a mut [u8; MAX_NAME]) -> Self {
        let buffer = &mut buffer[..wire.len()];
        buffer.copy_from_slice(wire);
        buffer.make_ascii_lowercase();
        Self(buffer)
    }

    /// The wire form, root byte included.
    pub fn as_wire(self) -> &'a [u8] {
        self.0
    }

    /// An owned copy.
    pub fn to_name(self) -> Name {
        Name(self.0.into())
    }

    /// The labels, first to last, without the root.
    pub fn labels(self) -> Labels<'a> {
        Labels(self.0)
    }

    /// The labels before `apex`: none where this name is `apex` itself, `None` where it is not in the zone.
    pub fn below(self, apex: NameRef<'_>) -> Option<Labels<'a>> {
        let split = self.0.len().checked_sub(apex.0.len())?;
        if &self.0[split..] != apex.0 {
            return None;
        }
        // The bytes are equal, but a label must also end at the split.
        let mut at = 0;
        while at < split {
            at += 1 + usize::from(self.0[at]);
        }
        (at == split).then(|| Labels(&self.0[..split]))
    }
}

impl fmt::Display for NameRef<'_> {
    /// Presentation form without the closing dot (the root is `.`), escaped as RFC 1035 section 5.1 says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.labels().fmt(f)
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The labels of a name in order, without the root.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Labels<'a> {
    /// The labels of a name that a DNS parser has already checked, in their original case.
    pub fn of_wire(wire: &'a [u8]) -> Self {
        Self(wire)
    }
}

impl fmt::Display for Labels<'_> {
    /// Presentation form without the closing dot, escaped as RFC 1035 section 5.1 says; no labels are `.`, the root.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut labels = *self;
        if labels.next().is_none() {
            return f.write_str(".");
        }
        for (index, label) in (*self).enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => write!(f, "\\{}", byte as char)?,
                    0x21..=0x7e => write!(f, "{}", byte as char)?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&length, rest) = self.0.split_first()?;
        if length == 0 {
            return None;
        }
        let (label, rest) = rest.split_at(usize::from(length));
        self.0 = rest;
        Some(label)
    }
}

/// The apex of a delegated zone for which the daemon is authoritative. Never the root.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ZoneName(Name);

/// The first label of the name at which a CA looks for a challenge's value (RFC 8555 section 8.4).
pub const CHALLENGE_LABEL: &str = "_acme-challenge";
/// The first label of the name at which a CA looks for a persistent authorization (draft-ietf-acme-dns-persist).
pub const PERSIST_LABEL: &str = "_validation-persist";

/// The domain that people mean by a name: `*.example.com`, and the names at which a CA looks for its challenges, stand
/// for `example.com`.
///
/// # Errors
///
/// What follows such a beginning is not a name.
pub fn domain_of(typed: &str) -> Result<Name, NameError> {
    let name: Name = typed.strip_prefix("*.").unwrap_or(typed).parse()?;
    let first = name.as_ref().labels().next();
    let is_below =
        first.is_some_and(|label| [CHALLENGE_LABEL, PERSIST_LABEL].iter().any(|own| own.as_bytes() == label));
    Ok(name.parent().filter(|parent| is_below && parent.parent().is_some()).unwrap_or(name))
}

impl ZoneName {
    /// The apex as a name.
    pub fn apex(&self) -> &Name {
        &self.0
    }

    /// Whether the zone is a challenge zone: the `_acme-challenge` or `_validation-persist` of a domain, delegated with
    /// NS records in place of a CNAME. An account owns its apex, and nobody can register subdomains in it.
    pub fn is_challenge(&self) -> bool {
        self.begins_with(CHALLENGE_LABEL) || self.begins_with(PERSIST_LABEL)
    }

    /// Whether `label` is the first label of the apex.
    pub fn begins_with(&self, label: &str) -> bool {
        self.0.as_ref().labels().next() == Some(label.as_bytes())
    }
}

impl FromStr for ZoneName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name: Name = text.parse()?;
        if name.parent().is_none() {
            return Err(NameError::Empty);
        }
        Ok(Self(name))
    }
}

impl TryFrom<String> for ZoneName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for ZoneName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_lower_case_and_print_without_the_closing_dot() {
        assert_eq!(name("Auth.Example.ORG.").to_string(), "auth.example.org");
        assert_eq!(name(".").to_string(), ".");
        assert_eq!("a..b".parse::<Name>(), Err(NameError::EmptyLabel));
        assert_eq!("a b".parse::<Name>(), Err(NameError::Character(' ')));
        assert!(matches!("x".repeat(64).parse::<Name>(), Err(NameError::LongLabel(_))));
        assert_eq!(["abcdefg"; 32].join(".").parse::<Name>(), Err(NameError::Long));
    }

    #[test]
    fn below_needs_a_label_boundary() {
        let apex = name("auth.example.org");
        let labels = |text: &str| name(text).as_ref().below(apex.as_ref()).map(Iterator::count);
        assert_eq!(labels("auth.example.org"), Some(0));
        assert_eq!(labels("a.b.auth.example.org"), Some(2));
        assert_eq!(labels("xauth.example.org"), None);
        assert_eq!(labels("example.org"), None);
        // The label `x\004auth` holds the apex's bytes without being below it.
        let wire = b"\x06x\x04auth\x07example\x03org\x00";
        assert_eq!(Name::from_wire(wire).unwrap().as_ref().below(apex.as_ref()).map(Iterator::count), None);
    }

    #[test]
    fn wire_form_must_be_one_whole_name() {
        assert!(Name::from_wire(b"\x01a\x00\x00").is_err());
        assert!(Name::from_wire(b"\x01a").is_err());
        assert!(Name::from_wire(b"\xc0\x0c").is_err());
        assert_eq!(Name::from_wire(b"\x03A.b\x00").unwrap().to_string(), "a\\.b");
    }
}
