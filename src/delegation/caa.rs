//! CAA records (RFC 8659, RFC 8657): whether a CA may issue, checked before the CA is asked.
//!
//! A CA that has to refuse counts a failure, and too many failures lock the account out for hours.

use std::fmt;

use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::CAA;

use crate::config::Method;
use crate::model::identifier::Identifier;
use crate::model::name::Name;
use crate::model::text::listed;
use crate::net::dns_client::{DnsClient, LookupError};

use super::finding::{Assessment, Finding, question};
use super::issuer::IssuerIdentity;
use super::lookups::Lookups;

/// Property tags whose critical bit can be ignored: they do not restrict web certificates.
const KNOWN: [&str; 7] = ["issue", "issuewild", "issuemail", "issuevmc", "iodef", "contactemail", "contactphone"];

/// The records that apply to a name, and the name that has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelevantRecords {
    /// The name itself, or the nearest one above that has records.
    pub at: Name,
    /// Its CAA records; at least one.
    pub records: Vec<CAA>,
}

/// Why a CA may not issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaaRefusal {
    /// A record with the critical bit has a property that no CA may ignore.
    Critical,
    /// No record names the CA.
    Issuer,
    /// Records for wildcards do not name the CA; those for other names may.
    Wildcard,
    /// The records name the CA, and other accounts there.
    Account,
    /// The records name the CA and the account, and other validation methods.
    Method,
}

impl CaaRefusal {
    /// What the refusal means, in words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Critical => "this CA may not issue: a critical property is unknown to CAs",
            Self::Issuer => "this CA may not issue",
            Self::Wildcard => "this CA may not issue wildcards",
            Self::Account => "this CA may not issue to this account: `accounturi` names another one",
            Self::Method => "this CA may not issue: `validationmethods` lacks the method in use",
        }
    }
}

/// Checks for each name whether the CA may issue for it. A domain whose records cannot be looked up has one finding for
/// all its names. No findings if the CA does not tell by which names CAA records identify it: then no record can be read
/// for or against it.
pub async fn check(client: &DnsClient, issuer: &IssuerIdentity, names: &[Identifier]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if issuer.caa_identities.is_empty() {
        return findings;
    }
    let mut bases: Vec<&Name> = names.iter().map(Identifier::base).collect();
    bases.sort_unstable();
    bases.dedup();
    let lookups = Lookups::Recursive(client.clone());
    for base in bases {
        match relevant(base, &lookups).await {
            Ok(relevant) => {
                let of_base = names.iter().filter(|name| name.base() == base);
                findings.extend(of_base.map(|name| judge(issuer, name, relevant.as_ref())));
            }
            Err(error) => findings.push(
                Finding::of_failure(base, question(RecordType::CAA, base), &error)
                    .meaning("whether CAA records allow this CA is unknown"),
            ),
        }
    }
    findings
}

