//! The statements: rows to domain types and back.

mod accounts;
mod client_storage;
mod enrolments;
mod managed;
mod names;

use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::model::account::{AccountStatus, Username};
use crate::model::name::{Owner, OwnerLabel, ZoneName};
use crate::model::serial::Serial;
use crate::model::time::Timestamp;
use crate::model::txt::persist::PersistentValue;
use crate::model::txt::{LiveValue, TxtValue};

use super::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// The kind of the values that challenges publish.
const CHALLENGE: &str = "challenge";
/// The kind of persistent authorizations.
const PERSISTENT: &str = "persistent";

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::from(self.low_32_bits()).into())
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(|seconds| Self::from_unix(seconds.try_into().unwrap_or(0)))
    }
}

/// The rows as one connection sees them, within a transaction or not.
#[derive(Debug)]
pub struct Rows<'c> {
    connection: &'c Connection,
}

/// An owner as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerRow {
    /// Its row.
    pub id: i64,
    /// Whose it is; `None`: the daemon's.
    pub account: Option<(Username, AccountStatus)>,
}

impl OwnerRow {
    /// Whether its values are served.
    pub fn is_served(&self) -> bool {
        self.account.as_ref().is_none_or(|(_, status)| *status == AccountStatus::Active)
    }
}

/// A value as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<V> {
    /// Its row; a higher one is newer.
    pub id: i64,
    /// The value and its times.
    pub value: V,
}

/// The values of an owner, each kind newest first, expired ones included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredValues {
    /// Those of challenges.
    pub challenges: Vec<Stored<LiveValue>>,
    /// Persistent authorizations.
    pub persistent: Vec<Stored<PersistentValue>>,
}

impl StoredValues {
    /// Whether there is none of either kind.
    pub fn is_empty(&self) -> bool {
        self.challenges.is_empty() && self.persistent.is_empty()
    }

    /// Reads id, kind, bytes, published and expires from column `first` on, and keeps the value.
    fn read(&mut self, row: &Row<'_>, first: usize) -> Result<()> {
        let id = row.get(first)?;
        let bytes = row.get_ref(first + 2)?.as_blob().map_err(|e| unreadable("value", &e))?;
        let text = std::str::from_utf8(bytes).map_err(|e| unreadable("value", &e))?;
        let (published, expires) = (row.get(first + 3)?, row.get(first + 4)?);
        match row.get_ref(first + 1)?.as_str().map_err(|e| unreadable("kind", &e))? {
            CHALLENGE => {
                let txt = parse::<TxtValue>("value", text)?;
                self.challenges.push(Stored { id, value: LiveValue { txt, published, expires } });
            }
            PERSISTENT => {
                let (value, expires) = (parse("value", text)?, Some(expires).filter(|at| *at != Timestamp::MAX));
                self.persistent.push(Stored { id, value: PersistentValue { value, published, expires } });
            }
            other => return Err(unreadable("kind", &other)),
        }
        Ok(())
    }
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Accounts, disabled and deleted ones included.
    pub accounts: i64,
    /// Stored values.
    pub values: i64,
}

