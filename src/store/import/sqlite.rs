//! A SQLite file of acme-dns or acme-dns-rust.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};
use tempfile::TempDir;

use crate::store::files::with_suffix;

use super::error::ImportError;
use super::rows::{RecordRow, Rows};

/// The longest wait for an acme-dns that is writing.
const BUSY: Duration = Duration::from_secs(10);

/// Reads all rows, and neither changes nor makes anything in the file's folder. After a crash of acme-dns SQLite would
/// have to write before it can read; a private copy is read then, which is safe because no process has the file open.
pub fn read(path: &Path) -> Result<Rows, ImportError> {
    if has_orphaned_wal(path)? {
        return read_copy(path);
    }
    match open(path).and_then(|connection| all_rows(&connection)) {
        Ok(rows) => rows.ok_or_else(|| foreign(path)),
        Err(error) if needs_to_write(&error) => read_copy(path),
        Err(error) => Err(failed(path, error.to_string())),
    }
}

fn failed(path: &Path, problem: String) -> ImportError {
    ImportError::Sqlite { path: path.to_owned(), problem }
}

fn unreadable(path: &Path, source: std::io::Error) -> ImportError {
    ImportError::File { path: path.to_owned(), source }
}

fn foreign(path: &Path) -> ImportError {
    ImportError::Foreign { database: path.display().to_string(), missing: "table `records` with its columns" }
}

/// Whether the file is in WAL mode while no process has it open: SQLite would make files beside it.
fn has_orphaned_wal(path: &Path) -> Result<bool, ImportError> {
    let mut header = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read(&mut header));
    read.map_err(|source| unreadable(path, source))?;
    // The versions of the format for writing and for reading; 2 is WAL (sqlite.org/fileformat2.html section 1.3.3).
    Ok(header[18..] == [2, 2] && !with_suffix(path, "-shm").exists())
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY)?;
    // The last connection that closes would write the WAL into the database.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

fn needs_to_write(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen))
}

/// Reads a copy, in which SQLite may roll an unfinished transaction back or forward.
fn read_copy(path: &Path) -> Result<Rows, ImportError> {
    // The folder is private, because the file holds hashes of keys.
    let folder = TempDir::with_prefix("txtgate-import-").map_err(|source| unreadable(path, source))?;
    let copy = folder.path().join("copy.db");
    for suffix in ["", "-wal", "-journal"] {
        let part = with_suffix(path, suffix);
        if part.exists() {
            std::fs::copy(&part, with_suffix(&copy, suffix)).map_err(|source| unreadable(path, source))?;
        }
    }
    let (rows, quick_check) = checked_rows(&copy).map_err(|error| failed(path, error.to_string()))?;
    if quick_check != "ok" {
        let problem =
            format!("the file is damaged, or acme-dns has written it during the copy ({quick_check}); stop acme-dns");
        return Err(failed(path, problem));
    }
    rows.ok_or_else(|| foreign(path))
}

/// The rows, and the result of SQLite's own check.
fn checked_rows(copy: &Path) -> rusqlite::Result<(Option<Rows>, String)> {
    let connection = Connection::open(copy)?;
    let quick_check = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((all_rows(&connection)?, quick_check))
}

/// All rows, of one transaction; `None` where the database belongs to another program.
fn all_rows(connection: &Connection) -> rusqlite::Result<Option<Rows>> {
    let transaction = connection.unchecked_transaction()?;
    let mut rows = Rows::default();
    let records = columns(&transaction, "records")?;
    let has = |column: &str| records.iter().any(|found| found.eq_ignore_ascii_case(column));
    if !["Username", "Password", "Subdomain", "AllowFrom"].into_iter().all(has) {
        return Ok(None);
    }
    let created = if has("CreatedAt") { seconds("CreatedAt") } else { "NULL".into() };
    let sql = format!("SELECT Username, Password, Subdomain, AllowFrom, {created} FROM records");
    each(&transaction, &sql, |row| {
        rows.records.push(RecordRow {
            username: text(row, 0)?,
            password: text(row, 1)?,
            subdomain: text(row, 2)?,
            allow_from: Some(text(row, 3)?),
            created: row.get(4)?,
        });
        Ok(())
    })?;
    let is_version_0 = columns(&transaction, "txt")?.is_empty();
    let sql = match is_version_0 {
        false => format!("SELECT Subdomain, Value, {} FROM txt WHERE Value <> ''", seconds("LastUpdate")),
        true if has("Value") && has("LastActive") => {
            "SELECT Subdomain, Value, LastActive FROM records WHERE Value <> ''".into()
        }
        true => return Ok(Some(rows)),
    };
    each(&transaction, &sql, |row| {
        rows.add_value(text(row, 0)?, text(row, 1)?, row.get(2)?);
        Ok(())
    })?;
    Ok(Some(rows))
}

/// A column as Unix seconds: acme-dns has numbers, acme-dns-rust texts like `2026-07-15 10:00:00`.
fn seconds(column: &str) -> String {
    format!("CASE typeof({column}) WHEN 'integer' THEN {column} ELSE CAST(strftime('%s', {column}) AS INTEGER) END")
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}

fn each(
    connection: &Connection,
    sql: &str,
    mut visit: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        visit(row)?;
    }
    Ok(())
}

/// A text of any storage class: acme-dns writes its hashes as BLOBs.
fn text(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(index)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
    })
}
