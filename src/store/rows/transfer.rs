//! What moves to another server besides accounts: tokens with their hashes, stored credentials, labels that are never given
//! again.

use rusqlite::params;

use crate::model::enrolment::{Enrolment, EnrolmentId};
use crate::model::name::{Name, Owner};
use crate::model::secret::SecretHash;
use crate::model::time::Timestamp;

use super::{Result, Rows, StoreError, owner_of, parse};

impl Rows<'_> {
    /// Every enrolment token with its hash.
    pub fn each_enrolment<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(SecretHash, Enrolment) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        for enrolment in self.enrolments()? {
            let hash = self.hash_of(enrolment.id)?;
            visit(hash, enrolment)?;
        }
        Ok(())
    }

    fn hash_of(&self, id: EnrolmentId) -> Result<SecretHash> {
        let mut statement = self.connection.prepare_cached("SELECT hash FROM enrolments WHERE id = ?1")?;
        parse("hash", &statement.query_row([id.0], |row| row.get::<_, String>(0))?)
    }

    /// Stores a token that another server has made, with the uses that it has had there.
    pub fn insert_moved_enrolment(&self, hash: &SecretHash, enrolment: &Enrolment) -> Result<()> {
        let id = self.insert_enrolment(hash, &enrolment.terms, enrolment.created)?;
        let sql = "UPDATE enrolments SET used = ?2 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![id.0, enrolment.used])?;
        Ok(())
    }

    /// All credentials that clients store: holder, domain, and what is sealed.
    pub fn each_stored<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(SecretHash, Name, Vec<u8>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let sql = "SELECT holder, domain, sealed FROM kept ORDER BY holder, domain";
        let mut statement = self.connection.prepare(sql).map_err(StoreError::from)?;
        let mut rows = statement.query([]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let text = |column: usize| row.get::<_, String>(column).map_err(StoreError::from);
            let sealed = row.get(2).map_err(StoreError::from)?;
            visit(parse("holder", &text(0)?)?, parse("domain", &text(1)?)?, sealed)?;
        }
        Ok(())
    }

    /// Every chosen label of a removed account.
    pub fn each_tombstone<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(Owner, Timestamp) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let sql = "SELECT zone, name, removed FROM tombstones ORDER BY zone, name";
        let mut statement = self.connection.prepare(sql).map_err(StoreError::from)?;
        let mut rows = statement.query([]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let text = |column: usize| row.get::<_, String>(column).map_err(StoreError::from);
            let removed = row.get(2).map_err(StoreError::from)?;
            visit(owner_of(&text(0)?, &text(1)?)?, removed)?;
        }
        Ok(())
    }
}
