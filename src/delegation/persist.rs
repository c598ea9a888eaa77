//! Persistent authorizations (draft-ietf-acme-dns-persist) for our own account: what a CA must find, whether somebody's
//! record says it, and what is to be published at owners of ours.

use std::time::Duration;

use ring::digest::{SHA256, digest};

use crate::model::name::{Name, Owner};
use crate::model::time::Timestamp;
use crate::model::txt::persist::{PersistValue, PersistentValue};
use crate::model::url::Url;
use crate::net::dns_client::{DnsClient, LookupError};
use crate::publisher::Publisher;

use crate::acme::account::Account;
use crate::acme::error::{AcmeError, Result};
use crate::acme::key::base64url;

/// Records at one name that an error tells of, and the characters of each.
const TOLD: (usize, usize) = (4, 200);

/// Names of a CA in one challenge (draft-ietf-acme-dns-persist-02 section 3.1).
const MAX_ISSUERS: usize = 10;
/// The hash that every CA takes, as hashed names of accounts say it (section 4.1 there).
const HASH: &str = "sha-256/";
/// What a hashed name is made for where it is to serve every domain.
const ANY_DOMAIN: &str = "*";

/// Who is to get certificates, from whom, and for how long.
#[derive(Debug, Clone)]
pub struct Grantee {
    /// The names by which records know the CA; any of them will do. None: its challenges will tell.
    issuers: Vec<String>,
    account: Url,
    /// What hashed names of accounts begin with, and the thumbprint of our key; where the CA wants them hashed.
    hashed: Option<(String, String)>,
    lifetime: Option<Duration>,
}

/// What a record is to grant.
#[derive(Debug, Clone, Copy)]
pub struct Sought<'a> {
    /// The domain.
    pub base: &'a Name,
    /// The name at which the CA looks for it.
    pub looked_at: &'a Name,
    /// Whether the certificate has its wildcard.
    pub is_wildcard: bool,
    /// Whether what cannot be seen from here is believed: a certificate was got before, or the CA is about to look.
    pub trusting: bool,
}

/// What is seen of a record in somebody else's zone.
#[derive(Debug)]
pub enum Seen {
    /// It grants what is wanted.
    Granted(PersistValue),
    /// What is there instead.
    Missing(String),
    /// It cannot be looked up.
    Nothing(LookupError),
}

/// The name of an account for a domain (draft-ietf-acme-dns-persist-02 section 4.1).
fn hashed(prefix: &str, domain: &str, thumbprint: &str, account: &Url) -> String {
    // invariant: a name has at most 255 bytes
    let length = u8::try_from(domain.len()).unwrap_or(u8::MAX);
    let bytes = [&[length][..], domain.as_bytes(), thumbprint.as_bytes(), account.as_str().as_bytes()].concat();
    format!("{prefix}{HASH}{}", base64url(digest(&SHA256, &bytes).as_ref()))
}

impl Grantee {
    /// Our account, with what the CA says of itself beforehand.
    pub fn new(account: &Account, lifetime: Option<Duration>) -> Self {
        let meta = &account.client().directory().meta;
        let hashed = meta.account_hash_prefix.clone().map(|prefix| (prefix, account.key().thumbprint()));
        let named = [&meta.issuer_domain_names, &meta.caa_identities].into_iter().find(|names| !names.is_empty());
        Self { issuers: named.cloned().unwrap_or_default(), account: account.url().clone(), hashed, lifetime }
    }

    /// The same, with what a challenge says. One that does not keep to the CA's own directory is refused.
    pub fn of_challenge(account: &Account, lifetime: Option<Duration>, issuers: &[String]) -> Result<Self> {
        let meta = &account.client().directory().meta;
        let has = |names: &[String], other: &[String]| other.iter().all(|name| names.contains(name));
        let problem = match issuers.len() {
            0 => "it does not say by which name records know the CA",
            1..=MAX_ISSUERS if meta.account_hash_prefix.is_none() => "",
            1..=MAX_ISSUERS if !has(issuers, &meta.issuer_domain_names) => {
                "it does not take every name that the directory has in `issuerDomainNames`"
            }
            1..=MAX_ISSUERS if !meta.caa_identities.is_empty() && !has(&meta.caa_identities, issuers) => {
                "it takes a name that the directory does not have in `caaIdentities`"
            }
            1..=MAX_ISSUERS => "",
            _ => "it takes more than ten names",
        };
        if problem.is_empty() {
            return Ok(Self { issuers: issuers.to_vec(), ..Self::new(account, lifetime) });
        }
        Err(AcmeError::Issuers(problem))
    }

