//! Why the store could not do something, in sentences for the operator.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::ErrorCode;
use rustix::fs::{StatVfsMountFlags, statvfs};
use thiserror::Error;

use crate::file::{Unusable, folder_of};

/// With less room than this in bytes, SQLite cannot open a database: the index of its WAL takes 32 KiB.
const LEAST_ROOM: u64 = 64 << 10;

/// A failure of the store. Cheap to clone: all who waited for one commit hear of it.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    #[error("another txtgate{holder} has the database {} open; stop it first, or give this one another `database`", path.display())]
    Locked { path: PathBuf, holder: String },
    #[error("the database {} has schema {found} and this version knows up to {known}; run the newer txtgate", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} is a database of another program; give another `database`", .0.display())]
    Foreign(PathBuf),
    #[error("the database is damaged ({0}); restore a backup with `txtgate restore FILE`")]
    Corrupt(String),
    #[error(
        "there is no database {}, but there was one: {evidence}; mount its file system, or put the database back (`txtgate \
         restore FILE`); to begin with an empty database, run `txtgate serve --init`, or create the file {}.init and start \
         as usual",
        path.display(), path.display()
    )]
    Missing { path: PathBuf, evidence: String },
    #[error("`--init` creates a database, and {} is there already; start without `--init`", .0.display())]
    Exists(PathBuf),
    #[error("the database file {} was deleted or replaced while running; put it back, or restore a backup with `txtgate restore FILE`", .0.display())]
    Replaced(PathBuf),
    #[error(
        "the database file {} was truncated or overwritten while running; restore a backup with `txtgate restore FILE`, or \
         restart to go on with what is left",
        .0.display()
    )]
    Altered(PathBuf),
    #[error("cannot use {}", Unusable(path, source))]
    File { path: PathBuf, source: Arc<std::io::Error> },
    #[error("the disk is full: {0}")]
    Full(String),
    #[error("the database cannot be written ({0}); make its folder and files writable for this user")]
    ReadOnly(String),
    #[error("the file system of the database is mounted read-only ({0}); mount it writable")]
    ReadOnlyFileSystem(String),
    #[error("the disk failed: {0}")]
    Disk(String),
    #[error("the disk is stalled: it has not answered for {} seconds", .0.as_secs())]
    Stalled(Duration),
    #[error("another program has the database locked: {0}")]
    Busy(String),
    #[error("too many changes wait to be written")]
    Overloaded,
    #[error("the store is closed")]
    Stopped,
    #[error("the database holds something unreadable: {0}")]
    Unreadable(String),
    #[error("SQLite: {0}")]
    Sqlite(String),
}

impl StoreError {
    /// Names the file, where SQLite did not, and the cause, where the file system tells: to SQLite a full or read-only
    /// disk is often an error like any other.
    pub(super) fn of(self, path: &Path) -> Self {
        let named = |text: String| named(path, &text);
        match self {
            Self::ReadOnly(text) => cause(path, &text).unwrap_or_else(|| Self::ReadOnly(named(text))),
            Self::Disk(text) => cause(path, &text).unwrap_or_else(|| Self::Disk(named(text))),
            Self::Corrupt(text) => Self::Corrupt(named(text)),
            Self::Full(text) => Self::Full(named(text)),
            Self::Busy(text) => Self::Busy(named(text)),
            Self::Sqlite(text) => Self::Sqlite(named(text)),
            other => other,
        }
    }

    /// Why nothing can be stored, for clients: without paths, and without the words of SQLite. `None`: a fault of this
    /// program, about which only the log tells.
    pub fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::Full(_) => "the disk is full",
            Self::ReadOnlyFileSystem(_) => "the file system is read-only",
            Self::File { source, .. } => match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the disk is full",
                ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
                _ => "the database cannot be written",
            },
            Self::ReadOnly(_) => "the database cannot be written",
            Self::Disk(_) => "the disk failed",
            Self::Stalled(_) => "the disk is stalled",
            Self::Corrupt(_) | Self::Altered(_) => "the database is damaged",
            Self::Replaced(_) | Self::Missing { .. } => "the database is missing",
            Self::Busy(_) | Self::Locked { .. } => "another program has the database locked",
            Self::Newer { .. } | Self::Foreign(_) | Self::Exists(_) => "the database cannot be used",
            Self::Overloaded => "too many changes are waiting",
            Self::Stopped => "the server is stopping",
            Self::Unreadable(_) | Self::Sqlite(_) => return None,
        })
    }

    /// Whether the store is well, but has more to do than it can, or has ended.
    pub fn is_load(&self) -> bool {
        matches!(self, Self::Overloaded | Self::Stopped)
    }

    /// Whether what is stored may still be read while nothing can be written.
    pub(super) fn leaves_readable(&self) -> bool {
        match self {
            Self::Full(_) | Self::ReadOnlyFileSystem(_) | Self::Disk(_) => true,
            Self::File { source, .. } => matches!(
                source.kind(),
                ErrorKind::StorageFull
                    | ErrorKind::QuotaExceeded
                    | ErrorKind::FileTooLarge
                    | ErrorKind::ReadOnlyFilesystem
            ),
            _ => false,
        }
    }

    /// Whether it is about one change alone, so that others of the same group may still succeed.
    pub(super) fn is_of_one_change(&self) -> bool {
        matches!(self, Self::Sqlite(_) | Self::Unreadable(_))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(text),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(text),
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::ReadOnly(text),
            Some(ErrorCode::SystemIoFailure | ErrorCode::FileLockingProtocolFailed) => Self::Disk(text),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(text),
            _ => Self::Sqlite(text),
        }
    }
}

fn named(path: &Path, text: &str) -> String {
    let path = path.display().to_string();
    if text.starts_with(&path) { text.to_owned() } else { format!("{path}: {text}") }
}

/// The cause that the file system of `path` gives for an error, if it gives one.
fn cause(path: &Path, text: &str) -> Option<StoreError> {
    let system = statvfs(folder_of(path)).ok()?;
    let named = named(path, text);
    if system.f_flag.contains(StatVfsMountFlags::RDONLY) || is_write_protected(path) {
        return Some(StoreError::ReadOnlyFileSystem(named));
    }
    (system.f_bavail.saturating_mul(system.f_frsize) < LEAST_ROOM).then_some(StoreError::Full(named))
}

/// Whether the file system lets no file be opened for writing: after an error, ext4 says so in no other way. The file is the
/// lock's: closing a descriptor of the database would drop SQLite's locks.
fn is_write_protected(path: &Path) -> bool {
    let opened = OpenOptions::new().write(true).open(path.with_added_extension("lock"));
    opened.is_err_and(|error| error.kind() == ErrorKind::ReadOnlyFilesystem)
}
