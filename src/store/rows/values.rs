//! The rows of TXT values.

use rusqlite::{OptionalExtension, Params, Row, params};

use crate::model::name::{Owner, ZoneName};
use crate::model::time::{RunningTime, Timestamp};
use crate::model::txt::persist::PersistentValue;
use crate::model::txt::{LiveValue, TxtValue};

use super::{Result, Rows, owner_of, parse, unreadable};

/// The columns that [`StoredValues::read`] reads, in its order.
macro_rules! value_columns {
    () => {
        "v.id, v.kind, v.bytes, v.published, v.published_running, v.expires_running"
    };
}

/// The kind of the values that challenges publish.
const CHALLENGE: &str = "challenge";
/// The kind of persistent authorizations.
const PERSISTENT: &str = "persistent";

/// A value as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<V> {
    /// Its row; a higher one is newer.
    pub id: i64,
    /// When it was published.
    pub since: RunningTime,
    /// The value and its times.
    pub value: V,
}

/// The values of an owner, each kind newest first, expired ones included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredValues {
    /// Those of challenges.
    pub challenges: Vec<Stored<LiveValue>>,
    /// Persistent authorizations.
    pub persistent: Vec<Stored<PersistentValue>>,
}

impl StoredValues {
    /// Whether there is none of either kind.
    pub fn is_empty(&self) -> bool {
        self.challenges.is_empty() && self.persistent.is_empty()
    }

    /// Reads the columns of `value_columns!` from column `first` on, and keeps the value.
    fn read(&mut self, row: &Row<'_>, first: usize) -> Result<()> {
        let id = row.get(first)?;
        let bytes = row.get_ref(first + 2)?.as_blob().map_err(|e| unreadable("value", &e))?;
        let text = std::str::from_utf8(bytes).map_err(|e| unreadable("value", &e))?;
        let (published, since, expires) = (row.get(first + 3)?, row.get(first + 4)?, row.get(first + 5)?);
        match row.get_ref(first + 1)?.as_str().map_err(|e| unreadable("kind", &e))? {
            CHALLENGE => {
                let txt = parse::<TxtValue>("value", text)?;
                self.challenges.push(Stored { id, since, value: LiveValue { txt, published, expires } });
            }
            PERSISTENT => {
                let (value, expires) = (parse("value", text)?, Some(expires).filter(|at| *at != RunningTime::MAX));
                self.persistent.push(Stored { id, since, value: PersistentValue { value, published, expires } });
            }
            other => return Err(unreadable("kind", &other)),
        }
        Ok(())
    }
}

