//! The rows that say where the daemon proves the names of the certificates that it manages.

use rusqlite::{OptionalExtension, params};

use crate::model::name::{Name, Owner};

use super::{Result, Rows, owner_of};

impl Rows<'_> {
    /// Where a name is proven.
    pub fn managed(&self, name: &Name) -> Result<Option<Owner>> {
        let sql = "SELECT o.zone, o.name FROM managed m JOIN owners o ON o.id = m.owner WHERE m.name = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row([name.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        found.map(|(zone, label): (String, String)| owner_of(&zone, &label)).transpose()
    }

    /// Every owner that belongs to no account: the daemon's own, and those of names in its certificates.
    pub fn daemons_owners(&self) -> Result<Vec<Owner>> {
        let mut statement = self.connection.prepare_cached("SELECT zone, name FROM owners WHERE account IS NULL")?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(owner_of(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?)?);
        }
        Ok(found)
    }

    /// Has a name be proven at the owner of this row, in place of the one so far.
    pub fn put_managed(&self, name: &Name, owner: i64) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO managed (name, owner) VALUES (?1, ?2)";
        self.connection.prepare_cached(sql)?.execute(params![name.to_string(), owner])?;
        Ok(())
    }
}
