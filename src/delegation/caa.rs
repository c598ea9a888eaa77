//! CAA records (RFC 8659, RFC 8657): whether a CA may issue, checked before the CA is asked.
//!
//! A CA that has to refuse counts a failure, and too many failures lock the account out for hours.

use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::CAA;

use crate::model::identifier::Identifier;
use crate::model::name::Name;
use crate::net::dns_client::{DnsClient, LookupError};

use super::finding::{Assessment, Finding, question};
use super::issuer::IssuerIdentity;

/// Property tags whose critical bit can be ignored: they do not restrict web certificates.
const KNOWN: [&str; 7] = ["issue", "issuewild", "issuemail", "issuevmc", "iodef", "contactemail", "contactphone"];

/// The records that apply to a name, and the name that has them; `None` if there are none up to the root.
type Relevant = Option<(Name, Vec<CAA>)>;

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
    for base in bases {
        match relevant(client, base).await {
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

/// The records that apply to a name: its own, or those of the nearest name above that has any (RFC 8659 section 3).
async fn relevant(client: &DnsClient, base: &Name) -> Result<Relevant, LookupError> {
    let mut at = Some(base.clone());
    while let Some(name) = at.filter(|name| name.as_ref().labels().count() > 0) {
        match client.caa(&name).await {
            Ok(records) => return Ok(Some((name, records))),
            Err(error) if error.is_negative() => at = name.parent(),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn judge(issuer: &IssuerIdentity, name: &Identifier, relevant: Option<&(Name, Vec<CAA>)>) -> Finding {
    let asked = question(RecordType::CAA, name.base());
    let Some((at, records)) = relevant else {
        return Finding::new(Assessment::Good, name, asked, "there are no CAA records").meaning("every CA may issue");
    };
    let answer = format!("{at} has {}", records.iter().map(text).collect::<Vec<_>>().join(", "));
    if may_issue(issuer, records, name.is_wildcard()) {
        return Finding::new(Assessment::Good, name, asked, answer).meaning("this CA may issue");
    }
    let advice = match &issuer.caa_record {
        Some(record) => format!("add `{record}` to them, or use another CA"),
        None => "use another CA".to_owned(),
    };
    Finding::new(Assessment::Fault, name, asked, answer).meaning("this CA may not issue").advice(advice)
}

/// RFC 8659 section 4: if no record has the tag that applies, every CA may issue; otherwise those that are named.
fn may_issue(issuer: &IssuerIdentity, records: &[CAA], is_wildcard: bool) -> bool {
    if records.iter().any(is_unknown_and_critical) {
        return false;
    }
    let has_wildcard_rule = records.iter().any(|record| has_tag(record, "issuewild"));
    let tag = if is_wildcard && has_wildcard_rule { "issuewild" } else { "issue" };
    let mut applying = records.iter().filter(|record| has_tag(record, tag)).peekable();
    applying.peek().is_none() || applying.any(|record| permits(issuer, &record.value))
}

fn is_unknown_and_critical(record: &CAA) -> bool {
    record.issuer_critical && !KNOWN.iter().any(|tag| has_tag(record, tag))
}

fn has_tag(record: &CAA, tag: &str) -> bool {
    record.tag.eq_ignore_ascii_case(tag)
}

/// Whether a value permits the CA, the account and the method. It has the form `ca.example;
/// accounturi=https://...; validationmethods=dns-01,http-01`.
fn permits(issuer: &IssuerIdentity, value: &[u8]) -> bool {
    let value = String::from_utf8_lossy(value);
    let mut parts = value.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
    let is_our_account = match parameter(&parameters, "accounturi")[..] {
        [] => true,
        [account] => account == issuer.account.as_str(),
        _ => false, // RFC 8657 section 3
    };
    let methods = parameter(&parameters, "validationmethods");
    let ours = issuer.method.as_str();
    let is_our_method = methods.is_empty() || methods.iter().any(|list| list.split(',').any(|one| one.trim() == ours));
    let is_ca = issuer.caa_identities.iter().any(|identity| identity.eq_ignore_ascii_case(name));
    is_our_account && is_our_method && is_ca
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

    use crate::config::Method;
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
            assert_eq!(may_issue(&issuer, &read, false), plain, "{records:?}");
            assert_eq!(may_issue(&issuer, &read, true), wildcard, "{records:?}, wildcard");
        }
    }

    #[test]
    fn validationmethods_are_held_against_the_method_in_use() {
        let records = [record("0 issue ca.test; validationmethods=dns-account-01,dns-persist-01")];
        for (method, may) in [(Method::Dns01, false), (Method::DnsAccount01, true), (Method::DnsPersist01, true)] {
            assert_eq!(may_issue(&issuer(&["ca.test"], method), &records, false), may, "{method}");
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
