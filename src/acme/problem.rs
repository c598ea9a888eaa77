//! A CA's errors (RFC 8555 section 6.7): shown in the CA's words, with advice on each.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The prefix of ACME's error types.
const ACME_ERROR: &str = "urn:ietf:params:acme:error:";
/// The most characters of a CA's text that go into logs and replies.
const MAX_TEXT: usize = 1_000;

/// A problem document (RFC 9457), with the subproblems of RFC 8555 section 6.7.1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The type, such as `urn:ietf:params:acme:error:badNonce`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The CA's explanation.
    pub detail: Option<String>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The problem of each name, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "readable")]
    pub subproblems: Vec<Subproblem>,
}

/// The problem of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subproblem {
    /// The type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The CA's explanation.
    pub detail: Option<String>,
    /// The name.
    pub identifier: Option<IdentifierObject>,
}

/// An identifier as the CA writes it (RFC 8555 section 7.1.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdentifierObject {
    /// `dns` or `ip`.
    #[serde(rename = "type", deserialize_with = "or_empty")]
    pub kind: String,
    /// The name.
    #[serde(deserialize_with = "or_empty")]
    pub value: String,
}

/// Reads `null` as an absent member: some CAs write it.
pub(super) fn or_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// Reads a list, or `null`, and skips elements that cannot be parsed: they may be new in the protocol.
pub(super) fn readable<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    let all: Vec<Value> = or_empty(from)?;
    Ok(all.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect())
}

impl Problem {
    /// The name of an ACME error, such as `badNonce`; empty for other types.
    pub fn name(&self) -> &str {
        self.kind.as_deref().and_then(|kind| kind.strip_prefix(ACME_ERROR)).unwrap_or_default()
    }

    /// Whether this is the ACME error `name`.
    pub fn is(&self, name: &str) -> bool {
        self.name() == name
    }

    /// What the operator can do; empty if nothing is known.
    pub fn advice(&self) -> &'static str {
        ADVICE.iter().find(|(name, _)| *name == self.name()).map_or("", |(_, advice)| advice)
    }
}

/// Advice on each error of RFC 8555 section 6.7, RFC 9773 and the profiles draft. docs/acme.md has the same list.
const ADVICE: &[(&str, &str)] = &[
    (
        "accountDoesNotExist",
        "the CA does not know this account: it has deleted the account, or `directory` is another CA's now; move the account's file away to create a new one",
    ),
    ("alreadyReplaced", "the certificate has a successor already; nothing needs to be done"),
    ("alreadyRevoked", "the certificate is revoked already; nothing needs to be done"),
    ("badCSR", "the CA does not accept this kind of key; set another `key-type`"),
    ("badNonce", "the CA refuses its own nonces; the daemon tries again"),
    ("badPublicKey", "the CA does not accept this kind of key; set another `key-type`"),
    ("badRevocationReason", "the CA does not accept this reason; choose another one, or none"),
    (
        "caa",
        "a CAA record forbids this CA; add one with `issue \"<the CA's name>\"`, which `txtgate acme directory` prints",
    ),
    (
        "connection",
        "the CA did not reach the nameservers; check that the firewall lets everybody in on UDP and TCP port 53",
    ),
    (
        "dns",
        "the CA's resolver got no answer for the name; check the delegation, and that the firewall lets everybody in on UDP and TCP port 53",
    ),
    (
        "externalAccountRequired",
        "this CA has accounts for its customers only; get a key from it, and set `eab-kid` and `eab-key-file` in [acme]",
    ),
    (
        "incorrectResponse",
        "the CA saw another value than the published one; check whether the delegation names a second or a former server",
    ),
    ("invalidContact", "the CA does not accept this contact; correct `contact` in [acme]"),
    ("invalidProfile", "the CA has no such profile; `txtgate acme directory` lists its profiles"),
    (
        "malformed",
        "the CA does not understand the request; check that `directory` is that of an ACME server (RFC 8555)",
    ),
    ("orderNotReady", "the CA cannot do this now; the daemon tries again"),
    ("rateLimited", "a limit of the CA is reached; the daemon tries again when the CA allows it"),
    ("rejectedIdentifier", "the CA issues no certificate for this name"),
    ("serverInternal", "the CA cannot do this now; the daemon tries again"),
    ("unauthorized", "the CA refuses this account or this proof; a deactivated account cannot be used again"),
    ("unsupportedContact", "the CA does not accept this contact; correct `contact` in [acme]"),
    ("unsupportedIdentifier", "the CA does not accept this kind of name"),
    ("userActionRequired", "the CA's terms have changed; visit the page that it names"),
];

/// A CA's text on one line, cut to a bounded length, without control characters.
fn sanitized(text: &str) -> String {
    text.chars().take(MAX_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn explanation(detail: Option<&str>) -> String {
    detail.map_or_else(|| "no explanation".to_owned(), sanitized)
}

fn type_of(kind: Option<&str>) -> String {
    sanitized(kind.unwrap_or("about:blank"))
}

impl fmt::Display for Problem {
    /// The CA's explanation, its error type and the HTTP status, followed by the problem of each name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", explanation(self.detail.as_deref()), type_of(self.kind.as_deref()))?;
        if let Some(status) = self.status {
            write!(f, ", HTTP {status}")?;
        }
        f.write_str(")")?;
        for sub in self.subproblems.iter().take(100) {
            let name = sub.identifier.as_ref().map(|name| sanitized(&name.value) + ": ").unwrap_or_default();
            write!(f, "; {name}{} ({})", explanation(sub.detail.as_deref()), type_of(sub.kind.as_deref()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown_in_the_words_of_the_ca() {
        let text = r#"{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"some\nfailed","status":403,"x":1,
            "subproblems":[{"type":"urn:ietf:params:acme:error:caa","detail":"CAA forbids","identifier":{"type":"dns","value":"a.test"}}]}"#;
        let problem: Problem = serde_json::from_str(text).unwrap();
        assert_eq!(
            problem.to_string(),
            "some failed (urn:ietf:params:acme:error:rejectedIdentifier, HTTP 403); a.test: CAA forbids \
             (urn:ietf:params:acme:error:caa)"
        );
        assert!(problem.is("rejectedIdentifier") && !problem.advice().is_empty());
        let bare = r#"{"type":"urn:ietf:params:acme:error:badNonce","detail":null,"status":null,"subproblems":null}"#;
        assert!(serde_json::from_str::<Problem>(bare).unwrap().is("badNonce"), "null is nothing");
        assert_eq!(Problem::default().to_string(), "no explanation (about:blank)");
    }

    #[test]
    fn the_documentation_has_the_same_advice() {
        let documentation = include_str!("../../docs/acme.md");
        for (name, advice) in ADVICE {
            assert!(documentation.contains(&format!("| `{name}` | {advice} |\n")), "{name}");
        }
    }
}