impl<'c> Rows<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection }
    }

    /// The owner's row.
    pub fn owner(&self, owner: &Owner) -> Result<Option<OwnerRow>> {
        let sql = "SELECT o.id, a.username, a.disabled, a.remove_at FROM owners o
                   LEFT JOIN accounts a ON a.id = o.account WHERE o.zone = ?1 AND o.name = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let key = params![owner.zone.to_string(), owner.label.as_str()];
        let found = statement.query_row(key, |row| Ok((row.get::<_, i64>(0)?, raw_standing(row, 1)?))).optional()?;
        found.map(|(id, raw)| Ok(OwnerRow { id, account: raw.map(RawStanding::parse).transpose()? })).transpose()
    }

    /// Stores an owner; without an account it is the daemon's. Returns its row.
    pub fn insert_owner(&self, owner: &Owner, account: Option<i64>) -> Result<i64> {
        let sql = "INSERT INTO owners (account, zone, name) VALUES (?1, ?2, ?3)";
        let row = params![account, owner.zone.to_string(), owner.label.as_str()];
        self.connection.prepare_cached(sql)?.execute(row)?;
        Ok(self.connection.last_insert_rowid())
    }

    /// How many owners there are below the apex of a zone. Counts them one by one: for zones that have few.
    pub fn count_below_apex(&self, zone: &ZoneName) -> Result<usize> {
        let sql = "SELECT count(*) FROM owners WHERE zone = ?1 AND name <> ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let count: i64 = statement.query_row(params![zone.to_string(), OwnerLabel::APEX], |row| row.get(0))?;
        Ok(count.try_into().unwrap_or(usize::MAX))
    }

    /// Keeps a chosen label from being given again.
    pub fn bury(&self, owner: &Owner, now: Timestamp) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO tombstones (zone, name, removed) VALUES (?1, ?2, ?3)";
        let row = params![owner.zone.to_string(), owner.label.as_str(), now];
        self.connection.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// Whether a label was chosen once by an account that is gone.
    pub fn is_buried(&self, owner: &Owner) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM tombstones WHERE zone = ?1 AND name = ?2)";
        let key = params![owner.zone.to_string(), owner.label.as_str()];
        Ok(self.connection.prepare_cached(sql)?.query_row(key, |row| row.get(0))?)
    }

    /// Labels of a zone at which records of the configuration would hide an owner; of those given, the first taken.
    pub fn first_owned<'l>(&self, zone: &ZoneName, labels: impl Iterator<Item = &'l str>) -> Result<Option<&'l str>> {
        let mut statement =
            self.connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM owners WHERE zone = ?1 AND name = ?2)")?;
        for label in labels {
            if statement.query_row(params![zone.to_string(), label], |row| row.get(0))? {
                return Ok(Some(label));
            }
        }
        Ok(None)
    }

    /// Every owner of a zone with its values, newest first.
    ///
    /// Reads the tables from end to end in the order of their rows. By the index of names it would look for each owner
    /// anew and sort them all before the first one is seen: eight times as long for a million.
    pub fn each_owner(
        &self,
        zone: &ZoneName,
        mut visit: impl FnMut(&str, bool, &[LiveValue], Vec<PersistentValue>),
    ) -> Result<()> {
        let sql = "SELECT o.id, o.name, ifnull(a.disabled, 0), v.id, v.kind, v.bytes, v.published, v.expires
                   FROM owners o NOT INDEXED LEFT JOIN accounts a ON a.id = o.account
                   LEFT JOIN live_values v ON v.owner = o.id WHERE o.zone = ?1 ORDER BY o.id";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query(params![zone.to_string()])?;
        let mut owner = Loaded::default();
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if owner.id != Some(id) {
                owner.finish(&mut visit);
                owner.id = Some(id);
                owner.name.push_str(row.get_ref(1)?.as_str().map_err(|e| unreadable("owner", &e))?);
                owner.is_disabled = row.get(2)?;
            }
            if row.get::<_, Option<i64>>(3)?.is_some() {
                owner.values.read(row, 3)?;
            }
        }
        owner.finish(&mut visit);
        Ok(())
    }

    // --- values ---

    /// The values at an owner's row.
    pub fn values(&self, owner: i64) -> Result<StoredValues> {
        let sql = "SELECT id, kind, bytes, published, expires FROM live_values WHERE owner = ?1 ORDER BY id DESC";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([owner])?;
        let mut values = StoredValues::default();
        while let Some(row) = rows.next()? {
            values.read(row, 0)?;
        }
        Ok(values)
    }

    /// Stores a value as an owner's newest; one that is there already moves to the front.
    pub fn put_value(&self, owner: i64, value: &LiveValue) -> Result<()> {
        self.put(owner, CHALLENGE, value.txt.as_bytes(), value.published, value.expires)
    }

    /// The same for a persistent authorization.
    pub fn put_persistent(&self, owner: i64, value: &PersistentValue) -> Result<()> {
        let expires = value.expires.unwrap_or(Timestamp::MAX);
        self.put(owner, PERSISTENT, value.value.as_str().as_bytes(), value.published, expires)
    }

    fn put(&self, owner: i64, kind: &str, bytes: &[u8], published: Timestamp, expires: Timestamp) -> Result<()> {
        // REPLACE gives the row a new id, above all others: newest first.
        let sql =
            "INSERT OR REPLACE INTO live_values (owner, kind, bytes, published, expires) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.connection.prepare_cached(sql)?.execute(params![owner, kind, bytes, published, expires])?;
        Ok(())
    }

    /// Changes when a value expires.
    pub fn set_expiry(&self, value: i64, expires: Timestamp) -> Result<()> {
        let sql = "UPDATE live_values SET expires = ?2 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![value, expires])?;
        Ok(())
    }

    /// Takes a value away.
    pub fn remove_value(&self, value: i64) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM live_values WHERE id = ?1")?.execute([value])?;
        Ok(())
    }

    /// When the next value expires.
    pub fn next_expiry(&self) -> Result<Option<Timestamp>> {
        let mut statement = self.connection.prepare_cached("SELECT min(expires) FROM live_values")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// At most `limit` owners that hold an expired value.
    pub fn owners_with_expired(&self, now: Timestamp, limit: usize) -> Result<Vec<Owner>> {
        let sql = "SELECT DISTINCT o.zone, o.name FROM live_values v JOIN owners o ON o.id = v.owner
                   WHERE v.expires <= ?1 LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let key = params![now, limit];
        let rows = statement.query_map(key, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| row.map_err(Into::into).and_then(|(zone, name)| owner_of(&zone, &name))).collect()
    }

    /// The newest publication, to start the clock from.
    pub fn newest(&self) -> Result<Option<Timestamp>> {
        // The newest row has the highest id: no scan.
        let sql = "SELECT published FROM live_values ORDER BY id DESC LIMIT 1";
        let found = self.connection.query_row(sql, [], |row| row.get(0)).optional()?;
        Ok(found)
    }

    /// When the last change was stored, by the machine's clock.
    pub fn last_commit(&self) -> Result<Option<Timestamp>> {
        Ok(self.connection.query_row("SELECT at FROM last_commit", [], |row| row.get(0)).optional()?)
    }

    /// Stores that.
    pub fn set_last_commit(&self, at: Timestamp) -> Result<()> {
        let sql = "INSERT INTO last_commit (id, at) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET at = ?1";
        self.connection.prepare_cached(sql)?.execute([at])?;
        Ok(())
    }

    // --- zones ---

    /// A zone's stored serial.
    pub fn serial(&self, zone: &ZoneName) -> Result<Option<Serial>> {
        let mut statement = self.connection.prepare_cached("SELECT serial FROM zones WHERE name = ?1")?;
        Ok(statement.query_row([zone.to_string()], |row| row.get(0)).optional()?.map(Serial))
    }

    /// Stores a zone's serial.
    pub fn set_serial(&self, zone: &ZoneName, serial: Serial) -> Result<()> {
        let sql = "INSERT INTO zones (name, serial) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET serial = ?2";
        self.connection.prepare_cached(sql)?.execute(params![zone.to_string(), serial.0])?;
        Ok(())
    }

    /// How many accounts and values there are.
    pub fn counts(&self) -> Result<Counts> {
        let sql = "SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM live_values)";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([], |row| Ok(Counts { accounts: row.get(0)?, values: row.get(1)? }))?)
    }
}

