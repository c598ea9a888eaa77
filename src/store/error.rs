//! Why the store could not do something, in sentences for the operator.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;
use thiserror::Error;

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
    #[error("the database file {} was deleted or replaced while running; put it back or restart", .0.display())]
    Replaced(PathBuf),
    #[error("cannot use {}: {source}", path.display())]
    File { path: PathBuf, source: Arc<std::io::Error> },
    #[error("the disk is full: {0}")]
    Full(String),
    #[error("the database cannot be written ({0}); make its folder and files writable for this user")]
    ReadOnly(String),
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
    /// Names the file, where SQLite did not.
    pub(super) fn of(self, path: &Path) -> Self {
        let named = |text: String| format!("{}: {text}", path.display());
        match self {
            Self::ReadOnly(text) => Self::ReadOnly(named(text)),
            Self::Corrupt(text) => Self::Corrupt(named(text)),
            Self::Full(text) => Self::Full(named(text)),
            Self::Busy(text) => Self::Busy(named(text)),
            Self::Sqlite(text) => Self::Sqlite(named(text)),
            other => other,
        }
    }

    /// Whether asking again later may help.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Busy(_) | Self::Overloaded | Self::Stopped)
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
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(text),
            _ => Self::Sqlite(text),
        }
    }
}
