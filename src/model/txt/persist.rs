//! Persistent authorizations, which CAs read for dns-persist-01 (draft-ietf-acme-dns-persist-01).

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::model::name::{MAX_LABEL, MAX_NAME};
use crate::model::text::serde_as_text;
use crate::model::time::{RunningTime, Timestamp};

/// The most characters of a persistent authorization. All those of an owner, together with the most challenges, fit a
/// DNS message over TCP.
pub const MAX_PERSIST_VALUE: usize = 512;

/// A text is not a persistent authorization.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PersistValueError {
    #[error("a persistent authorization has 1 to {MAX_PERSIST_VALUE} characters; found {0}")]
    Length(usize),
    #[error("a persistent authorization is printable ASCII, spaces and tabs; found {0:?}")]
    Character(char),
    #[error("it begins with the CA's issuer domain name in lower case, like `letsencrypt.org`; found {0:?}")]
    Issuer(String),
    #[error("nothing may be empty between or behind the `;`: CAs take the whole value for malformed")]
    EmptyParameter,
    #[error(
        "behind each `;` stands `tag=value`, the tag of letters, digits and hyphens, no space in the value; found {0:?}"
    )]
    Parameter(String),
    #[error("`{0}` stands there twice: CAs take the whole value for malformed")]
    Twice(String),
    #[error("`accounturi=` and the ACME account's URL are missing: CAs would not know whom it authorizes")]
    NoAccount,
    #[error("accounturi is the ACME account's URL, like `https://ca.example/acct/123`; found {0:?}")]
    AccountUri(String),
    #[error("the one policy that CAs know is `policy=wildcard`; found {0:?}")]
    Policy(String),
    #[error("persistUntil is in Unix seconds, like `persistUntil=1767225600`; found {0:?}")]
    PersistUntil(String),
}

/// An issue-value (RFC 8659 section 4.2): a CA's issuer domain name, the URL of the ACME account that may get
/// certificates from it, and limits. Stored byte for byte, without the blanks around it.
///
/// The parser is stricter than a CA: it refuses every text that a CA would silently understand in another way.
#[derive(Clone)]
pub struct PersistValue {
    text: Arc<str>,
    persist_until: Option<Timestamp>,
}

impl PersistValue {
    /// The issue-value.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The CA's issuer domain name.
    pub fn issuer(&self) -> &str {
        self.text.split(';').next().unwrap_or_default().trim_matches(BLANKS)
    }

    /// The URL of the ACME account that may get certificates.
    pub fn account(&self) -> &str {
        self.parameter("accounturi").unwrap_or_default()
    }

    /// Whether it authorizes wildcards as well.
    pub fn is_wildcard(&self) -> bool {
        self.parameter("policy").is_some()
    }

    /// The value of a parameter, of which `from_str` refuses a second one.
    fn parameter(&self, wanted: &str) -> Option<&str> {
        let mut parameters = self.text.split(';').skip(1).filter_map(|part| part.split_once('='));
        let found = parameters.find(|(tag, _)| tag.trim_matches(BLANKS).eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim_matches(BLANKS))
    }

    /// The last moment at which a CA accepts it, if it names one.
    pub fn persist_until(&self) -> Option<Timestamp> {
        self.persist_until
    }
}

impl FromStr for PersistValue {
    type Err = PersistValueError;

    fn from_str(text: &str) -> Result<Self, PersistValueError> {
        let text = text.trim_matches(BLANKS);
        if let Some(bad) = text.chars().find(|c| !(c.is_ascii_graphic() || BLANKS.contains(c))) {
            return Err(PersistValueError::Character(bad));
        }
        if !(1..=MAX_PERSIST_VALUE).contains(&text.len()) {
            return Err(PersistValueError::Length(text.len()));
        }
        let mut parts = text.split(';').map(|part| part.trim_matches(BLANKS));
        let issuer = parts.next().unwrap_or_default();
        if !is_issuer(issuer) {
            return Err(PersistValueError::Issuer(issuer.to_owned()));
        }
        let mut parameters = Parameters::default();
        parts.try_for_each(|part| parameters.read(part))?;
        if !parameters.has_account {
            return Err(PersistValueError::NoAccount);
        }
        Ok(Self { text: text.into(), persist_until: parameters.persist_until })
    }
}

/// WSP (RFC 5234 appendix B.1).
const BLANKS: [char; 2] = [' ', '\t'];

/// The parameters read so far.
#[derive(Default)]
struct Parameters {
    tags: HashSet<String>,
    has_account: bool,
    persist_until: Option<Timestamp>,
}

impl Parameters {
    fn read(&mut self, part: &str) -> Result<(), PersistValueError> {
        if part.is_empty() {
            return Err(PersistValueError::EmptyParameter);
        }
        let malformed = || PersistValueError::Parameter(part.to_owned());
        let (tag, value) = part.split_once('=').ok_or_else(malformed)?;
        let (tag, value) = (tag.trim_matches(BLANKS), value.trim_matches(BLANKS));
        if !is_label(tag) || value.contains(BLANKS) {
            return Err(malformed());
        }
        // RFC 8659 section 4.2: tags are compared without regard to case.
        let tag = tag.to_ascii_lowercase();
        match tag.as_str() {
            "accounturi" if !is_uri(value) => return Err(PersistValueError::AccountUri(value.to_owned())),
            "accounturi" => self.has_account = true,
            "policy" if !value.eq_ignore_ascii_case("wildcard") => {
                return Err(PersistValueError::Policy(value.to_owned()));
            }
            "persistuntil" => self.persist_until = Some(seconds(value)?),
            // `wildcard`, or an unknown parameter, which CAs ignore too (section 4.1, item 1).
            _ => {}
        }
        if self.tags.insert(tag.clone()) { Ok(()) } else { Err(PersistValueError::Twice(tag)) }
    }
}

