//! CAA records (RFC 8659, RFC 8657): whether a CA may issue, looked at before it is asked.
//!
//! A CA that must say no counts that as a failure, and locks out who fails too often.

use hickory_proto::rr::rdata::CAA;
use tracing::warn;

use crate::config::Method;
use crate::model::identifier::Identifier;
use crate::model::name::Name;
use crate::net::dns_client::DnsClient;

use crate::acme::account::Account;
use crate::acme::error::{AcmeError, Result};

/// Properties that one may ignore though they are critical: they do not speak of web certificates.
const KNOWN: [&str; 7] = ["issue", "issuewild", "issuemail", "issuevmc", "iodef", "contactemail", "contactphone"];

/// Who would issue.
#[derive(Debug, Clone, Copy)]
struct Issuer<'a> {
    identities: &'a [String],
    account: &'a str,
    method: Method,
}

/// The records that rule a name, and the name that they are at; `None` where there are none, or they cannot be seen.
type Relevant = Option<(Name, Vec<CAA>)>;

/// The record's data that lets this account of this CA alone issue, by this method alone; `None` where the CA does not
/// say by which name CAA records know it.
pub fn recommended(account: &Account, method: Method) -> Option<String> {
    let ca = account.client().directory().meta.caa_identities.first()?;
    Some(format!("CAA 0 issue \"{ca}; accounturi={}; validationmethods={method}\"", account.url()))
}

/// Looks for each name whether the CA may issue for it by this method; an error names all for which it may not. Names
/// whose records cannot be looked up are the CA's to judge.
pub async fn check(lookup: &DnsClient, account: &Account, method: Method, names: &[Identifier]) -> Result<()> {
    let identities = &account.client().directory().meta.caa_identities;
    if identities.is_empty() {
        return Ok(()); // It does not say who it is, so no record can be read as for or against it.
    }
    let issuer = Issuer { identities, account: account.url().as_str(), method };
    let mut known: Vec<(&Name, Relevant)> = Vec::new();
    let mut findings = Vec::new();
    for name in names {
        if !known.iter().any(|(base, _)| *base == name.base()) {
            known.push((name.base(), relevant(lookup, name.base()).await));
        }
        let found = known.iter().find(|(base, _)| *base == name.base()).and_then(|(_, found)| found.as_ref());
        let Some((at, records)) = found else { continue };
        if !issuer.may_issue(records, name.is_wildcard()) {
            findings.push(format!("{name}: {at} has {}", records.iter().map(text).collect::<Vec<_>>().join(", ")));
        }
    }
    if findings.is_empty() {
        return Ok(());
    }
    let allowing = recommended(account, method).unwrap_or_default();
    Err(AcmeError::Caa { findings: findings.join("; "), identities: identities.join(" or "), allowing })
}

/// The records that rule a name: its own, or those of the nearest name above it that has any (RFC 8659 section 3).
async fn relevant(lookup: &DnsClient, base: &Name) -> Relevant {
    let mut at = Some(base.clone());
    while let Some(name) = at.filter(|name| name.as_ref().labels().count() > 0) {
        match lookup.caa(&name).await {
            Ok(records) => return Some((name, records)),
            Err(error) if error.is_negative() => at = name.parent(),
            Err(error) => {
                warn!(%base, "whether CAA records allow the CA cannot be seen from here, so it is asked: {error}");
                return None;
            }
        }
    }
    None
}

impl Issuer<'_> {
    /// RFC 8659 section 4: without a record of the property that rules, everybody may; else who is named.
    fn may_issue(&self, records: &[CAA], is_wildcard: bool) -> bool {
        let is = |record: &CAA, tag: &str| record.tag.eq_ignore_ascii_case(tag);
        let unknown = |record: &CAA| record.issuer_critical && !KNOWN.iter().any(|tag| is(record, tag));
        if records.iter().any(unknown) {
            return false;
        }
        let tag =
            if is_wildcard && records.iter().any(|record| is(record, "issuewild")) { "issuewild" } else { "issue" };
        let mut ruling = records.iter().filter(|record| is(record, tag)).peekable();
        ruling.peek().is_none() || ruling.any(|record| self.is_named(&record.value))
    }

    /// `ca.example; accounturi=https://...; validationmethods=dns-01,http-01`
    fn is_named(&self, value: &[u8]) -> bool {
        let value = String::from_utf8_lossy(value);
        let mut parts = value.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let values = |key: &str| -> Vec<&str> {
            parameters.iter().filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim()).collect()
        };
        let account = match values("accounturi")[..] {
            [] => true,
            [account] => account == self.account,
            _ => false, // RFC 8657 section 3
        };
        let methods = values("validationmethods");
        let is_ours = |list: &&str| list.split(',').any(|one| one.trim() == self.method.as_str());
        let method = methods.is_empty() || methods.iter().any(is_ours);
        account && method && self.identities.iter().any(|identity| identity.eq_ignore_ascii_case(name))
    }
}

/// As zone files have it.
fn text(record: &CAA) -> String {
    format!("CAA {} {} \"{}\"", record.flags(), record.tag, String::from_utf8_lossy(&record.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "https://ca.test/acct/1";

    fn record(text: &str) -> CAA {
        let mut parts = text.splitn(3, ' ');
        let mut next = || parts.next().unwrap().to_owned();
        let mut record = CAA::new_issue(next() == "128", None, Vec::new());
        (record.tag, record.value) = (next(), next().into());
        record
    }

    #[test]
    fn rules_of_rfc_8659_and_8657() {
        let identities = ["ca.test".to_owned(), "other.ca.test".to_owned()];
        let issuer = Issuer { identities: &identities, account: ACCOUNT, method: Method::Dns01 };
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
            assert_eq!(issuer.may_issue(&read, false), plain, "{records:?}");
            assert_eq!(issuer.may_issue(&read, true), wildcard, "{records:?}, wildcard");
        }
    }

    #[test]
    fn validationmethods_are_held_against_the_method_in_use() {
        let identities = ["ca.test".to_owned()];
        let records = [record("0 issue ca.test; validationmethods=dns-account-01,dns-persist-01")];
        for (method, may) in [(Method::Dns01, false), (Method::DnsAccount01, true), (Method::DnsPersist01, true)] {
            let issuer = Issuer { identities: &identities, account: ACCOUNT, method };
            assert_eq!(issuer.may_issue(&records, false), may, "{method}");
        }
    }
}
