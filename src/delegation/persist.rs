//! Persistent authorizations (draft-ietf-acme-dns-persist) for the daemon's account: what such a record must say, and
//! whether somebody's zone has one.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hickory_proto::rr::RecordType;
use ring::digest::{SHA256, digest};
use thiserror::Error;

use crate::model::name::Name;
use crate::model::time::{Moment, Timestamp};
use crate::model::txt::MAX_STRING;
use crate::model::txt::persist::{PersistValue, PersistValueError, PersistentValue};
use crate::model::url::Url;

use super::finding::{Assessment, Finding, NeededRecord, question};
use super::issuer::{AccountHash, IssuerIdentity};
use super::lookups::Lookups;

/// The most records of one name that a finding quotes.
const MAX_QUOTED: usize = 4;
/// The most characters of each.
const MAX_QUOTED_CHARS: usize = 200;
/// The hash that every CA accepts, as hashed names of accounts write it (draft-ietf-acme-dns-persist-02 section 4.1).
const HASH: &str = "sha-256/";
/// What stands for the domain in a hashed name that is valid for every domain.
const ANY_DOMAIN: &str = "*";

/// Why no record can be written that the CA would accept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PersistRequirementError {
    #[error("the CA does not say by which name persistent authorizations identify it")]
    NoIssuer,
    #[error("the persistent authorization that the CA wants cannot be written: {0}")]
    Value(#[from] PersistValueError),
}

/// What a persistent authorization must say to authorize the daemon's account.
#[derive(Debug, Clone)]
pub struct PersistRequirement {
    /// The names of the CA. A record has one of them. Empty if only the CA's challenges tell them.
    issuers: Vec<String>,
    account: Url,
    hash: Option<AccountHash>,
    lifetime: Option<Duration>,
}

/// Which record is looked for.
#[derive(Debug, Clone, Copy)]
pub struct PersistQuery<'a> {
    /// The domain that is proven.
    pub base: &'a Name,
    /// The name at which the CA looks for the record.
    pub looked_at: &'a Name,
    /// Whether the certificate has a wildcard of the domain.
    pub is_wildcard: bool,
    /// Whether a hash by another key is accepted: the record may be from before a key rollover. Only for a record with
    /// which a certificate was issued before, or which the CA checks next.
    pub accepts_former_key: bool,
}

/// Whether a record is there that authorizes the account.
#[derive(Debug, Clone)]
pub struct PersistCheck {
    /// The value of that record.
    pub value: Option<PersistValue>,
    /// What was found.
    pub finding: Finding,
}

/// The hashed name of an account for a domain (draft-ietf-acme-dns-persist-02 section 4.1).
fn hashed(hash: &AccountHash, domain: &str, account: &Url) -> String {
    // invariant: a name has at most 255 bytes
    let length = u8::try_from(domain.len()).unwrap_or(u8::MAX);
    let bytes = [&[length][..], domain.as_bytes(), hash.thumbprint.as_bytes(), account.as_str().as_bytes()].concat();
    format!("{}{HASH}{}", hash.prefix, URL_SAFE_NO_PAD.encode(digest(&SHA256, &bytes)))
}

impl PersistRequirement {
    /// What the CA's directory says. `lifetime` limits how long the authorization lasts.
    pub fn new(issuer: &IssuerIdentity, lifetime: Option<Duration>) -> Self {
        let names = [&issuer.issuer_domain_names, &issuer.caa_identities].into_iter().find(|names| !names.is_empty());
        Self {
            issuers: names.cloned().unwrap_or_default(),
            account: issuer.account.clone(),
            hash: issuer.account_hash.clone(),
            lifetime,
        }
    }

    /// The same with the names of the CA that a challenge tells.
    pub fn with_issuers(self, issuers: &[String]) -> Self {
        Self { issuers: issuers.to_vec(), ..self }
    }

