//! The import from PostgreSQL in a build without it.

use std::fmt;

use super::error::ImportError;
use super::rows::Rows;

/// A PostgreSQL database; no value of this type exists in this build.
#[derive(Clone, Debug)]
pub enum Postgres {}

impl Postgres {
    /// Refuses every connection, with the command that builds a txtgate which takes it.
    pub fn parse(_text: &str, _password: Option<&str>) -> Result<Self, ImportError> {
        Err(ImportError::NoPostgres)
    }

    pub(super) fn read(&self) -> Result<Rows, ImportError> {
        match *self {}
    }
}

impl fmt::Display for Postgres {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_says_how_to_build_a_txtgate_that_reads_postgresql() {
        let error = Postgres::parse("postgres://acmedns:hush@db.test/acmedns", None).unwrap_err().to_string();
        assert!(error.contains("cargo build --release --features postgres") && !error.contains("hush"), "{error}");
    }
}
