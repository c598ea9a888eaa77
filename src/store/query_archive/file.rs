//! The file of kept queries: its table, and what is done with it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use crate::model::time::RunningTime;

use super::super::files::create_private;
use super::super::{StoreError, abandon};

/// What SQLite's header says whose file it is: "txtq".
const APPLICATION_ID: i64 = 0x7478_7471;
const VERSION: i64 = 1;
const SCHEMA: &str = "
CREATE TABLE queries (
    id     INTEGER PRIMARY KEY,            -- a higher one was stored later
    owner  TEXT NOT NULL,
    until  INTEGER NOT NULL,               -- when it was answered, in milliseconds since 1970
    stored INTEGER NOT NULL,               -- by the time that the daemon has run, in seconds
    query  TEXT NOT NULL                   -- JSON
) STRICT;
CREATE INDEX queries_owner ON queries (owner, until);
PRAGMA application_id = 1954051185;
PRAGMA user_version = 1;
";
/// How long a statement waits for another program that has the file locked.
const BUSY: Duration = Duration::from_millis(500);
/// Queries that are removed in one transaction, and transactions in one go.
const STEP: i64 = 1_000;
const STEPS: usize = 100;
/// Bytes to which the WAL is cut after a checkpoint.
const WAL_SIZE: i64 = 16 << 20;

/// One query of an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedRow {
    pub owner: String,
    /// When it was answered, in milliseconds since 1970.
    pub until: u64,
    /// The query, in a form that the query log alone knows.
    pub query: String,
}

/// The file, opened to write.
#[derive(Debug)]
pub(super) struct ArchiveFile {
    connection: Connection,
    /// Device and inode.
    identity: (u64, u64),
}

impl ArchiveFile {
    /// Opens the file, or creates it with mode 0600.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        create_private(path)?;
        let opened = || {
            let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            connection.busy_timeout(BUSY)?;
            connection.pragma_update(None, "trusted_schema", false)?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.pragma_update(None, "temp_store", "MEMORY")?;
            connection.pragma_update(None, "journal_size_limit", WAL_SIZE)?;
            prepare(&connection, path)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            Ok(connection)
        };
        let connection = opened().map_err(|error: StoreError| error.of(path))?;
        let identity = identity(path).ok_or_else(|| StoreError::Replaced(path.to_owned()))?;
        Ok(Self { connection, identity })
    }

    /// Whether the path still leads to this file.
    pub fn is_in_place(&self, path: &Path) -> bool {
        let is_in_place = identity(path) == Some(self.identity);
        if !is_in_place {
            // What lies beside the path now belongs to another.
            abandon(&self.connection);
        }
        is_in_place
    }

    /// Removes the queries of some owners, and adds others.
    pub fn write(&mut self, removed: &[String], queries: &[ArchivedRow], now: RunningTime) -> Result<(), StoreError> {
        let group = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut remove = group.prepare_cached("DELETE FROM queries WHERE owner = ?1")?;
            for owner in removed {
                remove.execute([owner])?;
            }
            let mut add =
                group.prepare_cached("INSERT INTO queries (owner, until, stored, query) VALUES (?1, ?2, ?3, ?4)")?;
            for row in queries {
                add.execute(params![row.owner, signed(row.until), now.as_seconds(), row.query])?;
            }
        }
        Ok(group.commit()?)
    }

    /// Removes the queries that were stored before a running time. Returns how many. The oldest come first, so that a
    /// round without any reads one page.
    pub fn remove_stored_before(&mut self, before: RunningTime) -> Result<usize, StoreError> {
        let sql = "DELETE FROM queries WHERE stored < ?1 AND id IN (SELECT id FROM queries ORDER BY id LIMIT ?2)";
        let mut removed = 0;
        for _ in 0..STEPS {
            let step = self.connection.prepare_cached(sql)?.execute(params![before.as_seconds(), STEP])?;
            removed += step;
            if step == 0 {
                break;
            }
        }
        Ok(removed)
    }

    /// Removes the oldest queries until what is left takes so many bytes. Returns how many. The file gives no room back,
    /// and grows no further.
    pub fn remove_surplus(&mut self, bytes: u64) -> Result<usize, StoreError> {
        let sql = "DELETE FROM queries WHERE id IN (SELECT id FROM queries ORDER BY id LIMIT ?1)";
        let mut removed = 0;
        for _ in 0..STEPS {
            if self.size()? <= bytes {
                break;
            }
            let step = self.connection.prepare_cached(sql)?.execute([STEP])?;
            removed += step;
            if step == 0 {
                break;
            }
        }
        Ok(removed)
    }

    /// Bytes in use.
    fn size(&self) -> Result<u64, StoreError> {
        let number = |pragma: &str| self.connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let pages = number("page_count")? - number("freelist_count")?;
        Ok(u64::try_from(pages.saturating_mul(number("page_size")?)).unwrap_or(0))
    }
}

