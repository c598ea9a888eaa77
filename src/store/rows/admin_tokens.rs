//! The rows of the tokens of the admin API over the network.

use rusqlite::{OptionalExtension, Row, params};

use crate::model::account::AllowFrom;
use crate::model::admin_token::{AdminScope, AdminToken, AdminTokenId, AdminTokenTerms};
use crate::model::secret::SecretHash;
use crate::model::time::{RunningTime, Timestamp};

use super::{Result, Rows, parse, unreadable};

/// The columns that [`raw`] reads, in its order.
macro_rules! token_columns {
    () => {
        "id, scope, expires_running, allowfrom, note, created"
    };
}

impl Rows<'_> {
    /// Stores a token's hash and what it is good for.
    pub fn insert_admin_token(
        &self,
        hash: &SecretHash,
        terms: &AdminTokenTerms,
        now: Timestamp,
    ) -> Result<AdminTokenId> {
        let sql = "INSERT INTO admin_tokens (hash, scope, expires_running, allowfrom, note, created)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.connection.prepare_cached(sql)?.execute(params![
            hash.to_string(),
            terms.scope.as_str(),
            terms.expires,
            serde_json::to_string(&terms.allow_from).map_err(|e| unreadable("allowfrom", &e))?,
            terms.note.as_str(),
            now,
        ])?;
        Ok(AdminTokenId(self.connection.last_insert_rowid()))
    }

    /// The token with a hash.
    pub fn admin_token_of(&self, hash: &SecretHash) -> Result<Option<AdminToken>> {
        let sql = concat!("SELECT ", token_columns!(), " FROM admin_tokens WHERE hash = ?1");
        let found = self.connection.prepare_cached(sql)?.query_row([hash.to_string()], raw).optional()?;
        found.map(RawToken::parse).transpose()
    }

    /// All tokens, the oldest first.
    pub fn admin_tokens(&self) -> Result<Vec<AdminToken>> {
        let sql = concat!("SELECT ", token_columns!(), " FROM admin_tokens ORDER BY id");
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_map([], raw)?.map(|raw| raw?.parse()).collect()
    }

    /// How many tokens there are.
    pub fn count_admin_tokens(&self) -> Result<i64> {
        let mut statement = self.connection.prepare_cached("SELECT count(*) FROM admin_tokens")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// Removes a token. Whether it was there.
    pub fn remove_admin_token(&self, id: AdminTokenId) -> Result<bool> {
        Ok(self.connection.prepare_cached("DELETE FROM admin_tokens WHERE id = ?1")?.execute([id.0])? > 0)
    }
}

/// A token's row before its texts are read.
struct RawToken {
    id: i64,
    scope: String,
    expires: RunningTime,
    allow_from: String,
    note: String,
    created: Timestamp,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<RawToken> {
    Ok(RawToken {
        id: row.get(0)?,
        scope: row.get(1)?,
        expires: row.get(2)?,
        allow_from: row.get(3)?,
        note: row.get(4)?,
        created: row.get(5)?,
    })
}

impl RawToken {
    fn parse(self) -> Result<AdminToken> {
        let networks: Vec<String> = serde_json::from_str(&self.allow_from).map_err(|e| unreadable("allowfrom", &e))?;
        let terms = AdminTokenTerms {
            scope: parse::<AdminScope>("scope", &self.scope)?,
            expires: self.expires,
            allow_from: AllowFrom::parse(&networks).map_err(|e| unreadable("allowfrom", &e))?,
            note: parse("note", &self.note)?,
        };
        Ok(AdminToken { id: AdminTokenId(self.id), terms, created: self.created })
    }
}
