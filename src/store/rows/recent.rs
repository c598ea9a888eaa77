//! What was published last.

use rusqlite::OptionalExtension;

use crate::model::account::Note;
use crate::model::name::Owner;
use crate::model::time::Timestamp;

use super::{Result, Rows, owner_of, parse};

/// A publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    pub at: Timestamp,
    pub owner: Owner,
    /// The account's note; `None` for an owner of the daemon.
    pub note: Option<Note>,
}

impl Rows<'_> {
    /// The last publication: of a value that is stored still, or else of an account, at its first name. Looks at every
    /// account.
    pub fn last_publication(&self) -> Result<Option<Publication>> {
        let sql = "WITH last (rank, at, owner) AS (
                       SELECT 0, published, owner FROM live_values WHERE id = (SELECT max(id) FROM live_values)
                       UNION ALL
                       SELECT 1, last_update, (SELECT min(id) FROM owners WHERE account = a.id) FROM accounts a
                       WHERE last_update = (SELECT max(last_update) FROM accounts)
                   )
                   SELECT last.at, o.zone, o.name, a.note FROM last JOIN owners o ON o.id = last.owner
                   LEFT JOIN accounts a ON a.id = o.account ORDER BY last.at DESC, last.rank LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let found: Option<(Timestamp, String, String, Option<String>)> = statement.query_row([], row).optional()?;
        let Some((at, zone, label, note)) = found else { return Ok(None) };
        let note = note.map(|note| parse("note", &note)).transpose()?;
        Ok(Some(Publication { at, owner: owner_of(&zone, &label)?, note }))
    }
}
