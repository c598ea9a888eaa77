//! SQLite files of every kind that acme-dns and its relatives leave.

use rusqlite::Connection;

use crate::harness::dns::txts;
use crate::harness::value;

use super::source::{Old, VERSION_1, account, key, now, nowhere, start};

/// Account 1 came with one value; it is served and its key works.
fn has_moved_in(old: &Old) {
    let (before, home) = (old.files(), nowhere());
    let said = old.import_ok(&home, &[]);
    assert!(said.contains("1 accounts moved in") && said.contains("1 live values"), "{said}");
    assert_eq!(old.files(), before, "the source stays as it was, and its folder");
    let daemon = start(&home);
    assert_eq!(txts(daemon.dns(), &account(1).fulldomain), [value(1)]);
    account(1).publish(daemon.api(), &value(2));
}

/// As the first acme-dns kept values: one, with the account.
#[test]
fn version_0() {
    let old = Old::with(
        "CREATE TABLE records(Username TEXT UNIQUE NOT NULL PRIMARY KEY, Password TEXT UNIQUE NOT NULL,
         Subdomain TEXT UNIQUE NOT NULL, Value TEXT, LastActive INT, AllowFrom TEXT);",
    );
    let (account, hash) = (account(1), key(1).1);
    let row = (account.username, hash.as_bytes().to_vec(), account.subdomain, value(1), now(), "[]");
    old.sql().execute("INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row).unwrap();
    has_moved_in(&old);
}

/// A version 0 database that acme-dns 1.x has upgraded keeps the old columns, and what is in them counts no more.
#[test]
fn version_0_upgraded_in_place() {
    let old = Old::with(VERSION_1);
    old.add(1, "[]", [(&value(1), now()), ("", 0)]);
    let more = "ALTER TABLE records ADD COLUMN Value TEXT; ALTER TABLE records ADD COLUMN LastActive INT;";
    old.sql().execute_batch(more).unwrap();
    old.sql().execute("UPDATE records SET Value = ?1, LastActive = ?2", (value(9), now())).unwrap();
    has_moved_in(&old);
}

/// acme-dns-rust: texts for times, and columns of its own.
#[test]
fn acme_dns_rust() {
    let old = Old::with(
        "CREATE TABLE records (Username TEXT NOT NULL PRIMARY KEY, Password TEXT NOT NULL, Subdomain TEXT NOT NULL UNIQUE,
         AllowFrom TEXT NOT NULL DEFAULT '[]', CreatedAt DATETIME, HasUpdated INTEGER NOT NULL DEFAULT 0);
         CREATE TABLE txt (Subdomain TEXT NOT NULL, Value TEXT NOT NULL DEFAULT '',
         LastUpdate DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP);
         CREATE TABLE admin (ID INTEGER NOT NULL PRIMARY KEY, Password TEXT NOT NULL DEFAULT '');",
    );
    let (account, hash) = (account(1), key(1).1.replace("$2a$", "$2b$"));
    let row = (&account.username, hash, &account.subdomain, "2026-07-15 10:00:00");
    let sql = "INSERT INTO records (Username, Password, Subdomain, CreatedAt, HasUpdated) VALUES (?1, ?2, ?3, ?4, 1)";
    old.sql().execute(sql, row).unwrap();
    old.sql().execute("INSERT INTO txt (Subdomain, Value) VALUES (?1, ?2)", (account.subdomain, value(1))).unwrap();
    has_moved_in(&old);
}

/// A database in WAL mode whose program was killed: the newest rows are in the WAL alone.
#[test]
fn a_wal_that_was_left_behind() {
    let (writer, old) = (Old::with(VERSION_1), Old::new());
    writer.sql().pragma_update(None, "journal_mode", "WAL").unwrap();
    let held = writer.sql();
    held.query_row("SELECT count(*) FROM records", [], |_| Ok(())).unwrap();
    writer.add(1, "[]", [(&value(1), now()), ("", 0)]);
    for suffix in ["", "-wal"] {
        let name = |old: &Old| format!("{}{suffix}", old.path().display());
        std::fs::copy(name(&writer), name(&old)).unwrap();
    }
    let is_in_wal = std::fs::metadata(format!("{}-wal", old.path().display())).unwrap().len() > 0;
    assert!(is_in_wal, "the test is about a WAL");
    drop(held);
    has_moved_in(&old);
}

/// Killed in the middle of a transaction without a WAL: half of it is in the file, and the journal takes it back.
#[test]
fn a_journal_that_was_left_behind() {
    let (writer, old) = (Old::with(VERSION_1), Old::new());
    writer.add(1, "[]", [(&value(1), now()), ("", 0)]);
    let sql = writer.sql();
    // Pages go to the file long before the end.
    sql.execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; DELETE FROM txt;").unwrap();
    for number in 0..2_000 {
        let row = (format!("{number:_>100}"), value(number));
        sql.execute("INSERT INTO txt (Subdomain, Value, LastUpdate) VALUES (?1, ?2, 1)", row).unwrap();
    }
    for suffix in ["", "-journal"] {
        let name = |old: &Old| format!("{}{suffix}", old.path().display());
        std::fs::copy(name(&writer), name(&old)).unwrap();
    }
    sql.execute_batch("ROLLBACK").unwrap();
    let reader = Connection::open_with_flags(old.path(), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let read = reader.query_row("SELECT count(*) FROM records", [], |row| row.get::<_, i64>(0));
    assert!(read.is_err(), "the test is about a hot journal");
    drop(reader);
    has_moved_in(&old);
}

/// A program that has the file open, in the middle of things, is neither disturbed nor waited for.
#[test]
fn a_wal_that_is_in_use() {
    let old = Old::with(VERSION_1);
    old.sql().pragma_update(None, "journal_mode", "WAL").unwrap();
    let program = old.sql();
    program.query_row("SELECT count(*) FROM records", [], |_| Ok(())).unwrap();
    old.add(1, "[]", [(&value(1), now()), ("", 0)]);
    program.execute_batch("BEGIN IMMEDIATE; DELETE FROM records;").unwrap();
    let wal = || std::fs::read(format!("{}-wal", old.path().display())).unwrap();
    let (before, database) = (wal(), std::fs::read(old.path()).unwrap());
    assert!(!before.is_empty(), "the test is about a WAL");
    assert!(old.import_ok(&nowhere(), &[]).contains("1 accounts moved in"));
    assert!(wal() == before && std::fs::read(old.path()).unwrap() == database, "nothing was folded in");
    program.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn what_is_no_acme_dns_is_refused() {
    let old = Old::with("CREATE TABLE records (Username TEXT, Password TEXT);");
    assert!(old.import_err(&nowhere(), 1).contains("holds no acme-dns"));
    std::fs::write(old.path(), "text ".repeat(1_000)).unwrap();
    assert!(old.import_err(&nowhere(), 1).contains("not a database"));
    std::fs::remove_file(old.path()).unwrap();
    let home = nowhere();
    let said = old.import_err(&home, 1);
    assert!(said.contains("acme-dns.db") && said.contains("No such file"), "{said}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing was made");
}
