//! The rows of the further names of accounts: owners and aliases.

use rusqlite::{OptionalExtension, params};

use crate::model::account::{OwnAlias, Username};
use crate::model::name::{Alias, Owner};

use super::{Result, Rows, owner_of, parse};

impl Rows<'_> {
    /// Gives an account another owner. Returns its row.
    pub fn add_owner(&self, owner: &Owner, who: Username) -> Result<i64> {
        let sql = "INSERT INTO owners (account, zone, name) SELECT id, ?2, ?3 FROM accounts WHERE username = ?1";
        let row = params![who.to_string(), owner.zone.to_string(), owner.label.as_str()];
        self.connection.prepare_cached(sql)?.execute(row)?;
        let id = self.connection.last_insert_rowid();
        // Labels of ACME accounts come and go with their values, and are not searched.
        if owner.above().is_none() {
            self.index_user(who)?;
        }
        Ok(id)
    }

    /// Takes an owner away, with its values and the aliases that stand for it.
    pub fn remove_owner(&self, owner: &Owner) -> Result<()> {
        let account = if owner.above().is_none() { self.account_of(owner)? } else { None };
        let sql = "DELETE FROM owners WHERE zone = ?1 AND name = ?2";
        self.connection.prepare_cached(sql)?.execute([owner.zone.to_string().as_str(), owner.label.as_str()])?;
        account.map_or(Ok(()), |id| self.index_account(id))
    }

    fn account_of(&self, owner: &Owner) -> Result<Option<i64>> {
        let sql = "SELECT account FROM owners WHERE zone = ?1 AND name = ?2";
        let key = [owner.zone.to_string(), owner.label.as_str().to_owned()];
        Ok(self.connection.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?.flatten())
    }

    /// Has an alias stand for an owner of the account that has that owner, in place of the one so far.
    pub fn put_alias(&self, alias: &Alias, owner: &Owner) -> Result<()> {
        self.insert_alias(alias, owner)?;
        self.account_of(owner)?.map_or(Ok(()), |id| self.index_account(id))
    }

    /// The same, but for the search.
    pub(super) fn insert_alias(&self, alias: &Alias, owner: &Owner) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO aliases (account, name, owner)
                   SELECT account, ?1, id FROM owners WHERE zone = ?2 AND name = ?3 AND account IS NOT NULL";
        let row = params![alias.to_string(), owner.zone.to_string(), owner.label.as_str()];
        self.connection.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// Takes an alias away from an account.
    pub fn remove_alias(&self, alias: &Alias, who: Username) -> Result<()> {
        let sql = "DELETE FROM aliases WHERE name = ?1 AND account = (SELECT id FROM accounts WHERE username = ?2)";
        self.connection.prepare_cached(sql)?.execute([alias.to_string(), who.to_string()])?;
        self.index_user(who)
    }

    /// Every alias of every account; one that several have comes as often.
    pub fn each_alias(&self, mut visit: impl FnMut(&Alias)) -> Result<()> {
        let mut statement = self.connection.prepare("SELECT name FROM aliases")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            visit(&parse("alias", &row.get::<_, String>(0)?)?);
        }
        Ok(())
    }

    /// The owners of an account's row, the first one first.
    pub(super) fn owners_of(&self, account: i64) -> Result<Vec<Owner>> {
        let mut statement =
            self.connection.prepare_cached("SELECT zone, name FROM owners WHERE account = ?1 ORDER BY id")?;
        let rows = statement.query_map([account], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| row.map_err(Into::into).and_then(|(zone, name)| owner_of(&zone, &name))).collect()
    }

    /// The aliases of an account's row, by name.
    pub(super) fn aliases_of(&self, account: i64) -> Result<Vec<OwnAlias>> {
        let sql = "SELECT a.name, o.zone, o.name FROM aliases a JOIN owners o ON o.id = a.owner
                   WHERE a.account = ?1 ORDER BY a.name";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([account])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (name, zone, label): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            found.push(OwnAlias { alias: parse("alias", &name)?, owner: owner_of(&zone, &label)? });
        }
        Ok(found)
    }
}