impl Rows<'_> {
    /// Every owner of a zone with its values, newest first.
    ///
    /// Reads the tables from end to end in the order of their rows. By the index of names it would look for each owner
    /// anew and sort them all before the first one is seen: eight times as long for a million.
    pub fn each_owner(
        &self,
        zone: &ZoneName,
        mut visit: impl FnMut(&str, bool, &[LiveValue], Vec<PersistentValue>),
    ) -> Result<()> {
        let sql = concat!(
            "SELECT o.id, o.name, ifnull(a.disabled, 0), ",
            value_columns!(),
            " FROM owners o NOT INDEXED LEFT JOIN accounts a ON a.id = o.account
              LEFT JOIN live_values v ON v.owner = o.id WHERE o.zone = ?1 ORDER BY o.id"
        );
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query(params![zone.to_string()])?;
        let mut owner = Loaded::default();
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if owner.id != Some(id) {
                owner.finish(&mut visit);
                owner.id = Some(id);
                owner.name.push_str(row.get_ref(1)?.as_str().map_err(|e| unreadable("owner", &e))?);
                owner.is_disabled = row.get(2)?;
            }
            if row.get::<_, Option<i64>>(3)?.is_some() {
                owner.values.read(row, 3)?;
            }
        }
        owner.finish(&mut visit);
        Ok(())
    }

    /// The values at an owner's row.
    pub fn values(&self, owner: i64) -> Result<StoredValues> {
        let sql = concat!("SELECT ", value_columns!(), " FROM live_values v WHERE owner = ?1 ORDER BY id DESC");
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([owner])?;
        let mut values = StoredValues::default();
        while let Some(row) = rows.next()? {
            values.read(row, 0)?;
        }
        Ok(values)
    }

    /// Stores a value as an owner's newest, published at `since`; one that is there already moves to the front.
    pub fn put_value(&self, owner: i64, value: &LiveValue, since: RunningTime) -> Result<()> {
        self.put(params![owner, CHALLENGE, value.txt.as_bytes(), value.published, since, value.expires])
    }

    /// The same for a persistent authorization.
    pub fn put_persistent(&self, owner: i64, value: &PersistentValue, since: RunningTime) -> Result<()> {
        let expires = value.expires.unwrap_or(RunningTime::MAX);
        self.put(params![owner, PERSISTENT, value.value.as_str().as_bytes(), value.published, since, expires])
    }

    fn put(&self, row: impl Params) -> Result<()> {
        // REPLACE gives the row a new id, above all others: newest first.
        let sql =
            "INSERT OR REPLACE INTO live_values (owner, kind, bytes, published, published_running, expires_running)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.connection.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// Changes when a value expires.
    pub fn set_expiry(&self, value: i64, expires: RunningTime) -> Result<()> {
        let sql = "UPDATE live_values SET expires_running = ?2 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![value, expires])?;
        Ok(())
    }

    /// Takes a value away.
    pub fn remove_value(&self, value: i64) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM live_values WHERE id = ?1")?.execute([value])?;
        Ok(())
    }

    /// Removes a challenge's value of an owner, if it is there; returns how many were.
    pub fn remove_text(&self, owner: i64, txt: TxtValue) -> Result<usize> {
        let sql = "DELETE FROM live_values WHERE owner = ?1 AND kind = ?2 AND bytes = ?3";
        Ok(self.connection.prepare_cached(sql)?.execute(params![owner, CHALLENGE, txt.as_bytes()])?)
    }

    /// When the next value expires.
    pub fn next_expiry(&self) -> Result<Option<RunningTime>> {
        let mut statement = self.connection.prepare_cached("SELECT min(expires_running) FROM live_values")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// At most `limit` owners that hold an expired value.
    pub fn owners_with_expired(&self, now: RunningTime, limit: usize) -> Result<Vec<Owner>> {
        let sql = "SELECT DISTINCT o.zone, o.name FROM live_values v JOIN owners o ON o.id = v.owner
                   WHERE v.expires_running <= ?1 LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let key = params![now, limit];
        let rows = statement.query_map(key, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| row.map_err(Into::into).and_then(|(zone, name)| owner_of(&zone, &name))).collect()
    }

    /// The date of the newest publication.
    pub fn newest(&self) -> Result<Option<Timestamp>> {
        // The newest row has the highest id: no scan.
        let sql = "SELECT published FROM live_values ORDER BY id DESC LIMIT 1";
        let found = self.connection.query_row(sql, [], |row| row.get(0)).optional()?;
        Ok(found)
    }
}

/// An owner while its rows are being read; used again for the next one.
#[derive(Default)]
struct Loaded {
    id: Option<i64>,
    name: String,
    is_disabled: bool,
    values: StoredValues,
    newest_first: Vec<LiveValue>,
}

impl Loaded {
    /// Shows the owner, if there is one, and makes room for the next.
    fn finish(&mut self, visit: &mut impl FnMut(&str, bool, &[LiveValue], Vec<PersistentValue>)) {
        if self.id.take().is_some() {
            let StoredValues { challenges, persistent } = &mut self.values;
            challenges.sort_unstable_by_key(|stored| std::cmp::Reverse(stored.id));
            persistent.sort_unstable_by_key(|stored| std::cmp::Reverse(stored.id));
            self.newest_first.extend(challenges.drain(..).map(|stored| stored.value));
            let persistent = persistent.drain(..).map(|stored| stored.value).collect();
            visit(&self.name, self.is_disabled, &self.newest_first, persistent);
            self.name.clear();
            self.newest_first.clear();
        }
    }
}
