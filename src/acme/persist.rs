//! Persistent authorizations (draft-ietf-acme-dns-persist) for our own account: what a CA must find, whether somebody's
//! record says it, and what is published at owners of ours.
//!
//! Each is a standing grant, so none is published before the disk knows of it, and none is forgotten while it stands.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::file;
use crate::lookup::{Lookup, LookupError};
use crate::name::{Name, Owner};
use crate::publisher::{Author, Publisher};
use crate::time::Timestamp;
use crate::txt::persist::{PersistValue, PersistentValue};
use crate::url::Url;
use crate::zone::zone_of;

use super::account::blocking;
use super::error::{AcmeError, Result};
use super::state::{failed, private_text};

/// Records at one name that an error tells of, and the characters of each.
const TOLD: (usize, usize) = (4, 200);

/// Who is to get certificates, from whom, and for how long.
#[derive(Debug, Clone)]
pub struct Grantee {
    /// The names by which records know the CA; any of them will do.
    pub issuers: Vec<String>,
    /// Our account there.
    pub account: Url,
    /// How long a grant shall last.
    pub lifetime: Option<Duration>,
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

impl Grantee {
    /// The value that grants it.
    pub fn value(&self, is_wildcard: bool, now: Timestamp) -> Result<PersistValue> {
        let issuer = self.issuers.first().ok_or(AcmeError::NoIssuer)?;
        let policy = if is_wildcard { "; policy=wildcard" } else { "" };
        let until = self.lifetime.map(|lifetime| format!("; persistUntil={}", now.plus(lifetime).as_unix()));
        Ok(format!("{issuer}; accounturi={}{policy}{}", self.account, until.unwrap_or_default()).parse()?)
    }

    /// Looks at the records of a name, CNAMEs followed.
    pub async fn look(&self, lookup: &Lookup, at: &Name, is_wildcard: bool, now: Timestamp) -> Seen {
        let records = match lookup.txt(at).await {
            Ok(records) => records,
            Err(error) if error.is_negative() => return Seen::Missing(error.to_string()),
            Err(error) => return Seen::Nothing(error),
        };
        let mut wrong = Vec::new();
        for record in records {
            match self.read(&record, is_wildcard, now) {
                Ok(value) => return Seen::Granted(value),
                Err(what) => wrong.push(what),
            }
        }
        wrong.truncate(TOLD.0);
        Seen::Missing(wrong.join(", "))
    }

    /// The value of a record that grants it, or what is wrong with it.
    fn read(&self, record: &[u8], is_wildcard: bool, now: Timestamp) -> std::result::Result<PersistValue, String> {
        let text = String::from_utf8_lossy(record);
        let wrong = |what: String| format!("its TXT {:?} {what}", text.chars().take(TOLD.1).collect::<String>());
        let value: PersistValue = text.parse().map_err(|error| wrong(format!("is malformed ({error})")))?;
        let is_over = value.persist_until().is_some_and(|until| until <= now);
        Err(wrong(match () {
            () if !self.issuers.iter().any(|issuer| issuer == value.issuer()) => "is for another CA".into(),
            () if value.account() != self.account.as_str() => "is for another account".into(),
            () if is_wildcard && !value.is_wildcard() => "has no policy=wildcard".into(),
            () if is_over => "is over by its persistUntil".into(),
            () => return Ok(value),
        }))
    }

    /// The value to rely on at an owner of ours: one that stands there already, or another one to be published.
    pub fn choose(&self, publisher: &Publisher, owner: &Owner, is_wildcard: bool) -> Result<PersistValue> {
        let wanted = self.value(is_wildcard, publisher.now())?;
        let mut standing = publisher.persistent(owner).into_iter();
        let found = standing.find(|standing| lasts(standing, &wanted) && covers(&standing.value, &wanted));
        Ok(found.map_or(wanted, |standing| standing.value))
    }

    /// Whether the daemon has published something for the account at an owner.
    pub fn stands_at(&self, publisher: &Publisher, owner: &Owner) -> bool {
        publisher.persistent(owner).iter().any(|standing| standing.value.account() == self.account.as_str())
    }
}

/// Whether one grants all that another one does.
fn covers(one: &PersistValue, other: &PersistValue) -> bool {
    one.issuer() == other.issuer()
        && one.account() == other.account()
        && (one.is_wildcard() || !other.is_wildcard())
        && end(one) >= end(other)
}

/// Whether what is published lasts as long as a value says.
fn lasts(published: &PersistentValue, value: &PersistValue) -> bool {
    published.expires.unwrap_or(Timestamp::MAX) >= end(value)
}

fn end(value: &PersistValue) -> Timestamp {
    value.persist_until().unwrap_or(Timestamp::MAX)
}

/// A grant that a certificate relies on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Grant {
    /// The name at which the CA looks.
    pub name: String,
    /// The owner at which the daemon has published it; `None` for a record in somebody else's zone.
    pub owner: Option<String>,
    /// What it says.
    pub value: String,
}

impl Grant {
    /// Publishes it, and retires what it replaces.
    pub async fn publish(publisher: &Publisher, owner: &Owner, value: &PersistValue) -> Result<()> {
        let is_it = |standing: &PersistentValue| standing.value == *value && lasts(standing, value);
        if !publisher.persistent(owner).iter().any(is_it) {
            publisher.persist(Author::Operator, owner.clone(), value.clone(), None).await?;
        }
        for old in publisher.persistent(owner).into_iter().map(|standing| standing.value) {
            if old != *value && covers(value, &old) {
                publisher.retire_persistent(Author::Operator, owner.clone(), Some(old)).await?;
            }
        }
        Ok(())
    }

