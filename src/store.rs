//! Durable state in SQLite: accounts, the owners they hold, the values that live there, each zone's serial.
//!
//! WAL mode with `synchronous=FULL`; one [`writer`](writer::Writer) thread that commits in groups, and connections of
//! its own for readers. Queries that are kept for days have a [file and a thread of their own](query_archive). Nothing outside
//! this module names SQLite.

pub mod backup;
mod error;
pub mod export;
mod files;
mod health;
pub mod import;
mod lock;
mod open_files;
pub mod probe;
mod publication_order;
pub mod query_archive;
mod rows;
mod schema;
pub mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags};
use tracing::error;

use crate::model::account::listing::{AccountQuery, AccountSort};
use crate::model::time::RunningTime;

pub use error::StoreError;
pub use rows::listing::AccountPage;
pub use rows::recent::Publication;
pub use rows::{Counts, OwnerRow, Rows, Stored};

use files::{create_private, has_content, with_suffix};
use health::Health;
use lock::Lock;
use open_files::OpenFiles;
use publication_order::PublicationOrder;

/// How long a statement waits for another process that has the database locked, before its callers hear 503.
const BUSY: Duration = Duration::from_secs(2);
/// Databases up to this size are checked whole at start; in larger ones loading finds what is broken.
const QUICK_CHECK_LIMIT: u64 = 64 << 20;

/// What to do where there is no database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// Create it, unless there was one before. The text says what else than the files beside it shows that.
    First { evidence: Option<String> },
    /// Create it on purpose; one that is there already is an error.
    Anew,
}

/// An opened database: its lock, and a connection to read by.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    reader: Mutex<Connection>,
    /// Empty while the database can only be read. After the reader in this list, as they have to be closed after it.
    files: OnceLock<OpenFiles>,
    health: Arc<Health>,
    publications: PublicationOrder,
    /// Held as long as the store is: no second daemon opens this file.
    lock: Mutex<Lock>,
}

impl Store {
    /// Opens the database under its lock, or creates it where there was none before.
    pub fn open(path: &Path) -> Result<Arc<Self>, StoreError> {
        Self::open_or_create(path, &Creation::First { evidence: None })
    }