/// Creates the table in an empty file, and refuses the file of another program or version.
fn prepare(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    if number("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(connection.execute_batch(&format!("BEGIN IMMEDIATE;{SCHEMA}COMMIT;"))?);
    }
    if number("PRAGMA application_id")? != APPLICATION_ID {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    let found = number("PRAGMA user_version")?;
    if found != VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    Ok(())
}

/// The last queries of each owner since a moment, at most `limit` of each; more than twice `limit` in all are never held.
pub(super) fn read(path: &Path, owners: &[String], since: u64, limit: usize) -> Result<Vec<ArchivedRow>, StoreError> {
    // Not read-only: the index of the WAL is written by readers, too.
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "query_only", true)?;
    let sql = "SELECT until, query FROM queries WHERE owner = ?1 AND until >= ?2 ORDER BY until DESC, id DESC LIMIT ?3";
    let mut statement = connection.prepare(sql)?;
    let mut found: Vec<ArchivedRow> = Vec::new();
    for owner in owners {
        let count = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![owner, signed(since), count], |row| {
            Ok(ArchivedRow { owner: owner.clone(), until: row.get::<_, i64>(0)?.unsigned_abs(), query: row.get(1)? })
        })?;
        for row in rows {
            found.push(row?);
        }
        if found.len() > limit {
            found.sort_by_key(|row| std::cmp::Reverse(row.until));
            found.truncate(limit);
        }
    }
    Ok(found)
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(from: u64, count: u64) -> Vec<ArchivedRow> {
        let row = |until| ArchivedRow { owner: format!("o{}", until % 2), until, query: "x".repeat(300) };
        (from..from + count).map(row).collect()
    }

    #[test]
    fn the_file_stays_within_its_size_and_keeps_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db.queries");
        let mut file = ArchiveFile::open(&path).unwrap();
        let mut removed = 0;
        for round in 0..20 {
            file.write(&[], &rows(round * 1_000, 1_000), RunningTime::from_seconds(5)).unwrap();
            removed += file.remove_surplus(1 << 20).unwrap();
            assert!(file.size().unwrap() <= 1 << 20);
        }
        assert!((15_000..20_000).contains(&removed), "{removed}");
        file.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        assert!(length < 3 << 20, "freed room is used again: {length}");
        let found = read(&path, &["o0".into(), "o1".into()], 0, 3).unwrap();
        let times: Vec<u64> = found.iter().map(|row| row.until).collect();
        assert_eq!(times, [19_999, 19_998, 19_997]);
        assert_eq!(read(&path, &["o1".into()], 19_998, 10).unwrap().len(), 1);
        file.write(&["o1".into()], &[], RunningTime::from_seconds(5)).unwrap();
        assert!(read(&path, &["o1".into()], 0, 10).unwrap().is_empty(), "the rows of a removed owner");
    }

    #[test]
    fn queries_go_when_the_daemon_has_run_for_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db.queries");
        let mut file = ArchiveFile::open(&path).unwrap();
        let at = RunningTime::from_seconds;
        file.write(&[], &rows(0, 2_500), at(100)).unwrap();
        file.write(&[], &rows(2_500, 10), at(200)).unwrap();
        assert_eq!(file.remove_stored_before(at(100)).unwrap(), 0);
        assert_eq!(file.remove_stored_before(at(200)).unwrap(), 2_500);
        assert_eq!(read(&path, &["o0".into()], 0, 100).unwrap().len(), 5);
        drop(file);
        assert!(ArchiveFile::open(&path).is_ok());
        std::fs::write(&path, "nonsense".repeat(1_000)).unwrap();
        assert!(matches!(ArchiveFile::open(&path), Err(StoreError::Corrupt(_))));
    }
}
