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
mod values;

use std::cell::RefCell;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::model::account::{AccountStatus, Username};
use crate::model::name::{Owner, OwnerLabel, ZoneName};
use crate::model::serial::Serial;
use crate::model::time::{RunningTime, Timestamp};

use super::StoreError;
use super::publication_order::Published;

pub use values::Stored;

type Result<T> = std::result::Result<T, StoreError>;

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
        let found = statement.query_row(key, |row| Ok((row.get::<_, i64>(0)?, raw_status(row, 1)?))).optional()?;
        found.map(|(id, raw)| Ok(OwnerRow { id, account: raw.map(RawStatus::parse).transpose()? })).transpose()
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
    pub fn insert_tombstone(&self, owner: &Owner, now: Timestamp) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO tombstones (zone, name, removed) VALUES (?1, ?2, ?3)";
        let row = params![owner.zone.to_string(), owner.label.as_str(), now];
        self.connection.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// Whether a label was chosen once by an account that is gone.
    pub fn has_tombstone(&self, owner: &Owner) -> Result<bool> {
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

struct RawStatus(String, bool, Option<RunningTime>);

impl RawStatus {
    fn parse(self) -> Result<(Username, AccountStatus)> {
        Ok((parse("username", &self.0)?, status(self.1, self.2)))
    }
}

/// Username, disabled and remove_running from column `first` on; `None` where the join found no account.
fn raw_status(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<RawStatus>> {
    let Some(username) = row.get::<_, Option<String>>(first)? else { return Ok(None) };
    Ok(Some(RawStatus(username, row.get(first + 1)?, row.get(first + 2)?)))
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