    /// Opens the database under its lock, or creates it as `creation` says; migrates its schema forward.
    ///
    /// Where the disk is full or read-only, or fails, what is there is opened for reading alone, and the writer tries
    /// again later. Fails with a sentence that says what to do where another daemon holds it, where it comes from a
    /// newer version or another program, and where it is damaged.
    pub fn open_or_create(path: &Path, creation: &Creation) -> Result<Arc<Self>, StoreError> {
        let lock = Lock::take(path)?;
        let is_new = !has_content(path);
        may_create(path, is_new, lock.was_used(), creation)?;
        let health = Arc::new(Health::default());
        let files = OnceLock::new();
        let reader = match open_writable(path) {
            Ok((connection, opened)) => {
                lock.set_used();
                _ = files.set(opened);
                // Its purpose is fulfilled, and it must not allow the next creation as well.
                _ = std::fs::remove_file(with_suffix(path, INIT));
                connection
            }
            Err(error) if !is_new && error.leaves_readable() => {
                let connection = open_readable(path).map_err(|_| error.clone())?;
                health.wrote(Err(&error));
                connection
            }
            Err(error) => return Err(error),
        };
        Ok(Arc::new(Self {
            path: path.to_owned(),
            reader: Mutex::new(reader),
            files,
            health,
            publications: PublicationOrder::default(),
            lock: Mutex::new(lock),
        }))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads; a few microseconds where the pages are in memory. Never waits for the writer (WAL). Fails at once where
    /// another read has hung for seconds.
    pub fn read<T>(&self, query: impl FnOnce(&Rows<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.health.reading.is_running_well()?;
        let connection = self.reader();
        let _running = self.health.reading.start();
        if let Some(files) = self.files.get() {
            files.is_index_whole()?;
        }
        let found = query(&Rows::new(&connection)).map_err(|error| error.of(&self.path));
        if let Err(error) = &found {
            self.health.note_damage(error);
        }
        found
    }

    /// Reads one moment's state, however long that takes, by a connection of its own: nobody else waits for it.
    pub fn snapshot<T>(&self, query: impl FnOnce(&Rows<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if !self.is_writable() {
            // The connection that only reads keeps others out.
            return self.read(query);
        }
        // With its checks of the files.
        self.read(|_| Ok(()))?;
        let connection = connect(&self.path)?;
        let moment = connection.unchecked_transaction()?;
        query(&Rows::new(&moment)).map_err(|error| error.of(&self.path))
    }

    /// A page of a list of accounts; `now` decides who is overdue. Blocks for up to 0.1 s, and nobody else meanwhile. The first
    /// list by the last publication reads every account.
    pub fn list_accounts(&self, query: &AccountQuery, now: RunningTime) -> Result<AccountPage, StoreError> {
        let begun = if query.sort == AccountSort::LastUpdate { self.publications.collect() } else { 0 };
        self.snapshot(|rows| {
            let publications = || self.publications.current(begun, || rows.publications());
            rows.list_accounts(query, now, publications)
        })
    }

    /// The last publication: of a value that is stored still, or else of an account, at its first name. The first call reads
    /// every account, by a connection of its own, and so does the first one after the removal of the last publisher.
    pub fn last_publication(&self) -> Result<Option<Publication>, StoreError> {
        let by_account = self.last_publication_by_account()?;
        let by_value = self.read(|rows| rows.last_publication_of_value())?;
        // Of both at one time, the value knows its name.
        Ok(by_account.into_iter().chain(by_value).max_by_key(|publication| publication.at))
    }

    fn last_publication_by_account(&self) -> Result<Option<Publication>, StoreError> {
        for _ in 0..2 {
            let read = || self.snapshot(|rows| rows.last_publisher());
            let Some(row) = self.publications.last(read)? else { return Ok(None) };
            let found = self.read(|rows| rows.last_publication_of_account(row))?;
            if found.is_some() {
                return Ok(found);
            }
            self.publications.forget_last(row);
        }
        Ok(None)
    }

    /// Why changes cannot be stored now, as far as is known: from the last write or heartbeat, from what is under way,
    /// and from a look at the paths. Blocks.
    pub fn problem(&self) -> Option<StoreError> {
        self.health.problem().or_else(|| self.files.get()?.are_in_place().err())
    }

    /// Whether the files are those that were opened, and hold what was written to them. For the writer's thread.
    fn check(&self) -> Result<(), StoreError> {
        self.health.is_whole()?;
        self.files.get().map_or(Ok(()), OpenFiles::check)
    }

    fn is_writable(&self) -> bool {
        self.files.get().is_some()
    }

    /// Another connection, to write by.
    fn connect(&self) -> Result<Connection, StoreError> {
        self.make_writable()?;
        connect(&self.path)
    }

    /// Opens the database for writing too, where only reading was possible before.
    fn make_writable(&self) -> Result<(), StoreError> {
        if self.is_writable() {
            return Ok(());
        }
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if !lock.is_held() {
            *lock = Lock::take(&self.path)?;
        }
        let mut reader = self.reader();
        // The connection that only reads keeps others out, and SQLite shares what it knows with them.
        *reader = Connection::open_in_memory()?;
        match open_writable(&self.path) {
            Ok((connection, files)) => {
                *reader = connection;
                lock.set_used();
                _ = self.files.set(files);
                Ok(())
            }
            Err(error) => {
                *reader = open_readable(&self.path)?;
                Err(error)
            }
        }
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        // A reader that panicked has changed nothing.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.check().is_err() {
            abandon(&self.reader());
        }
    }
}

/// Keeps SQLite from touching the files when the connection is closed as the last one: it would copy a damaged WAL into
/// the database, or delete files that belong to another.
fn abandon(connection: &Connection) {
    if let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
        error!("SQLite will copy the WAL into the database at the end, whatever is in it: {error}");
    }
}

/// A file with this suffix beside the database allows the creation of a new one, as `serve --init` does.
const INIT: &str = ".init";

/// Whether the database may be created, if it has to be.
fn may_create(path: &Path, is_new: bool, was_used: bool, creation: &Creation) -> Result<(), StoreError> {
    let wal = with_suffix(path, "-wal");
    let evidence = match creation {
        Creation::Anew if is_new => return Ok(()),
        Creation::Anew => return Err(StoreError::Exists(path.to_owned())),
        Creation::First { .. } if !is_new || with_suffix(path, INIT).exists() => return Ok(()),
        // SQLite would delete it.
        Creation::First { .. } if has_content(&wal) => Some(format!("its WAL {} is there", wal.display())),
        Creation::First { .. } if was_used => Some(format!("{} says so", with_suffix(path, ".lock").display())),
        Creation::First { evidence } => evidence.clone(),
    };
    evidence.map_or(Ok(()), |evidence| Err(StoreError::Missing { path: path.to_owned(), evidence }))
}

/// Opens the database to read and write, and creates it where there is none.
fn open_writable(path: &Path) -> Result<(Connection, OpenFiles), StoreError> {
    create_private(path)?;
    let opened = || {
        let mut connection = connect(path)?;
        if connection.is_readonly(MAIN_DB)? {
            return Err(StoreError::ReadOnly("it can be opened for reading alone".into()));
        }
        schema::migrate(&mut connection, path)?;
        quick_check(&connection, path)?;
        // From here on the database's own file changes only in checkpoints of the writer. What this one leaves over,
        // because of another reader or a full disk, the next one writes.
        _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        Ok(connection)
    };
    let connection = opened().map_err(|error: StoreError| error.of(path))?;
    let files = OpenFiles::open(path)?;
    files.check()?;
    Ok((connection, files))
}

/// Opens a database that cannot be written, with what its WAL has.
fn open_readable(path: &Path) -> Result<Connection, StoreError> {
    let opened = open_alone(path).or_else(|_| open_read_only(path, false)).or_else(|error| {
        // Without a WAL everything is in the file itself.
        if has_content(&with_suffix(path, "-wal")) { Err(error) } else { open_read_only(path, true) }
    });
    let connection = opened.map_err(|error| error.of(path))?;
    schema::verify(&connection, path)?;
    quick_check(&connection, path)?;
    Ok(connection)
}

/// For a full disk: in exclusive mode the index of the WAL is in memory, and takes no room.
fn open_alone(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    // The WAL stays until there is room to copy it into the database.
    abandon(&connection);
    readable(connection)
}

/// For a read-only file system. `immutable`: the WAL is not looked at, and its index not needed.
fn open_read_only(path: &Path, immutable: bool) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    readable(Connection::open_with_flags(uri(path, immutable), flags)?)
}

fn uri(path: &Path, immutable: bool) -> String {
    let path = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}?mode=ro&immutable={}", u8::from(immutable))
}

/// A connection that can in fact read: SQLite opens the files only when it has to.
fn readable(connection: Connection) -> Result<Connection, StoreError> {
    connection.busy_timeout(BUSY)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
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
    // Containers have no writable folder for temporary files.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn quick_check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > QUICK_CHECK_LIMIT) {
        return Ok(());
    }
    let quick_check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if quick_check == "ok" { Ok(()) } else { Err(StoreError::Corrupt(quick_check)) }
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
