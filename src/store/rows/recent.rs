//! What was published last.

use rusqlite::{OptionalExtension, Params};

use crate::model::account::Note;
use crate::model::name::Owner;
use crate::model::time::Timestamp;

use super::{Published, Result, Rows, owner_of, parse};

/// A publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    pub at: Timestamp,
    pub owner: Owner,
    /// The account's note; `None` for an owner of the daemon.
    pub note: Option<Note>,
}

impl Rows<'_> {
    /// The last publication of a value that is stored still.
    pub(in crate::store) fn last_publication_of_value(&self) -> Result<Option<Publication>> {
        let sql = "SELECT v.published, o.zone, o.name, a.note FROM live_values v JOIN owners o ON o.id = v.owner
                   LEFT JOIN accounts a ON a.id = o.account WHERE v.id = (SELECT max(id) FROM live_values)";
        self.publication(sql, [])
    }

    /// The last publication of the account at this row, at its first name. `None`: there is no such account, or it has not
    /// published.
    pub(in crate::store) fn last_publication_of_account(&self, row: u32) -> Result<Option<Publication>> {
        let sql = "SELECT a.last_update, o.zone, o.name, a.note FROM accounts a JOIN owners o ON o.account = a.id
                   WHERE a.id = ?1 AND a.last_update IS NOT NULL ORDER BY o.id LIMIT 1";
        self.publication(sql, [row])
    }

    fn publication(&self, sql: &str, key: impl Params) -> Result<Option<Publication>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let found: Option<(Timestamp, String, String, Option<String>)> = statement.query_row(key, row).optional()?;
        let Some((at, zone, label, note)) = found else { return Ok(None) };
        let note = note.map(|note| parse("note", &note)).transpose()?;
        Ok(Some(Publication { at, owner: owner_of(&zone, &label)?, note }))
    }

    /// The account that has published last. Reads every account.
    pub(in crate::store) fn last_publisher(&self) -> Result<Option<Published>> {
        let sql = "SELECT last_update, id FROM accounts WHERE last_update = (SELECT max(last_update) FROM accounts)
                   ORDER BY id DESC LIMIT 1";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        Ok(self.connection.prepare_cached(sql)?.query_row([], row).optional()?)
    }
}
