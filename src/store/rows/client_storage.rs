//! The rows of credentials that clients store, sealed with the secret that they hold. The table is called `kept`.

use rusqlite::{OptionalExtension, params};

use crate::model::name::Name;
use crate::model::secret::SecretHash;

use super::{Result, Rows, parse};

impl Rows<'_> {
    /// Stores a holder's sealed credentials for a domain, in place of those that are there.
    pub fn put_stored(&self, holder: &SecretHash, domain: &Name, sealed: &[u8]) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO kept (holder, domain, sealed) VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![holder.to_string(), domain.to_string(), sealed])?;
        Ok(())
    }

    /// A holder's credentials for a domain.
    pub fn stored(&self, holder: &SecretHash, domain: &Name) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT sealed FROM kept WHERE holder = ?1 AND domain = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([holder.to_string(), domain.to_string()], |row| row.get(0)).optional()?)
    }

    /// All credentials of a holder, by domain.
    pub fn all_stored(&self, holder: &SecretHash) -> Result<Vec<(Name, Vec<u8>)>> {
        let mut statement =
            self.connection.prepare_cached("SELECT domain, sealed FROM kept WHERE holder = ?1 ORDER BY domain")?;
        let rows = statement.query_map([holder.to_string()], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        rows.map(|row| row.map_err(Into::into).and_then(|(domain, sealed)| Ok((parse("domain", &domain)?, sealed))))
            .collect()
    }

    /// For how many domains a holder stores credentials.
    pub fn count_stored(&self, holder: &SecretHash) -> Result<i64> {
        let mut statement = self.connection.prepare_cached("SELECT count(*) FROM kept WHERE holder = ?1")?;
        Ok(statement.query_row([holder.to_string()], |row| row.get(0))?)
    }

    /// Deletes a holder's credentials for a domain; whether there were any.
    pub fn delete_stored(&self, holder: &SecretHash, domain: &Name) -> Result<bool> {
        let sql = "DELETE FROM kept WHERE holder = ?1 AND domain = ?2";
        Ok(self.connection.prepare_cached(sql)?.execute([holder.to_string(), domain.to_string()])? > 0)
    }
}
