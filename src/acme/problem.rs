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
    /// A page about this problem, such as the changed terms of service.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub instance: Option<String>,
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

/// Reads a member that nothing depends on: whatever cannot be parsed counts as absent.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Default + DeserializeOwned>(from: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(from)?).unwrap_or_default())
}

/// Reads a list, and skips elements that cannot be parsed: they may be new in the protocol.
pub(super) fn readable<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    let all: Vec<Value> = or_default(from)?;
    Ok(all.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect())
}

impl Problem {
    /// The name of an ACME error, such as `badNonce`; empty for other types.
    pub fn name(&self) -> &str {
        name_of(self.kind.as_deref())
    }

    /// Whether this is the ACME error `name`.
    pub fn is(&self, name: &str) -> bool {
        self.name() == name
    }

    /// The names that have problems of their own, with these.
    pub fn names(&self) -> impl Iterator<Item = (String, String)> {
        let named = self.subproblems.iter().filter_map(|sub| Some((sub.identifier.as_ref()?, sub)));
        named.map(|(identifier, sub)| {
            let problem = format!("{} ({})", explanation(sub.detail.as_deref()), type_of(sub.kind.as_deref()));
            (identifier.value.clone(), problem)
        })
    }

    /// What the operator can do; empty if nothing is known. The advice on the problems of single names is better than that
    /// on what they have in common.
    pub fn advice(&self, refused: Refused<'_>) -> String {
        let mut all: Vec<String> = Vec::new();
        for sub in &self.subproblems {
            let advice = advice(name_of(sub.kind.as_deref()), refused);
            if !advice.is_empty() && !all.contains(&advice) {
                all.push(advice);
            }
        }
        if !all.is_empty() {
            return all.join("; ");
        }
        // Whatever the type: some CAs have none for this.
        if matches!((refused, self.status), (Refused::Request, Some(405 | 501))) {
            return NOT_OFFERED.to_owned();
        }
        match advice(self.name(), refused) {
            unknown if unknown.is_empty() && self.status == Some(404) => NOT_OFFERED.to_owned(),
            advice => advice,
        }
    }
}

/// What the CA has refused. The same error means different things.
#[derive(Debug, Clone, Copy)]
pub enum Refused<'a> {
    /// A request that the account has signed.
    Request,
    /// The proof of a name: the CA has looked at a record. Its name, where it is known.
    Proof(Option<&'a str>),
}

/// The name of an ACME error, such as `badNonce`; empty for other types.
fn name_of(kind: Option<&str>) -> &str {
    kind.and_then(|kind| kind.strip_prefix(ACME_ERROR)).unwrap_or_default()
}