/// An owner while its rows are being read; used again for the next one.
#[derive(Default)]
struct Loaded {
    id: Option<i64>,
    name: String,
    is_disabled: bool,
    values: StoredValues,
    newest_first: Vec<LiveValue>,
}

impl Loaded {
    /// Shows the owner, if there is one, and makes room for the next.
    fn finish(&mut self, visit: &mut impl FnMut(&str, bool, &[LiveValue], Vec<PersistentValue>)) {
        if self.id.take().is_some() {
            let StoredValues { challenges, persistent } = &mut self.values;
            challenges.sort_unstable_by_key(|stored| std::cmp::Reverse(stored.id));
            persistent.sort_unstable_by_key(|stored| std::cmp::Reverse(stored.id));
            self.newest_first.extend(challenges.drain(..).map(|stored| stored.value));
            let persistent = persistent.drain(..).map(|stored| stored.value).collect();
            visit(&self.name, self.is_disabled, &self.newest_first, persistent);
            self.name.clear();
            self.newest_first.clear();
        }
    }
}

struct RawStanding(String, bool, Option<Timestamp>);

impl RawStanding {
    fn parse(self) -> Result<(Username, AccountStatus)> {
        Ok((parse("username", &self.0)?, status(self.1, self.2)))
    }
}

/// Username, disabled and remove_at from column `first` on; `None` where the join found no account.
fn raw_standing(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<RawStanding>> {
    let Some(username) = row.get::<_, Option<String>>(first)? else { return Ok(None) };
    Ok(Some(RawStanding(username, row.get(first + 1)?, row.get(first + 2)?)))
}

fn status(disabled: bool, remove_at: Option<Timestamp>) -> AccountStatus {
    match remove_at {
        Some(at) => AccountStatus::Deleted { at },
        None if disabled => AccountStatus::Disabled,
        None => AccountStatus::Active,
    }
}

fn owner_of(zone: &str, name: &str) -> Result<Owner> {
    Ok(Owner { zone: parse("zone", zone)?, label: parse::<OwnerLabel>("owner", name)? })
}

fn parse<T: FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<T> {
    text.parse().map_err(|error| unreadable(what, &error))
}

fn unreadable(what: &str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unreadable(format!("{what}: {error}"))
}
