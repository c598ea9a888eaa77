//! The statements: rows to domain types and back.

mod accounts;
mod admin_tokens;
mod client_storage;
mod enrolments;
pub mod listing;
mod managed;
mod names;
pub mod recent;
mod search;
mod transfer;

use std::cell::RefCell;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use crate::model::account::{AccountStatus, Username};
use crate::model::name::{Owner, OwnerLabel, ZoneName};
use crate::model::serial::Serial;
use crate::model::time::{RunningTime, Timestamp};
use crate::model::txt::persist::PersistentValue;
use crate::model::txt::{LiveValue, TxtValue};

use super::StoreError;
use super::publication_order::Published;

type Result<T> = std::result::Result<T, StoreError>;

/// The columns that [`StoredValues::read`] reads, in its order.
macro_rules! value_columns {
    () => {
        "v.id, v.kind, v.bytes, v.published, v.published_running, v.expires_running"
    };
}

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

impl ToSql for RunningTime {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::from(self.as_seconds()).into())
    }
}

impl FromSql for RunningTime {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let seconds = i64::column_result(value)?.clamp(i32::MIN.into(), i32::MAX.into());
        // The clamp makes it fit.
        Ok(i32::try_from(seconds).map_or(Self::MAX, Self::from_seconds))
    }
}