/// The records that apply to a name: its own, or those of the nearest name above that has any (RFC 8659 section 3); `None`
/// if there are none up to the root.
pub async fn relevant(base: &Name, lookups: &Lookups) -> Result<Option<RelevantRecords>, LookupError> {
    let mut next = Some(base.clone());
    while let Some(at) = next.filter(|name| name.as_ref().labels().count() > 0) {
        match lookups.caa(&at).await {
            Ok(records) => return Ok(Some(RelevantRecords { at, records })),
            Err(error) if error.is_negative() => next = at.parent(),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The finding of the records that apply to a name.
pub fn judge(issuer: &IssuerIdentity, name: &Identifier, relevant: Option<&RelevantRecords>) -> Finding {
    let asked = question(RecordType::CAA, name.base());
    let Some(relevant) = relevant else {
        return Finding::new(Assessment::Good, name, asked, "there are no CAA records").meaning("every CA may issue");
    };
    let answer = relevant.to_string();
    let Some(refusal) = refusal(issuer, &relevant.records, name.is_wildcard()) else {
        return Finding::new(Assessment::Good, name, asked, answer).meaning("this CA may issue");
    };
    let advice = match &issuer.caa_record {
        Some(record) => format!("add `{record}` to them, or use another CA"),
        None => "use another CA".to_owned(),
    };
    Finding::new(Assessment::Fault, name, asked, answer).meaning(refusal.meaning()).advice(advice)
}

/// Why the CA may not issue; `None` if it may. RFC 8659 section 4: if no record has the tag that applies, every CA may
/// issue; otherwise those that are named.
pub fn refusal(issuer: &IssuerIdentity, records: &[CAA], is_wildcard: bool) -> Option<CaaRefusal> {
    if records.iter().any(is_unknown_and_critical) {
        return Some(CaaRefusal::Critical);
    }
    let has_wildcard_rule = is_wildcard && records.iter().any(|record| has_tag(record, "issuewild"));
    let tag = if has_wildcard_rule { "issuewild" } else { "issue" };
    let refusals: Vec<Option<CaaRefusal>> =
        records.iter().filter(|record| has_tag(record, tag)).map(|record| refusal_by(issuer, &record.value)).collect();
    if refusals.is_empty() || refusals.contains(&None) {
        return None;
    }
    // The record that comes closest says what is to be changed.
    let closest = [CaaRefusal::Method, CaaRefusal::Account].into_iter().find(|one| refusals.contains(&Some(*one)));
    Some(closest.unwrap_or(if has_wildcard_rule { CaaRefusal::Wildcard } else { CaaRefusal::Issuer }))
}

/// Whether any CA may issue to some account by dns-01.
pub fn allows_some_ca(records: &[CAA], is_wildcard: bool) -> bool {
    let has_wildcard_rule = is_wildcard && records.iter().any(|record| has_tag(record, "issuewild"));
    let tag = if has_wildcard_rule { "issuewild" } else { "issue" };
    let mut applying = records.iter().filter(|record| has_tag(record, tag)).peekable();
    !records.iter().any(is_unknown_and_critical) && (applying.peek().is_none() || applying.any(allows_dns_01))
}

/// Whether a record names a CA, and permits it dns-01.
fn allows_dns_01(record: &CAA) -> bool {
    let value = String::from_utf8_lossy(&record.value);
    let mut parts = value.split(';');
    let identity = parts.next().unwrap_or_default().trim();
    let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
    let methods = parameter(&parameters, "validationmethods");
    let permits = |list: &&str| list.split(',').any(|one| one.trim() == Method::Dns01.as_str());
    !identity.is_empty() && (methods.is_empty() || methods.iter().any(permits))
}

fn is_unknown_and_critical(record: &CAA) -> bool {
    record.issuer_critical && !KNOWN.iter().any(|tag| has_tag(record, tag))
}

fn has_tag(record: &CAA, tag: &str) -> bool {
    record.tag.eq_ignore_ascii_case(tag)
}

/// Why a value does not permit the CA, the account and the method. It has the form `ca.example;
/// accounturi=https://...; validationmethods=dns-01,http-01`.
fn refusal_by(issuer: &IssuerIdentity, value: &[u8]) -> Option<CaaRefusal> {
    let value = String::from_utf8_lossy(value);
    let mut parts = value.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    if !issuer.caa_identities.iter().any(|identity| identity.eq_ignore_ascii_case(name)) {
        return Some(CaaRefusal::Issuer);
    }
    let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
    let is_our_account = match parameter(&parameters, "accounturi")[..] {
        [] => true,
        [account] => account == issuer.account.as_str(),
        _ => false, // RFC 8657 section 3
    };
    if !is_our_account {
        return Some(CaaRefusal::Account);
    }
    let methods = parameter(&parameters, "validationmethods");
    let ours = issuer.method.as_str();
    let is_our_method = methods.is_empty() || methods.iter().any(|list| list.split(',').any(|one| one.trim() == ours));
    (!is_our_method).then_some(CaaRefusal::Method)
}

impl fmt::Display for RelevantRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has {}", self.at, listed(self.records.iter().map(text)))
    }
}

/// Every value of a parameter.
fn parameter<'a>(parameters: &[(&'a str, &'a str)], key: &str) -> Vec<&'a str> {
    parameters.iter().filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim()).collect()
}

