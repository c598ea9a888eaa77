//! Errors of the import.

use std::path::PathBuf;

use thiserror::Error;

use crate::file::Unusable;

/// The reason why a source cannot be read.
#[derive(Debug, Error)]
pub enum ImportError {
    #[error("cannot read {}", Unusable(path, source))]
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