    /// Whether a name of the CA is known.
    pub fn knows_issuers(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// How a record of a domain names the account.
    fn account_uri(&self, domain: &str) -> String {
        match &self.hash {
            Some(hash) => hashed(hash, domain, &self.account),
            None => self.account.to_string(),
        }
    }

    /// The value that authorizes the account for a domain.
    pub fn value(
        &self,
        domain: &Name,
        is_wildcard: bool,
        now: Timestamp,
    ) -> Result<PersistValue, PersistRequirementError> {
        let issuer = self.issuers.first().ok_or(PersistRequirementError::NoIssuer)?;
        let policy = if is_wildcard { "; policy=wildcard" } else { "" };
        let until = self.lifetime.map(|lifetime| format!("; persistUntil={}", now.plus(lifetime).as_unix()));
        let account = self.account_uri(&domain.to_string());
        Ok(format!("{issuer}; accounturi={account}{policy}{}", until.unwrap_or_default()).parse()?)
    }

    /// Looks up the record as the CA does, following CNAMEs. Fails if no record could be accepted.
    pub async fn check(
        &self,
        lookups: &Lookups,
        query: PersistQuery<'_>,
        now: Timestamp,
    ) -> Result<PersistCheck, PersistRequirementError> {
        let wanted = self.value(query.base, query.is_wildcard, now)?;
        let asked = question(RecordType::TXT, query.looked_at);
        let mut finding = match lookups.txt(query.looked_at).await {
            Ok(records) => match self.find(&records, query, now) {
                Ok(value) => {
                    let answer = format!("its TXT is {:?}", value.as_str());
                    let finding = Finding::new(Assessment::Good, query.looked_at, asked, answer);
                    return Ok(PersistCheck { value: Some(value), finding });
                }
                Err(problems) => Finding::new(Assessment::Fault, query.looked_at, asked, problems),
            },
            Err(error) => Finding::of_failure(query.looked_at, asked, &error),
        };
        let txt = Some(quoted(wanted.as_str()));
        finding.needed = Some(NeededRecord { name: query.looked_at.to_string(), target: None, txt });
        Ok(PersistCheck { value: None, finding })
    }

    /// The first record that authorizes the account, or what is wrong with each.
    fn find(&self, records: &[Vec<u8>], query: PersistQuery<'_>, now: Timestamp) -> Result<PersistValue, String> {
        let mut problems = Vec::new();
        for record in records {
            match self.read(record, query, now) {
                Ok(value) => return Ok(value),
                Err(problem) => problems.push(problem),
            }
        }
        problems.truncate(MAX_QUOTED);
        Err(problems.join(", "))
    }

    /// The value of a record that authorizes the account, or what is wrong with it.
    fn read(&self, record: &[u8], query: PersistQuery<'_>, now: Timestamp) -> Result<PersistValue, String> {
        let text = String::from_utf8_lossy(record);
        let quote = text.chars().take(MAX_QUOTED_CHARS).collect::<String>();
        match text.parse::<PersistValue>() {
            Ok(value) => match self.problem(&value, query, now) {
                None => Ok(value),
                Some(problem) => Err(format!("its TXT {quote:?} {problem}")),
            },
            Err(error) => Err(format!("its TXT {quote:?} is malformed ({error})")),
        }
    }

    fn problem(&self, value: &PersistValue, query: PersistQuery<'_>, now: Timestamp) -> Option<&'static str> {
        if !self.issuers.iter().any(|issuer| issuer == value.issuer()) {
            return Some("is for another CA");
        }
        if !self.is_our_account(value.account(), query) {
            return Some("is for another account");
        }
        if query.is_wildcard && !value.is_wildcard() {
            return Some("has no policy=wildcard");
        }
        if value.persist_until().is_some_and(|until| until <= now) {
            return Some("has expired by its persistUntil");
        }
        None
    }

    /// Whether a record names the account. The CA accepts a hash by a former key of the account as well, but here such a
    /// hash looks like a stranger's.
    fn is_our_account(&self, account: &str, query: PersistQuery<'_>) -> bool {
        let domains = [query.base.to_string(), ANY_DOMAIN.to_owned()];
        if domains.iter().any(|domain| self.account_uri(domain) == account) {
            return true;
        }
        let Some(hash) = &self.hash else { return false };
        query.accepts_former_key && account.starts_with(&format!("{}{HASH}", hash.prefix))
    }

    /// The value to rely on at an owner of this server: one that is published already, or else a new one.
    pub fn choose(
        &self,
        published: &[PersistentValue],
        domain: &Name,
        is_wildcard: bool,
        now: Moment,
    ) -> Result<PersistValue, PersistRequirementError> {
        let wanted = self.value(domain, is_wildcard, now.date)?;
        let is_enough =
            |published: &PersistentValue| lasts(published, &wanted, now) && covers(&published.value, &wanted);
        let found = published.iter().find(|published| is_enough(published));
        Ok(found.map_or(wanted, |published| published.value.clone()))
    }
}

/// Whether a value authorizes everything that another one does.
pub fn covers(one: &PersistValue, other: &PersistValue) -> bool {
    one.issuer() == other.issuer()
        && one.account() == other.account()
        && (one.is_wildcard() || !other.is_wildcard())
        && end(one) >= end(other)
}

/// Whether a published value lasts as long as another value says.
pub fn lasts(published: &PersistentValue, value: &PersistValue, now: Moment) -> bool {
    published.expires.map_or(Timestamp::MAX, |at| now.date_of(at)) >= end(value)
}

fn end(value: &PersistValue) -> Timestamp {
    value.persist_until().unwrap_or(Timestamp::MAX)
}

/// A text as zone files write a TXT record: cut into strings of at most 255 bytes (RFC 1035 section 3.3.14).
pub fn quoted(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let strings = characters.chunks(MAX_STRING).map(quoted_string);
    strings.collect::<Vec<_>>().join(" ")
}

fn quoted_string(characters: &[char]) -> String {
    let mut quoted = String::from("\"");
    for character in characters {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(*character);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