fn seconds(value: &str) -> Result<Timestamp, PersistValueError> {
    let is_number = !value.is_empty() && value.bytes().all(|digit| digit.is_ascii_digit());
    let seconds = value.parse().ok().filter(|_| is_number);
    seconds.map(Timestamp::from_unix).ok_or_else(|| PersistValueError::PersistUntil(value.to_owned()))
}

/// Whether a text is a name of A-labels in lower case, without a closing dot (section 3.1).
fn is_issuer(text: &str) -> bool {
    text.len() < MAX_NAME && !text.bytes().any(|byte| byte.is_ascii_uppercase()) && text.split('.').all(is_label)
}

/// Letters, digits and inner hyphens.
fn is_label(text: &str) -> bool {
    let is_ldh = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (1..=MAX_LABEL).contains(&text.len()) && is_ldh && !text.starts_with('-') && !text.ends_with('-')
}

/// Whether a text has a scheme and something behind it (RFC 3986 section 3). CAs compare the whole text with the URL
/// that they gave out.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(inner) && !rest.is_empty()
}

impl PartialEq for PersistValue {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PersistValue {}

impl fmt::Display for PersistValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PersistValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

serde_as_text!(PersistValue);

/// A published persistent authorization and its times.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PersistentValue {
    pub value: PersistValue,
    /// The date of the last publication.
    pub published: Timestamp,
    /// The first moment at which it is no longer served; `None`: served until it is retired.
    pub expires: Option<RunningTime>,
}

impl PersistentValue {
    /// Whether it is served at `now`.
    pub fn is_live(&self, now: RunningTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PersistValue, PersistValueError> {
        text.parse()
    }

    #[test]
    fn what_a_ca_would_go_by_is_kept_byte_for_byte() {
        for text in [
            "letsencrypt.org; accounturi=https://acme-v02.api.letsencrypt.org/acme/acct/123",
            "ca.example;accounturi=https://ca.example/acct/1?a=b=c;POLICY=WildCard;persistUntil=1767225600",
            "ca.example \t;\tAccountURI = urn:x ; future-tag=;x1=!\"#",
        ] {
            assert_eq!(read(text).unwrap().as_str(), text);
            assert_eq!(read(&format!(" \t{text} ")).unwrap().as_str(), text);
        }
        let value = read("ca.example \t; AccountURI\t= urn:x ; Policy=Wildcard").unwrap();
        assert_eq!((value.issuer(), value.account(), value.is_wildcard()), ("ca.example", "urn:x", true));
        assert!(!read("ca.example; accounturi=urn:policy=wildcard").unwrap().is_wildcard());
        let until = read("ca.example; accounturi=urn:x; persistuntil=1767225600").unwrap().persist_until();
        assert_eq!(until, Some(Timestamp::from_unix(1_767_225_600)));
        let far = format!("ca.example; accounturi=urn:x; persistUntil={}", u64::MAX);
        assert_eq!(read(&far).unwrap().persist_until(), Some(Timestamp::from_unix(u64::MAX)));
    }

    #[test]
    fn what_a_ca_would_take_for_something_else_is_refused() {
        use PersistValueError as E;
        let twice = "ca.example; accounturi=urn:x; AccountURI=urn:y";
        let long = format!("ca.example; accounturi=urn:{}", "x".repeat(MAX_PERSIST_VALUE));
        for (text, error) in [
            ("", E::Length(0)),
            (&long, E::Length(27 + MAX_PERSIST_VALUE)),
            ("ca.example; accounturi=urn:\u{e4}", E::Character('\u{e4}')),
            ("ca.example;\naccounturi=urn:x", E::Character('\n')),
            ("; accounturi=urn:x", E::Issuer(String::new())),
            ("CA.example; accounturi=urn:x", E::Issuer("CA.example".into())),
            ("ca.example.; accounturi=urn:x", E::Issuer("ca.example.".into())),
            ("accounturi=urn:x; ca.example", E::Issuer("accounturi=urn:x".into())),
            ("ca.example", E::NoAccount),
            ("ca.example; policy=wildcard", E::NoAccount),
            ("ca.example; accounturi=urn:x;", E::EmptyParameter),
            ("ca.example;; accounturi=urn:x", E::EmptyParameter),
            ("ca.example; accounturi", E::Parameter("accounturi".into())),
            ("ca.example; accounturi=urn:x y", E::Parameter("accounturi=urn:x y".into())),
            ("ca.example; account uri=urn:x", E::Parameter("account uri=urn:x".into())),
            ("ca.example; accounturi=", E::AccountUri(String::new())),
            ("ca.example; accounturi=/acct/1", E::AccountUri("/acct/1".into())),
            (twice, E::Twice("accounturi".into())),
            ("ca.example; accounturi=urn:x; policy=wildcards", E::Policy("wildcards".into())),
            ("ca.example; accounturi=urn:x; persistUntil=+1", E::PersistUntil("+1".into())),
            ("ca.example; accounturi=urn:x; persistUntil=2026-01-01", E::PersistUntil("2026-01-01".into())),
        ] {
            assert_eq!(read(text), Err(error), "{text}");
        }
    }
}
