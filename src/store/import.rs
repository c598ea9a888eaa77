//! Databases of acme-dns, read to be moved in: its schema of versions 0 and 1, in SQLite and in PostgreSQL, and that of
//! acme-dns-rust, which adds columns to it. A source is read and never written.

#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
#[cfg(not(feature = "postgres"))]
mod without_postgres;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::model::account::{AllowFrom, Username};
use crate::model::name::Subdomain;
use crate::model::name::owner::SubdomainError;
use crate::model::secret::ApiKeyHash;
use crate::model::time::Timestamp;
use crate::model::txt::TxtValue;

#[cfg(feature = "postgres")]
pub use postgres::Postgres;
#[cfg(not(feature = "postgres"))]
pub use without_postgres::Postgres;

/// Why a source cannot be read.
#[derive(Debug, Error)]
pub enum ImportError {
    #[error("cannot read {}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: {problem}", path.display())]
    Sqlite { path: PathBuf, problem: String },
    #[error("{database}: {problem}")]
    Postgres { database: String, problem: String },
    #[error("{database} holds no acme-dns: it has no {missing}")]
    Foreign { database: String, missing: &'static str },
    #[error(
        "acme-dns's database is in PostgreSQL, and this txtgate was built without that import; \
         build one with `cargo build --release --features postgres`"
    )]
    NoPostgres,
    #[error("the connection to PostgreSQL cannot be read: {0}")]
    Connection(String),
}

/// Where the accounts are.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Box<Postgres>),
}

impl Source {
    /// Reads everything, as of one moment.
    pub fn read(&self) -> Result<Contents, ImportError> {
        let raw = match self {
            Self::Sqlite(path) => sqlite::read(path)?,
            Self::Postgres(server) => server.read()?,
        };
        Ok(raw.parsed())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(server) => server.fmt(f),
        }
    }
}

/// What a source holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// The accounts, by username.
    pub accounts: Vec<ForeignAccount>,
    /// What no account of ours can be made of.
    pub left: Vec<Left>,
}

/// An account of acme-dns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignAccount {
    /// Who.
    pub username: Username,
    /// bcrypt, as it is.
    pub key: ApiKeyHash,
    /// Its one name.
    pub subdomain: Subdomain,
    /// From where.
    pub allow_from: AllowFrom,
    /// When it was registered, where the source knows.
    pub created: Option<Timestamp>,
    /// Its values and when each was published, the newest first. They never expire there.
    pub values: Vec<(TxtValue, Timestamp)>,
}

/// Something that stays behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// What.
    pub what: String,
    /// For which reason.
    pub why: String,
}

impl Left {
    /// Something and its reason.
    pub fn new(what: impl Into<String>, why: impl ToString) -> Self {
        Self { what: what.into(), why: why.to_string() }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// The rows as the source has them.
#[derive(Debug, Default)]
struct Raw {
    records: Vec<Record>,
    values: HashMap<String, Vec<(String, i64)>>,
}

/// A row of `records`.
#[derive(Debug)]
struct Record {
    username: String,
    password: String,
    subdomain: String,
    allow_from: Option<String>,
    /// Unix seconds.
    created: Option<i64>,
}

impl Raw {
    /// A row of `txt`, or a value of version 0.
    fn add_value(&mut self, subdomain: String, value: String, published: Option<i64>) {
        if !value.is_empty() {
            self.values.entry(subdomain).or_default().push((value, published.unwrap_or(0)));
        }
    }

    fn parsed(mut self) -> Contents {
        let mut contents = Contents::default();
        self.records.sort_unstable_by(|one, other| one.username.cmp(&other.username));
        for record in &self.records {
            let values = self.values.remove(&record.subdomain).unwrap_or_default();
            let values = values_of(record, values, &mut contents.left);
            match record.parsed(values) {
                Ok(account) => contents.accounts.push(account),
                Err(why) => contents.left.push(Left::new(record.what(), why)),
            }
        }
        let mut orphans: Vec<String> = self.values.into_keys().collect();
        orphans.sort_unstable();
        let orphan =
            |subdomain: String| Left::new(format!("values of {}", quoted(&subdomain)), "no account has this subdomain");
        contents.left.extend(orphans.into_iter().map(orphan));
        contents
    }
}

impl Record {
    fn parsed(&self, values: Vec<(TxtValue, Timestamp)>) -> Result<ForeignAccount, String> {
        let username = self.username.parse().map_err(|_| "its username is no UUID".to_owned())?;
        let key = match unescaped(&self.password).parse() {
            Ok(key @ ApiKeyHash::Bcrypt(_)) => key,
            // A hash is a secret of a kind: what stands there is not shown.
            _ => return Err("its password is no bcrypt hash of 60 characters".into()),
        };
        let subdomain = self.subdomain.parse().map_err(|error: SubdomainError| error.to_string())?;
        let created = self.created.and_then(timestamp);
        Ok(ForeignAccount { username, key, subdomain, allow_from: self.allow_from()?, created, values })
    }

    /// A list that does not read must not become one that lets everybody in.
    fn allow_from(&self) -> Result<AllowFrom, String> {
        let text = self.allow_from.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let Some(text) = text else { return Ok(AllowFrom::default()) };
        let list: Option<Vec<String>> =
            serde_json::from_str(text).map_err(|error| format!("its networks are no JSON list: {error}"))?;
        AllowFrom::parse(&list.unwrap_or_default()).map_err(|error| format!("its networks: {error}"))
    }

    fn what(&self) -> String {
        format!("account {} with the subdomain {}", quoted(&self.username), quoted(&self.subdomain))
    }
}

/// The values that are values, the newest first, each once.
fn values_of(record: &Record, raw: Vec<(String, i64)>, left: &mut Vec<Left>) -> Vec<(TxtValue, Timestamp)> {
    let mut values: Vec<(TxtValue, Timestamp)> = Vec::with_capacity(raw.len());
    for (text, published) in raw {
        match (text.parse::<TxtValue>(), timestamp(published)) {
            (Ok(txt), Some(published)) => values.push((txt, published)),
            (Ok(_), None) => left.push(Left::new(format!("a value of {}", record.what()), "it has no time")),
            (Err(error), _) => left.push(Left::new(format!("a value of {}", record.what()), error)),
        }
    }
    values.sort_by_key(|(_, published)| std::cmp::Reverse(*published));
    let mut seen = Vec::with_capacity(values.len());
    values.retain(|(txt, _)| {
        !seen.contains(txt) && {
            seen.push(*txt);
            true
        }
    });
    values
}

/// acme-dns writes 0 for "never".
fn timestamp(seconds: i64) -> Option<Timestamp> {
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Timestamp::from_unix)
}

/// `\x2432612431...`, as PostgreSQL writes bytes, is the text of these bytes.
fn unescaped(text: &str) -> String {
    let Some(hex) = text.strip_prefix("\\x") else { return text.to_owned() };
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(byte).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| text.to_owned())
}