/// The advice on an error by its name.
fn advice(name: &str, refused: Refused<'_>) -> String {
    let in_table = |table: &[(&str, &'static str)]| table.iter().find(|(of, _)| *of == name).map(|(_, advice)| *advice);
    match refused {
        Refused::Request => in_table(ADVICE).unwrap_or_default().to_owned(),
        Refused::Proof(record) => {
            let advice = in_table(PROOF_ADVICE).or_else(|| in_table(ADVICE)).unwrap_or(UNKNOWN_PROOF);
            advice.replace(RECORD, record.unwrap_or(RECORD))
        }
    }
}

/// Advice where the reply is "not allowed" or "not implemented", or "not found" with an error that is not known.
const NOT_OFFERED: &str = "the CA does not offer this step";

/// Stands in advice for the name at which the CA has looked.
const RECORD: &str = "_acme-challenge.<name>";

/// Advice on a proof that has failed without an error that is known.
const UNKNOWN_PROOF: &str =
    "the daemon tries again with another order; `dig +trace TXT _acme-challenge.<name>` shows where the name leads";

/// Advice where the CA has looked at a record and has not proven the name, as far as it differs from [`ADVICE`].
/// docs/acme.md has the same list.
const PROOF_ADVICE: &[(&str, &str)] = &[
    (
        "dns",
        "the CA's resolver got no usable answer: check with `dig +trace TXT _acme-challenge.<name>` that the CNAME and the delegation lead here, that the DS record fits where the zone is signed, and that the firewall lets everybody in on UDP and TCP port 53",
    ),
    (
        "incorrectResponse",
        "the CA saw another value than the published one: check with `dig +trace TXT _acme-challenge.<name>` that the CNAME leads to this server, and that the delegation names no second or former server",
    ),
    (
        "malformed",
        "the CA could not use the record: check with `dig +trace TXT _acme-challenge.<name>` that it leads here and that nothing else stands there",
    ),
    (
        "rateLimited",
        "too many validations of this name have failed: check with `dig +trace TXT _acme-challenge.<name>` where it leads; the daemon tries again when the CA allows it",
    ),
    (
        "rejectedIdentifier",
        "the CA refuses the proof of this name: check with `dig +trace TXT _acme-challenge.<name>` that the CNAME leads to this server; if it does, the CA issues no certificate for this name",
    ),
    (
        "unauthorized",
        "the CA did not see the TXT value, or saw another one: check with `dig +trace TXT _acme-challenge.<name>` that the CNAME leads to this server, that the delegation names no second or former server, and that no resolver still remembers an older answer",
    ),
];

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
    (
        "unauthorized",
        "the CA refuses this account: `txtgate acme account show` says whether it is valid; a deactivated account cannot be used again, and without its file the daemon makes another one",
    ),
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
        if let Some(page) = &self.instance {
            write!(f, "; see {}", sanitized(page))?;
        }
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
        assert!(problem.is("rejectedIdentifier"));
        assert!(
            problem.advice(Refused::Request).starts_with("a CAA record forbids"),
            "the advice is on the name's problem"
        );
        let bare = r#"{"type":"urn:ietf:params:acme:error:badNonce","detail":null,"status":null,"subproblems":null}"#;
        assert!(serde_json::from_str::<Problem>(bare).unwrap().is("badNonce"), "null is nothing");
        assert_eq!(Problem::default().to_string(), "no explanation (about:blank)");
    }

    fn advice_on(name: &str, refused: Refused<'_>) -> String {
        Problem { kind: Some(format!("{ACME_ERROR}{name}")), ..Problem::default() }.advice(refused)
    }

    #[test]
    fn a_proof_that_fails_gets_advice_on_dns_and_none_on_accounts() {
        let at = Refused::Proof(Some("_acme-challenge.a.test"));
        for name in
            ["unauthorized", "incorrectResponse", "dns", "rejectedIdentifier", "rateLimited", "somethingNew", ""]
        {
            let advice = advice_on(name, at);
            assert!(advice.contains("`dig +trace TXT _acme-challenge.a.test`"), "{name}: {advice}");
            assert!(!advice.contains("account") && !advice.contains("<name>"), "{name}: {advice}");
        }
        for (name, expected) in [("caa", "CAA record"), ("connection", "port 53"), ("serverInternal", "tries again")] {
            assert!(advice_on(name, at).contains(expected), "{name}");
        }
        assert!(advice_on("unauthorized", Refused::Proof(None)).contains("_acme-challenge.<name>"));
        assert!(advice_on("unauthorized", Refused::Request).contains("deactivated account"));
        assert_eq!(advice_on("somethingNew", Refused::Request), "");
    }

    #[test]
    fn a_step_that_the_ca_does_not_have_is_called_that() {
        let status = Some(501);
        for name in ["notImplemented", "rejectedIdentifier"] {
            let kind = Some(format!("{ACME_ERROR}{name}"));
            assert_eq!(Problem { kind, status, ..Problem::default() }.advice(Refused::Request), NOT_OFFERED);
        }
    }

    #[test]
    fn the_page_of_changed_terms_is_shown() {
        let text = r#"{"type":"urn:ietf:params:acme:error:userActionRequired","detail":"new terms","instance":"https://ca.test/tos"}"#;
        let problem: Problem = serde_json::from_str(text).unwrap();
        assert!(problem.to_string().ends_with("userActionRequired); see https://ca.test/tos"), "{problem}");
    }

    #[test]
    fn the_documentation_has_the_same_advice() {
        let documentation = include_str!("../../docs/acme.md");
        for (name, advice) in ADVICE.iter().chain(PROOF_ADVICE) {
            assert!(documentation.contains(&format!("| `{name}` | {advice} |\n")), "{name}");
        }
    }
}
