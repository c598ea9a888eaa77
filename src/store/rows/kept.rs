//! The rows of what is kept, sealed, for the holders of secrets.

use rusqlite::{OptionalExtension, params};

use crate::model::name::Name;
use crate::model::secret::SecretHash;

use super::{Result, Rows, parse};

impl Rows<'_> {
    /// Keeps something of a holder under a domain, in place of what is there.
    pub fn keep(&self, holder: &SecretHash, domain: &Name, sealed: &[u8]) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO kept (holder, domain, sealed) VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![holder.to_string(), domain.to_string(), sealed])?;
        Ok(())
    }

    /// What a holder keeps under a domain.
    pub fn kept(&self, holder: &SecretHash, domain: &Name) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT sealed FROM kept WHERE holder = ?1 AND domain = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([holder.to_string(), domain.to_string()], |row| row.get(0)).optional()?)
    }

    /// Everything that a holder keeps, by domain.
    pub fn all_kept(&self, holder: &SecretHash) -> Result<Vec<(Name, Vec<u8>)>> {
        let mut statement =
            self.connection.prepare_cached("SELECT domain, sealed FROM kept WHERE holder = ?1 ORDER BY domain")?;
        let rows = statement.query_map([holder.to_string()], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        rows.map(|row| row.map_err(Into::into).and_then(|(domain, sealed)| Ok((parse("domain", &domain)?, sealed))))
            .collect()
    }

    /// How much a holder keeps.
    pub fn count_kept(&self, holder: &SecretHash) -> Result<i64> {
        let mut statement = self.connection.prepare_cached("SELECT count(*) FROM kept WHERE holder = ?1")?;
        Ok(statement.query_row([holder.to_string()], |row| row.get(0))?)
    }

    /// Takes away what a holder keeps under a domain; whether there was something.
    pub fn unkeep(&self, holder: &SecretHash, domain: &Name) -> Result<bool> {
        let sql = "DELETE FROM kept WHERE holder = ?1 AND domain = ?2";
        Ok(self.connection.prepare_cached(sql)?.execute([holder.to_string(), domain.to_string()])? > 0)
    }
}