/// A text of the source, in one line and not too long.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    let is_plain = short == text && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { short } else { format!("{short:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2a$10$8JEFVNYYhLoBysjAxe2yBuXrkDojBQBkVpXEQgyQyjn43SvJ4vL36";
    const USER: &str = "c36f50e8-4632-44f0-83fe-e070fef28a10";
    const TXT: &str = "8Ce-WETGoIH4Qeq-llc77UT5sl8q3-_HC3wpg1YerVM";

    fn record() -> Record {
        Record {
            username: USER.into(),
            password: HASH.into(),
            subdomain: "Shop".into(),
            allow_from: Some("[\"192.0.2.0/24\"]".into()),
            created: None,
        }
    }

    fn parsed(records: Vec<Record>, values: &[(&str, &str, i64)]) -> Contents {
        let mut raw = Raw { records, ..Raw::default() };
        values.iter().for_each(|(at, value, time)| raw.add_value((*at).into(), (*value).into(), Some(*time)));
        raw.parsed()
    }

    #[test]
    fn an_account_keeps_what_it_had() {
        let newer = TXT.replace('8', "9");
        let contents =
            parsed(vec![record()], &[("Shop", TXT, 5), ("Shop", &newer, 7), ("Shop", TXT, 6), ("Shop", "", 0)]);
        let [account] = &contents.accounts[..] else { panic!("{contents:?}") };
        assert_eq!((account.username.to_string().as_str(), account.subdomain.as_str()), (USER, "shop"));
        assert_eq!(account.key.as_str(), HASH);
        assert_eq!(account.allow_from.networks().len(), 1);
        let values: Vec<_> = account.values.iter().map(|(txt, at)| (txt.as_str(), at.as_unix())).collect();
        assert_eq!(values, [(newer.as_str(), 7), (TXT, 6)]);
        assert_eq!(contents.left, []);
    }

    #[test]
    fn bytes_that_postgresql_shows_as_hex_are_read() {
        let hex: String = HASH.bytes().map(|byte| format!("{byte:02x}")).collect();
        let contents = parsed(vec![Record { password: format!("\\x{hex}"), ..record() }], &[]);
        assert_eq!(contents.accounts[0].key.as_str(), HASH);
        assert_eq!(unescaped("\\xzz"), "\\xzz");
        assert_eq!(unescaped("\\xé"), "\\xé");
    }

    #[test]
    fn no_list_of_networks_is_everywhere_and_a_broken_one_is_nowhere() {
        for none in [None, Some(""), Some("[]"), Some("null")] {
            let record = Record { allow_from: none.map(str::to_owned), ..record() };
            assert_eq!(parsed(vec![record], &[]).accounts[0].allow_from, AllowFrom::default(), "{none:?}");
        }
        for broken in ["{}", "[1]", "[\"192.0.2.1\"]", "[\"192.0.2.0/24\", \"\"]", "192.0.2.0/24"] {
            let contents = parsed(vec![Record { allow_from: Some(broken.into()), ..record() }], &[]);
            assert!(
                contents.accounts.is_empty() && contents.left[0].why.contains("networks"),
                "{broken}: {contents:?}"
            );
        }
    }

    #[test]
    fn what_stays_behind_is_named_with_its_reason() {
        let contents = parsed(
            vec![
                Record { username: "somebody\n".into(), ..record() },
                Record { password: "$argon2id$secret".into(), ..record() },
                Record { subdomain: "a.b".into(), ..record() },
                record(),
            ],
            &[("Shop", "short", 5), ("gone", TXT, 5), ("Shop", TXT, 0)],
        );
        let left: Vec<String> = contents.left.iter().map(ToString::to_string).collect();
        for part in ["somebody\\n", "no bcrypt hash", "\"a.b\"", "43 characters", "values of gone", "no time"] {
            assert!(left.iter().any(|line| line.contains(part) && !line.contains('\n')), "{part} in {left:#?}");
        }
        assert!(!left.concat().contains("argon2id"));
        assert_eq!((contents.accounts.len(), left.len()), (1, 6));
    }
}
