//! Copies of the database: made while it is in use, and put back when it is not.

mod newer;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use crate::file::folder_of;
use crate::model::serial::Serial;

use super::files::{give_to_owner_of, with_suffix};
use super::lock::Lock;
use super::{BUSY, Rows, StoreError, schema};

pub use newer::{Comparison, Newer, NewerAccount, NewerSerial};

/// The database whose place a backup has taken.
#[derive(Debug, Clone)]
pub struct Former {
    /// Where it is now; `None` where no name was free for it.
    pub path: Option<PathBuf>,
    /// What it has that the backup lacks.
    pub comparison: Comparison,
}

/// Copies `database` to `target`, which must not exist, and verifies the copy. The daemon may go on writing: the copy
/// is one moment's state.
pub fn backup(database: &Path, target: &Path) -> Result<super::Counts, StoreError> {
    let source = open_existing(database)?;
    create_new(target)?;
    let copied = copy(&source, target).and_then(|()| verify(target));
    if copied.is_err() {
        // What is not whole must not look like a backup.
        _ = std::fs::remove_file(target);
    }
    copied
}

/// Puts `backup` in the place of `database`, after verifying it. The database that was there is kept beside it and
/// returned; `None` where there was none. No daemon may run on it. Serials go on from those of the former database, and
/// from `seen`, a serial that secondaries have. The new file belongs to whom the old one belonged, or else to the folder's
/// owner: root restores for a daemon that is not root.
pub fn restore(backup: &Path, database: &Path, seen: Option<Serial>) -> Result<Option<Former>, StoreError> {
    let _lock = Lock::take(database)?;
    verify(backup)?;
    let fresh = with_suffix(database, ".restoring");
    _ = std::fs::remove_file(&fresh);
    create_new(&fresh)?;
    copy(&open_existing(backup)?, &fresh)?;
    let comparison = go_on(&fresh, database, seen)?;
    verify(&fresh)?;
    give_to_owner_of(if database.exists() { database } else { folder_of(database) }, &fresh)?;
    let path = set_aside(database)?;
    rename(&fresh, database)?;
    sync_folder(database)?;
    Ok(comparison.map(|comparison| Former { path, comparison }))
}

/// Has a fresh copy go on where the former database ended, if there is one.
fn go_on(fresh: &Path, former: &Path, seen: Option<Serial>) -> Result<Option<Comparison>, StoreError> {
    let copy = open_existing(fresh)?;
    let comparison = former.exists().then(|| newer::carry_over(&copy, former));
    if let Some(seen) = seen {
        newer::raise_serials(&copy, seen)?;
    }
    copy.close().map_err(|(_, error)| error)?;
    Ok(comparison)
}

/// Checks a file's pages, whose database it is, and its schema.
fn verify(path: &Path) -> Result<super::Counts, StoreError> {
    let connection = open_existing(path)?;
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let integrity_check: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if integrity_check != "ok" {
        return Err(StoreError::Corrupt(integrity_check));
    }
    if number("PRAGMA application_id")? != schema::APPLICATION_ID {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    let found = number("PRAGMA user_version")?;
    if found > schema::VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: schema::VERSION });
    }
    Rows::new(&connection).counts()
}

pub(super) fn open_existing(path: &Path) -> Result<Connection, StoreError> {
    File::open(path).map_err(|source| failed(path, source))?;
    // Not read-only: a database whose WAL was left behind has to be recovered before it can be read.
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

pub(super) fn create_new(path: &Path) -> Result<(), StoreError> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    created.map(drop).map_err(|source| failed(path, source))
}

fn copy(source: &Connection, target: &Path) -> Result<(), StoreError> {
    let mut connection = Connection::open(target)?;
    // All pages in one step: a daemon that writes meanwhile would make a copy in several steps start again for ever.
    Backup::new(source, &mut connection)?.run_to_completion(i32::MAX, Duration::from_millis(50), None)?;
    // The copy says WAL, as its source does; closing in another mode leaves one file, whole in itself.
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    connection.close().map_err(|(_, error)| error)?;
    File::open(target).and_then(|file| file.sync_all()).map_err(|source| failed(target, source))
}

/// Keeps the database under another name beside its place: `txtgate.db.before-restore`, or with a number where that is
/// taken. A whole one is linked, so that at every moment one database is in the place; a damaged one, whose WAL cannot
/// be folded in, is moved together with what belongs to it.
fn set_aside(database: &Path) -> Result<Option<PathBuf>, StoreError> {
    if !database.exists() {
        return Ok(None);
    }
    let names = (1..).map(|number| match number {
        1 => with_suffix(database, ".before-restore"),
        _ => with_suffix(database, &format!(".before-restore-{number}")),
    });
    let Some(old) = names.into_iter().find(|name| !name.exists()) else { return Ok(None) };
    if fold(database).is_ok() {
        std::fs::hard_link(database, &old).map_err(|source| failed(&old, source))?;
        return Ok(Some(old));
    }
    for suffix in ["-wal", "-shm", ""] {
        let part = with_suffix(database, suffix);
        if part.exists() {
            rename(&part, &with_suffix(&old, suffix))?;
        }
    }
    Ok(Some(old))
}

/// Writes the WAL's content into the database and removes the WAL.
fn fold(database: &Path) -> Result<(), StoreError> {
    let connection = open_existing(database)?;
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::rename(from, to).map_err(|source| failed(to, source))
}

fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| failed(folder, source))
}

fn failed(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::File { path: path.to_owned(), source: Arc::new(source) }
}
