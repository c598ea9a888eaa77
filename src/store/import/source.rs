//! Where the accounts of acme-dns are.

use std::fmt;
use std::path::PathBuf;

#[cfg(feature = "postgres")]
use super::postgres::Postgres;
#[cfg(not(feature = "postgres"))]
use super::without_postgres::Postgres;

use super::contents::Contents;
use super::error::ImportError;
use super::sqlite;

/// A database of acme-dns.
#[derive(Debug, Clone)]
pub enum Source {
    /// A SQLite file.
    Sqlite(PathBuf),
    Postgres(Box<Postgres>),
}

impl Source {
    /// Reads everything in one transaction.
    ///
    /// # Errors
    ///
    /// The database cannot be reached or read, or belongs to another program. What is wrong with single rows is in
    /// [`Contents::left`].
    pub fn read(&self) -> Result<Contents, ImportError> {
        let rows = match self {
            Self::Sqlite(path) => sqlite::read(path)?,
            Self::Postgres(server) => server.read()?,
        };
        Ok(rows.parsed())
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