    /// Takes it away where it is ours; whether it is. One that cannot be read is nothing that is served.
    pub async fn withdraw(&self, publisher: &Publisher) -> Result<bool> {
        let Some(at) = &self.owner else { return Ok(false) };
        let owner = at.parse().ok().and_then(|name: Name| {
            let zones = publisher.zones().load();
            Owner::at(&name, &zone_of(&zones, name.as_ref())?.name)
        });
        let (Some(owner), Ok(value)) = (owner, self.value.parse()) else {
            warn!(owner = at, value = self.value, "a persistent authorization is in no zone of this server any more");
            return Ok(true);
        };
        publisher.retire_persistent(Author::Operator, owner, Some(value)).await?;
        Ok(true)
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}. TXT {}", self.name, quoted(&self.value))
    }
}

/// A text as zone files write a TXT record's: cut into strings of at most 255 octets (RFC 1035 section 3.3.14).
pub fn quoted(text: &str) -> String {
    let octets: Vec<char> = text.chars().collect();
    let strings = octets.chunks(crate::txt::MAX_STRING).map(|part| {
        let escaped = part.iter().map(|c| if matches!(c, '"' | '\\') { format!("\\{c}") } else { c.to_string() });
        format!("\"{}\"", escaped.collect::<String>())
    });
    strings.collect::<Vec<_>>().join(" ")
}

/// The file that says which grants a certificate relies on.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Standing {
    #[serde(default)]
    grant: Vec<Grant>,
}

/// The grants that a file tells of. Blocks.
pub fn standing(path: &Path) -> Result<Vec<Grant>> {
    let Some(text) = private_text(path)? else { return Ok(Vec::new()) };
    let damaged =
        |error: toml::de::Error| AcmeError::Damaged { path: path.to_owned(), problem: error.message().to_owned() };
    toml::from_str(&text).map(|standing: Standing| standing.grant).map_err(damaged)
}

/// Writes down that these grants stand as well: before they do.
pub async fn remember(path: &Path, grants: &[Grant]) -> Result<()> {
    let (path, grants) = (path.to_owned(), grants.to_vec());
    blocking(move || {
        let mut all = standing(&path)?;
        let known = all.len();
        for grant in grants {
            if !all.contains(&grant) {
                all.push(grant);
            }
        }
        if all.len() == known { Ok(()) } else { write(&path, all) }
    })
    .await
}

/// Withdraws the grants that a certificate does not rely on any more: for other names than these, at which the CA has
/// looked, and those that were replaced.
pub async fn withdraw_others(publisher: &Publisher, path: &Path, names: &[String], granted: &[Grant]) -> Result<()> {
    let reading = path.to_owned();
    let all = blocking(move || standing(&reading)).await?;
    let is_replaced = |grant: &Grant| granted.iter().any(|new| new.name == grant.name);
    let is_used = |grant: &Grant| granted.contains(grant) || names.contains(&grant.name) && !is_replaced(grant);
    let (used, others): (Vec<Grant>, Vec<Grant>) = all.into_iter().partition(is_used);
    if others.is_empty() {
        return Ok(());
    }
    for grant in others {
        if !grant.withdraw(publisher).await? {
            info!("this record is not needed any more, and goes on granting what it says: {grant}");
        }
    }
    let writing = path.to_owned();
    blocking(move || write(&writing, used)).await
}

fn write(path: &Path, grant: Vec<Grant>) -> Result<()> {
    let text = toml::to_string(&Standing { grant }).map_err(|error| failed(path, std::io::Error::other(error)))?;
    file::replace(path, text.as_bytes()).map_err(|source| failed(path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grantee(lifetime: Option<u64>) -> Grantee {
        Grantee {
            issuers: vec!["ca.test".into(), "other.ca.test".into()],
            account: "https://ca.test/acct/1".parse().unwrap(),
            lifetime: lifetime.map(Duration::from_secs),
        }
    }

    #[test]
    fn a_value_says_what_is_wanted_and_no_more() {
        let now = Timestamp::from_unix(1_000);
        let value = |wildcard, lifetime| grantee(lifetime).value(wildcard, now).unwrap().to_string();
        assert_eq!(value(false, None), "ca.test; accounturi=https://ca.test/acct/1");
        let all = "ca.test; accounturi=https://ca.test/acct/1; policy=wildcard; persistUntil=1060";
        assert_eq!(value(true, Some(60)), all);
        let nobody = Grantee { issuers: Vec::new(), ..grantee(None) };
        assert!(matches!(nobody.value(false, now), Err(AcmeError::NoIssuer)));
        let odd = Grantee { issuers: vec!["CA.test".into()], ..grantee(None) };
        assert!(matches!(odd.value(false, now), Err(AcmeError::Persist(_))));
    }

    #[test]
    fn a_record_is_right_or_it_is_said_what_is_wrong() {
        let now = Timestamp::from_unix(1_000);
        let read =
            |text: &str, wildcard| grantee(None).read(text.as_bytes(), wildcard, now).map(|value| value.to_string());
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

    #[tokio::test]
    async fn grants_are_remembered_once_each() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants.toml");
        let grant = |name: &str| Grant { name: name.into(), owner: None, value: "x".into() };
        remember(&path, &[]).await.unwrap();
        assert!(!path.exists());
        remember(&path, &[grant("a")]).await.unwrap();
        remember(&path, &[grant("a"), grant("b")]).await.unwrap();
        assert_eq!(standing(&path).unwrap(), [grant("a"), grant("b")]);
        std::fs::write(&path, "grant = 1").unwrap();
        assert!(matches!(standing(&path), Err(AcmeError::Damaged { .. })));
    }
}