    /// Whether it is known by which names records know the CA.
    pub fn knows_issuers(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// What names our account in a record of a domain.
    fn account_uri(&self, domain: &str) -> String {
        match &self.hashed {
            Some((prefix, thumbprint)) => hashed(prefix, domain, thumbprint, &self.account),
            None => self.account.to_string(),
        }
    }

    /// The value that grants it for a domain.
    pub fn value(&self, domain: &Name, is_wildcard: bool, now: Timestamp) -> Result<PersistValue> {
        let issuer = self.issuers.first().ok_or(AcmeError::Issuers("it names no CA"))?;
        let policy = if is_wildcard { "; policy=wildcard" } else { "" };
        let until = self.lifetime.map(|lifetime| format!("; persistUntil={}", now.plus(lifetime).as_unix()));
        let account = self.account_uri(&domain.to_string());
        Ok(format!("{issuer}; accounturi={account}{policy}{}", until.unwrap_or_default()).parse()?)
    }

    /// Looks at the records that a CA looks at for a domain, CNAMEs followed.
    pub async fn look(&self, lookup: &DnsClient, of: Sought<'_>, now: Timestamp) -> Seen {
        let records = match lookup.txt(of.looked_at).await {
            Ok(records) => records,
            Err(error) if error.is_negative() => return Seen::Missing(error.to_string()),
            Err(error) => return Seen::Nothing(error),
        };
        let mut wrong = Vec::new();
        for record in records {
            match self.read(&record, of, now) {
                Ok(value) => return Seen::Granted(value),
                Err(what) => wrong.push(what),
            }
        }
        wrong.truncate(TOLD.0);
        Seen::Missing(wrong.join(", "))
    }

    /// The value of a record that grants it, or what is wrong with it.
    fn read(&self, record: &[u8], of: Sought<'_>, now: Timestamp) -> std::result::Result<PersistValue, String> {
        let text = String::from_utf8_lossy(record);
        let wrong = |what: String| format!("its TXT {:?} {what}", text.chars().take(TOLD.1).collect::<String>());
        let value: PersistValue = text.parse().map_err(|error| wrong(format!("is malformed ({error})")))?;
        let is_over = value.persist_until().is_some_and(|until| until <= now);
        Err(wrong(match () {
            () if !self.issuers.iter().any(|issuer| issuer == value.issuer()) => "is for another CA".into(),
            () if !self.is_ours(value.account(), of) => "is for another account".into(),
            () if of.is_wildcard && !value.is_wildcard() => "has no policy=wildcard".into(),
            () if is_over => "is over by its persistUntil".into(),
            () => return Ok(value),
        }))
    }

    /// Whether a record names our account. A hash by a former key of it is as good for the CA as one by this key, but
    /// cannot be told from a stranger's here: it is believed where a certificate was got before.
    fn is_ours(&self, account: &str, of: Sought<'_>) -> bool {
        let is_former = |(prefix, _): &(String, String)| of.trusting && account.starts_with(&format!("{prefix}{HASH}"));
        let domains = [of.base.to_string(), ANY_DOMAIN.to_owned()];
        domains.iter().any(|domain| self.account_uri(domain) == account) || self.hashed.as_ref().is_some_and(is_former)
    }

    /// The value to rely on at an owner of ours: one that stands there already, or another one to be published.
    pub fn choose(
        &self,
        publisher: &Publisher,
        owner: &Owner,
        domain: &Name,
        is_wildcard: bool,
    ) -> Result<PersistValue> {
        let wanted = self.value(domain, is_wildcard, publisher.now())?;
        let mut standing = publisher.persistent(owner).into_iter();
        let found = standing.find(|standing| lasts(standing, &wanted) && covers(&standing.value, &wanted));
        Ok(found.map_or(wanted, |standing| standing.value))
    }
}

/// Whether one grants all that another one does.
pub fn covers(one: &PersistValue, other: &PersistValue) -> bool {
    one.issuer() == other.issuer()
        && one.account() == other.account()
        && (one.is_wildcard() || !other.is_wildcard())
        && end(one) >= end(other)
}

/// Whether what is published lasts as long as a value says.
pub fn lasts(published: &PersistentValue, value: &PersistValue) -> bool {
    published.expires.unwrap_or(Timestamp::MAX) >= end(value)
}

fn end(value: &PersistValue) -> Timestamp {
    value.persist_until().unwrap_or(Timestamp::MAX)
}

/// A text as zone files write a TXT record's: cut into strings of at most 255 bytes (RFC 1035 section 3.3.14).
pub fn quoted(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let strings = bytes.chunks(crate::model::txt::MAX_STRING).map(|part| {
        let escaped = part.iter().map(|c| if matches!(c, '"' | '\\') { format!("\\{c}") } else { c.to_string() });
        format!("\"{}\"", escaped.collect::<String>())
    });
    strings.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grantee(lifetime: Option<u64>) -> Grantee {
        Grantee {
            issuers: vec!["ca.test".into(), "other.ca.test".into()],
            account: "https://ca.test/acct/1".parse().unwrap(),
            hashed: None,
            lifetime: lifetime.map(Duration::from_secs),
        }
    }

    fn domain() -> Name {
        "example.com".parse().unwrap()
    }

    /// What is read of a record at `_validation-persist.example.com`.
    fn seen(grantee: &Grantee, text: &str, is_wildcard: bool, trusting: bool) -> std::result::Result<String, String> {
        let (base, looked_at) = (domain(), domain().child("_validation-persist").unwrap());
        let of = Sought { base: &base, looked_at: &looked_at, is_wildcard, trusting };
        grantee.read(text.as_bytes(), of, Timestamp::from_unix(1_000)).map(|value| value.to_string())
    }

    /// The example of draft-ietf-acme-dns-persist-02 section 10.2.
    #[test]
    fn a_hashed_name_binds_account_key_and_domain() {
        let prefix = "https://ca.example/account-hash/";
        let grantee = Grantee {
            issuers: vec!["authority.example".into()],
            account: "https://ca.example/acct/123".parse().unwrap(),
            hashed: Some((prefix.into(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs".into())),
            lifetime: None,
        };
        let record = |hash: &str| format!("authority.example; accounturi={prefix}sha-256/{hash}");
        let right = record("5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw");
        assert_eq!(grantee.value(&domain(), false, Timestamp::from_unix(1)).unwrap().as_str(), right);
        let any_domain = record("NpDnSwUthQK8zCgFdefYxAdAVPnygMLbs9US6oO-5ug");
        for (text, trusting, is_right) in [
            (&right, false, true),
            (&any_domain, false, true),
            (&record(&"x".repeat(43)), false, false),
            (&record(&"x".repeat(43)), true, true),
            (&"authority.example; accounturi=https://ca.example/acct/123".to_owned(), true, false),
        ] {
            assert_eq!(seen(&grantee, text, false, trusting).is_ok(), is_right, "{text} {trusting}");
        }
    }

    #[test]
    fn a_value_says_what_is_wanted_and_no_more() {
        let now = Timestamp::from_unix(1_000);
        let value = |wildcard, lifetime| grantee(lifetime).value(&domain(), wildcard, now).unwrap().to_string();
        assert_eq!(value(false, None), "ca.test; accounturi=https://ca.test/acct/1");
        let all = "ca.test; accounturi=https://ca.test/acct/1; policy=wildcard; persistUntil=1060";
        assert_eq!(value(true, Some(60)), all);
        let nobody = Grantee { issuers: Vec::new(), ..grantee(None) };
        assert!(matches!(nobody.value(&domain(), false, now), Err(AcmeError::Issuers(_))));
        let odd = Grantee { issuers: vec!["CA.test".into()], ..grantee(None) };
        assert!(matches!(odd.value(&domain(), false, now), Err(AcmeError::Persist(_))));
    }

    #[test]
    fn a_record_is_right_or_it_is_said_what_is_wrong() {
        let read = |text: &str, wildcard| seen(&grantee(None), text, wildcard, true);
        let (plain, more) =
            ("other.ca.test; accounturi=https://ca.test/acct/1", "; policy=Wildcard; persistUntil=1001");
        assert_eq!(read(plain, false).as_deref(), Ok(plain));
        assert!(read(&format!("{plain}{more}"), true).is_ok());
        for (text, what) in [
            (plain.to_owned(), "has no policy=wildcard"),
            (format!("{plain}; policy=wildcard;"), "is malformed (nothing may be empty"),
            ("x.test; accounturi=https://ca.test/acct/1".into(), "is for another CA"),
            ("ca.test; accounturi=https://ca.test/acct/10".into(), "is for another account"),
            (format!("{plain}; policy=wildcard; persistUntil=1000"), "is over by its persistUntil"),
            ("1".repeat(43), "is malformed"),
        ] {
            let said = read(&text, true).unwrap_err();
            assert!(said.starts_with("its TXT \"") && said.contains(what), "{text}: {said}");
        }
    }

    #[test]
    fn what_one_covers_it_may_replace() {
        let text = |more: &str| format!("ca.test; accounturi=urn:1{more}").parse::<PersistValue>().unwrap();
        let all =
            ["; policy=wildcard", "", "; policy=wildcard; persistUntil=9", "; persistUntil=9", "; persistUntil=8"];
        let expected = [
            [true, true, true, true, true],
            [false, true, false, true, true],
            [false, false, true, true, true],
            [false, false, false, true, true],
            [false, false, false, false, true],
        ];
        let found = all.map(|one| all.map(|other| covers(&text(one), &text(other))));
        assert_eq!(found, expected);
        assert!(!covers(&text(""), &"ca.test; accounturi=urn:2".parse().unwrap()));
        assert!(!covers(&text(""), &"ca2.test; accounturi=urn:1".parse().unwrap()));
    }

    #[test]
    fn long_texts_are_cut_as_zone_files_want_them() {
        assert_eq!(quoted(r#"a "b" \c"#), r#""a \"b\" \\c""#);
        let cut = quoted(&"x".repeat(300));
        assert_eq!(cut, format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45)));
    }
}
