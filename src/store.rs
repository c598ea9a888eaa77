//! Durable state in SQLite: accounts, the owners they hold, the values that live there, each zone's serial.
//!
//! WAL mode with `synchronous=FULL`; one [`writer`](writer::Writer) thread that commits in groups, and connections of
//! its own for readers. Nothing outside this module names SQLite.

pub mod backup;
mod error;
pub mod export;
mod files;
pub mod import;
mod lock;
mod rows;
mod schema;
pub mod writer;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

pub use error::StoreError;
pub use rows::{Counts, OwnerRow, Rows, Stored};

use files::{create_private, with_suffix};
use lock::Lock;

/// How long a statement waits for another process that has the database locked, before its callers hear 503.
const BUSY: Duration = Duration::from_secs(2);
/// Databases up to this size are checked whole at start; in larger ones loading finds what is broken.
const QUICK_CHECK_LIMIT: u64 = 64 << 20;

/// An opened database: its lock, and a connection to read by.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    identity: Identity,
    reader: Mutex<Connection>,
    // Held as long as the store is: no second daemon opens this file.
    _lock: Lock,
}

impl Store {
    /// Opens the database, or creates it, under its lock; migrates its schema forward.
    ///
    /// Fails with a sentence that says what to do where another daemon holds it, where it comes from a newer version
    /// or another program, and where it is damaged or cannot be written.
    pub fn open(path: &Path) -> Result<Arc<Self>, StoreError> {
        let lock = Lock::take(path)?;
        create_private(path)?;
        let opened = || {
            let mut connection = connect(path)?;
            schema::migrate(&mut connection, path)?;
            quick_check(&connection, path)?;
            Ok(connection)
        };
        let connection = opened().map_err(|error: StoreError| error.of(path))?;
        // Reading has made the WAL; from here on the files must stay the same two.
        let identity = Identity::of(path)?;
        Ok(Arc::new(Self { path: path.to_owned(), identity, reader: Mutex::new(connection), _lock: lock }))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads; a few microseconds where the pages are in memory. Never waits for the writer (WAL).
    pub fn read<T>(&self, query: impl FnOnce(&Rows<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // A reader that panicked has changed nothing.
        let connection = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        query(&Rows::new(&connection))
    }

    /// Whether the path still leads to the files that were opened. SQLite would go on writing into deleted ones, and
    /// what it acknowledges would be gone at the next start.
    pub fn is_in_place(&self) -> Result<(), StoreError> {
        match Identity::of(&self.path) {
            Ok(found) if found == self.identity => Ok(()),
            _ => Err(StoreError::Replaced(self.path.clone())),
        }
    }
}

/// Device and inode of the database and of its WAL.
#[derive(Debug, PartialEq, Eq)]
struct Identity([(u64, u64); 2]);

impl Identity {
    fn of(path: &Path) -> Result<Self, StoreError> {
        let of = |path: &Path| std::fs::metadata(path).map(|file| (file.dev(), file.ino()));
        let both = of(path).and_then(|database| Ok([database, of(&with_suffix(path, "-wal"))?]));
        both.map(Self).map_err(|source| StoreError::File { path: path.to_owned(), source: source.into() })
    }
}

/// A connection with the settings that all of ours have.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    // A statement is planned once, and not again for each value that is bound to it: that is half of an update's cost.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: a commit returns only after an fsync of the WAL. A run that shows the check for it can fail turns it off.
    let off = cfg!(debug_assertions) && std::env::var_os("TXTGATE_TEST_SYNCHRONOUS_OFF").is_some();
    connection.pragma_update(None, "synchronous", if off { "OFF" } else { "FULL" })?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn quick_check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > QUICK_CHECK_LIMIT) {
        return Ok(());
    }
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(StoreError::Corrupt(verdict)) }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_is_planned_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        drop(Store::open(&path).unwrap());
        let connection = connect(&path).unwrap();
        let sql = "SELECT id FROM live_values WHERE owner = ?1 ORDER BY id DESC";
        let mut statement = connection.prepare(sql).unwrap();
        for owner in 0..5 {
            assert!(!statement.exists([owner]).unwrap());
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