/// The rows as one connection sees them, within a transaction or not.
#[derive(Debug)]
pub struct Rows<'c> {
    connection: &'c Connection,
    /// Accounts that have published through these rows, or are new.
    published: RefCell<Vec<Published>>,
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
    /// When it was published.
    pub since: RunningTime,
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

    /// Reads the columns of `value_columns!` from column `first` on, and keeps the value.
    fn read(&mut self, row: &Row<'_>, first: usize) -> Result<()> {
        let id = row.get(first)?;
        let bytes = row.get_ref(first + 2)?.as_blob().map_err(|e| unreadable("value", &e))?;
        let text = std::str::from_utf8(bytes).map_err(|e| unreadable("value", &e))?;
        let (published, since, expires) = (row.get(first + 3)?, row.get(first + 4)?, row.get(first + 5)?);
        match row.get_ref(first + 1)?.as_str().map_err(|e| unreadable("kind", &e))? {
            CHALLENGE => {
                let txt = parse::<TxtValue>("value", text)?;
                self.challenges.push(Stored { id, since, value: LiveValue { txt, published, expires } });
            }
            PERSISTENT => {
                let (value, expires) = (parse("value", text)?, Some(expires).filter(|at| *at != RunningTime::MAX));
                self.persistent.push(Stored { id, since, value: PersistentValue { value, published, expires } });
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
        Self { connection, published: RefCell::default() }
    }

    /// The accounts that have published since the last call, and new ones.
    pub(super) fn published(&self) -> Vec<Published> {
        self.published.take()
    }

    /// The owner's row.
    pub fn owner(&self, owner: &Owner) -> Result<Option<OwnerRow>> {
        let sql = "SELECT o.id, a.username, a.disabled, a.remove_running FROM owners o
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
        let sql = concat!(
            "SELECT o.id, o.name, ifnull(a.disabled, 0), ",
            value_columns!(),
            " FROM owners o NOT INDEXED LEFT JOIN accounts a ON a.id = o.account
              LEFT JOIN live_values v ON v.owner = o.id WHERE o.zone = ?1 ORDER BY o.id"
        );
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
        let sql = concat!("SELECT ", value_columns!(), " FROM live_values v WHERE owner = ?1 ORDER BY id DESC");
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([owner])?;
        let mut values = StoredValues::default();
        while let Some(row) = rows.next()? {
            values.read(row, 0)?;
        }
        Ok(values)
    }

    /// Stores a value as an owner's newest, published at `since`; one that is there already moves to the front.
    pub fn put_value(&self, owner: i64, value: &LiveValue, since: RunningTime) -> Result<()> {
        self.put(params![owner, CHALLENGE, value.txt.as_bytes(), value.published, since, value.expires])
    }

    /// The same for a persistent authorization.
    pub fn put_persistent(&self, owner: i64, value: &PersistentValue, since: RunningTime) -> Result<()> {
        let expires = value.expires.unwrap_or(RunningTime::MAX);
        self.put(params![owner, PERSISTENT, value.value.as_str().as_bytes(), value.published, since, expires])
    }

    fn put(&self, row: impl Params) -> Result<()> {
        // REPLACE gives the row a new id, above all others: newest first.
        let sql =
            "INSERT OR REPLACE INTO live_values (owner, kind, bytes, published, published_running, expires_running)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.connection.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// Changes when a value expires.
    pub fn set_expiry(&self, value: i64, expires: RunningTime) -> Result<()> {
        let sql = "UPDATE live_values SET expires_running = ?2 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![value, expires])?;
        Ok(())
    }

    /// Takes a value away.
    pub fn remove_value(&self, value: i64) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM live_values WHERE id = ?1")?.execute([value])?;
        Ok(())
    }

    /// Removes a challenge's value of an owner, if it is there; returns how many were.
    pub fn remove_text(&self, owner: i64, txt: TxtValue) -> Result<usize> {
        let sql = "DELETE FROM live_values WHERE owner = ?1 AND kind = ?2 AND bytes = ?3";
        Ok(self.connection.prepare_cached(sql)?.execute(params![owner, CHALLENGE, txt.as_bytes()])?)
    }

    /// When the next value expires.
    pub fn next_expiry(&self) -> Result<Option<RunningTime>> {
        let mut statement = self.connection.prepare_cached("SELECT min(expires_running) FROM live_values")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// At most `limit` owners that hold an expired value.
    pub fn owners_with_expired(&self, now: RunningTime, limit: usize) -> Result<Vec<Owner>> {
        let sql = "SELECT DISTINCT o.zone, o.name FROM live_values v JOIN owners o ON o.id = v.owner
                   WHERE v.expires_running <= ?1 LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let key = params![now, limit];
        let rows = statement.query_map(key, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| row.map_err(Into::into).and_then(|(zone, name)| owner_of(&zone, &name))).collect()
    }

    /// The date of the newest publication.
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
        self.connection.prepare_cached("UPDATE last_commit SET at = ?1")?.execute([at])?;
        Ok(())
    }

    /// The time that the daemon has run, as of the last commit.
    pub fn running_time(&self) -> Result<Option<RunningTime>> {
        Ok(self.connection.query_row("SELECT running FROM last_commit", [], |row| row.get(0)).optional()?)
    }

    /// Stores that.
    pub fn set_running_time(&self, running: RunningTime) -> Result<()> {
        self.connection.prepare_cached("UPDATE last_commit SET running = ?1")?.execute([running])?;
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

struct RawStanding(String, bool, Option<RunningTime>);

impl RawStanding {
    fn parse(self) -> Result<(Username, AccountStatus)> {
        Ok((parse("username", &self.0)?, status(self.1, self.2)))
    }
}

/// Username, disabled and remove_running from column `first` on; `None` where the join found no account.
fn raw_standing(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<RawStanding>> {
    let Some(username) = row.get::<_, Option<String>>(first)? else { return Ok(None) };
    Ok(Some(RawStanding(username, row.get(first + 1)?, row.get(first + 2)?)))
}

fn status(disabled: bool, remove_at: Option<RunningTime>) -> AccountStatus {
    match remove_at {
        Some(at) => AccountStatus::Deleted { at },
        None if disabled => AccountStatus::Disabled,
        None => AccountStatus::Active,
    }
}

pub(super) fn owner_of(zone: &str, name: &str) -> Result<Owner> {
    Ok(Owner { zone: parse("zone", zone)?, label: parse::<OwnerLabel>("owner", name)? })
}

pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<T> {
    text.parse().map_err(|error| unreadable(what, &error))
}

fn unreadable(what: &str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unreadable(format!("{what}: {error}"))
}
