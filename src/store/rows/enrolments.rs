//! The rows of enrolment tokens.

use rusqlite::{OptionalExtension, Row, params};

use crate::model::account::AllowFrom;
use crate::model::enrolment::{AllowedLabel, Enrolment, EnrolmentId, Terms};
use crate::model::secret::SecretHash;
use crate::model::time::{RunningTime, Timestamp};

use super::{Result, Rows, parse, unreadable};

/// The columns that [`raw`] reads, in its order.
macro_rules! enrolment_columns {
    () => {
        "id, uses, used, expires_running, allowfrom, labels, note, created"
    };
}

impl Rows<'_> {
    /// Stores a token's hash and what it is good for.
    pub fn insert_enrolment(&self, hash: &SecretHash, terms: &Terms, now: Timestamp) -> Result<EnrolmentId> {
        let sql = "INSERT INTO enrolments (hash, uses, used, expires_running, allowfrom, labels, note, created)
                   VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7)";
        self.connection.prepare_cached(sql)?.execute(params![
            hash.to_string(),
            terms.uses,
            terms.expires,
            serde_json::to_string(&terms.allow_from).map_err(|e| unreadable("allowfrom", &e))?,
            serde_json::to_string(&terms.labels).map_err(|e| unreadable("labels", &e))?,
            terms.note.as_str(),
            now,
        ])?;
        Ok(EnrolmentId(self.connection.last_insert_rowid()))
    }

    /// A token by its id.
    pub fn enrolment(&self, id: EnrolmentId) -> Result<Option<Enrolment>> {
        let sql = concat!("SELECT ", enrolment_columns!(), " FROM enrolments WHERE id = ?1");
        let found = self.connection.prepare_cached(sql)?.query_row([id.0], raw).optional()?;
        found.map(RawEnrolment::parse).transpose()
    }

    /// The token with a hash.
    pub fn enrolment_of(&self, hash: &SecretHash) -> Result<Option<Enrolment>> {
        let sql = concat!("SELECT ", enrolment_columns!(), " FROM enrolments WHERE hash = ?1");
        let found = self.connection.prepare_cached(sql)?.query_row([hash.to_string()], raw).optional()?;
        found.map(RawEnrolment::parse).transpose()
    }

    /// All tokens, the oldest first.
    pub fn enrolments(&self) -> Result<Vec<Enrolment>> {
        let sql = concat!("SELECT ", enrolment_columns!(), " FROM enrolments ORDER BY id");
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_map([], raw)?.map(|raw| raw?.parse()).collect()
    }

    /// How many tokens there are.
    pub fn count_enrolments(&self) -> Result<i64> {
        let mut statement = self.connection.prepare_cached("SELECT count(*) FROM enrolments")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// Counts a use of a token.
    pub fn use_enrolment(&self, id: EnrolmentId) -> Result<()> {
        self.connection.prepare_cached("UPDATE enrolments SET used = used + 1 WHERE id = ?1")?.execute([id.0])?;
        Ok(())
    }

    /// Takes a token away, with what its holder keeps: nobody can open that any more. Whether it was there.
    pub fn remove_enrolment(&self, id: EnrolmentId) -> Result<bool> {
        let kept = "DELETE FROM kept WHERE holder = (SELECT hash FROM enrolments WHERE id = ?1)";
        self.connection.prepare_cached(kept)?.execute([id.0])?;
        Ok(self.connection.prepare_cached("DELETE FROM enrolments WHERE id = ?1")?.execute([id.0])? > 0)
    }
}

/// A token's row before its texts are read.
struct RawEnrolment {
    id: i64,
    uses: u32,
    used: u32,
    expires: RunningTime,
    allow_from: String,
    labels: String,
    note: String,
    created: Timestamp,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<RawEnrolment> {
    Ok(RawEnrolment {
        id: row.get(0)?,
        uses: row.get(1)?,
        used: row.get(2)?,
        expires: row.get(3)?,
        allow_from: row.get(4)?,
        labels: row.get(5)?,
        note: row.get(6)?,
        created: row.get(7)?,
    })
}

impl RawEnrolment {
    fn parse(self) -> Result<Enrolment> {
        let texts = |what: &str, json: &str| {
            serde_json::from_str::<Vec<String>>(json).map_err(|error| unreadable(what, &error))
        };
        let allow_from = AllowFrom::parse(&texts("allowfrom", &self.allow_from)?);
        let labels = texts("labels", &self.labels)?;
        let labels = labels.iter().map(|label| parse::<AllowedLabel>("label", label)).collect::<Result<_>>()?;
        let terms = Terms {
            uses: self.uses,
            expires: self.expires,
            allow_from: allow_from.map_err(|error| unreadable("allowfrom", &error))?,
            labels,
            note: parse("note", &self.note)?,
        };
        Ok(Enrolment { id: EnrolmentId(self.id), terms, used: self.used, created: self.created })
    }
}