/// The record as zone files write it.
fn text(record: &CAA) -> String {
    format!("CAA {} {} \"{}\"", record.flags(), record.tag, String::from_utf8_lossy(&record.value))
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::RData;

    use crate::net::dns_client::tests::Resolver;

    use super::*;

    const ACCOUNT: &str = "https://ca.test/acct/1";

    fn issuer(identities: &[&str], method: Method) -> IssuerIdentity {
        IssuerIdentity {
            caa_identities: identities.iter().map(ToString::to_string).collect(),
            issuer_domain_names: Vec::new(),
            account: ACCOUNT.parse().unwrap(),
            account_hash: None,
            method,
            caa_record: Some("CAA 0 issue \"ca.test\"".into()),
        }
    }

    fn record(text: &str) -> CAA {
        let mut parts = text.splitn(3, ' ');
        let mut next = || parts.next().unwrap().to_owned();
        let mut record = CAA::new_issue(next() == "128", None, Vec::new());
        (record.tag, record.value) = (next(), next().into());
        record
    }

    #[test]
    fn rules_of_rfc_8659_and_8657() {
        let issuer = issuer(&["ca.test", "other.ca.test"], Method::Dns01);
        let bound = format!("0 issue ca.test; accounturi={ACCOUNT}; validationmethods=http-01, dns-01");
        let twice = format!("0 issue ca.test; accounturi={ACCOUNT}; accounturi={ACCOUNT}");
        for (records, plain, wildcard) in [
            (&["0 issue ca.test"][..], true, true),
            (&["0 issue CA.Test"], true, true),
            (&["0 ISSUE other.ca.test"], true, true),
            (&["0 issue x.test"], false, false),
            (&["0 issue ;"], false, false),
            (&["0 issue x.test", "0 issue ca.test"], true, true),
            (&["0 issue ca.test", "0 issuewild ;"], true, false),
            (&["0 issue x.test", "0 issuewild ca.test"], false, true),
            (&["0 issuewild x.test"], true, false),
            (&["0 iodef mailto:a@b.test"], true, true),
            (&["128 issuemail x.test"], true, true),
            (&["128 tbs x.test", "0 issue ca.test"], false, false),
            (&["0 tbs x.test"], true, true),
            (&[&bound], true, true),
            (&[&twice], false, false),
            (&["0 issue ca.test; accounturi=https://ca.test/acct/2"], false, false),
            (&["0 issue ca.test; validationmethods=http-01"], false, false),
            (&["0 issue ca.test; validationmethods=xdns-01"], false, false),
            (&["0 issue ca.test; policy=ev"], true, true),
        ] {
            let read: Vec<CAA> = records.iter().map(|text| record(text)).collect();
            assert_eq!(refusal(&issuer, &read, false).is_none(), plain, "{records:?}");
            assert_eq!(refusal(&issuer, &read, true).is_none(), wildcard, "{records:?}, wildcard");
        }
    }

    #[test]
    fn the_refusal_names_what_has_to_be_changed() {
        let issuer = issuer(&["ca.test"], Method::Dns01);
        for (records, refusal_of_plain, refusal_of_wildcard) in [
            (&["0 issue x.test"][..], CaaRefusal::Issuer, CaaRefusal::Issuer),
            (&["0 issue x.test", "0 issuewild x.test"], CaaRefusal::Issuer, CaaRefusal::Wildcard),
            (&["128 tbs x"], CaaRefusal::Critical, CaaRefusal::Critical),
            (
                &["0 issue x.test", "0 issue ca.test; accounturi=https://ca.test/2"],
                CaaRefusal::Account,
                CaaRefusal::Account,
            ),
            (&["0 issue ca.test; validationmethods=http-01"], CaaRefusal::Method, CaaRefusal::Method),
        ] {
            let read: Vec<CAA> = records.iter().map(|text| record(text)).collect();
            assert_eq!(refusal(&issuer, &read, false), Some(refusal_of_plain), "{records:?}");
            assert_eq!(refusal(&issuer, &read, true), Some(refusal_of_wildcard), "{records:?}, wildcard");
        }
    }

    #[test]
    fn validationmethods_are_held_against_the_method_in_use() {
        let records = [record("0 issue ca.test; validationmethods=dns-account-01,dns-persist-01")];
        for (method, may) in [(Method::Dns01, false), (Method::DnsAccount01, true), (Method::DnsPersist01, true)] {
            assert_eq!(refusal(&issuer(&["ca.test"], method), &records, false).is_none(), may, "{method}");
        }
    }

    fn names() -> [Identifier; 2] {
        ["example.com".parse().unwrap(), "*.example.com".parse().unwrap()]
    }

    #[tokio::test]
    async fn records_that_forbid_the_ca_say_what_to_add() {
        let resolver = Resolver::start().await;
        resolver.tell("com.", &[]);
        resolver.tell("example.com.", &[RData::CAA(record("0 issue other.test"))]);
        let findings = check(&resolver.client(), &issuer(&["ca.test"], Method::Dns01), &names()).await;
        assert!(findings.len() == 2 && findings.iter().all(Finding::is_fault), "{findings:?}");
        let expected = "*.example.com: example.com has CAA 0 issue \"other.test\": this CA may not issue; add `CAA 0 \
                        issue \"ca.test\"` to them, or use another CA";
        assert_eq!(findings[1].to_string(), expected);
    }

    /// A resolver that fails does not show that there are no CAA records.
    #[tokio::test]
    async fn records_that_cannot_be_looked_up_are_unknown_and_not_missing() {
        let resolver = Resolver::start().await;
        let issuer = issuer(&["ca.test"], Method::Dns01);
        resolver.tell("com.", &[]);
        resolver.tell("example.com.", &[]);
        let findings = check(&resolver.client(), &issuer, &names()).await;
        assert!(findings.iter().all(|finding| finding.assessment == Assessment::Good), "{findings:?}");
        resolver.fail();
        let findings = check(&resolver.client(), &issuer, &names()).await;
        assert!(findings.len() == 1 && findings[0].is_unknown(), "{findings:?}");
        assert!(findings[0].answer.contains("could not look up CAA of example.com"), "{findings:?}");
    }
}
