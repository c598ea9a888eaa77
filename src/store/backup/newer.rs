//! What a database has that an older backup of it lacks. Part of it goes into the backup's copy when that is restored:
//! serials, which must not run backwards; tombstones, which must not be dropped; and the names at which certificates of
//! the daemon are proven, since CNAMEs lead there.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Params, params};

use crate::model::account::Username;
use crate::model::name::{Owner, ZoneName};
use crate::model::serial::Serial;
use crate::model::time::Timestamp;

use super::super::rows::{owner_of, parse};
use super::super::{StoreError, schema};

type Result<T> = std::result::Result<T, StoreError>;

/// What the former database has that the restored one lacks, and the reverse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Newer {
    /// When the last change was stored: in the backup, and in the former database.
    pub last_change: (Option<Timestamp>, Option<Timestamp>),
    /// Accounts that the backup does not have.
    pub accounts: Vec<NewerAccount>,
    /// Names that the backup does not have, of accounts that it has.
    pub names: Vec<Owner>,
    /// Names at which certificates of the daemon are proven, and that the backup does not have. They are kept.
    pub managed: Vec<Owner>,
    /// Accounts that were removed, and are back.
    pub returning: Vec<Username>,
    /// Accounts whose key was rotated, and is the former one again.
    pub rotated: Vec<Username>,
    /// Tokens that were revoked, and are valid again.
    pub revoked: Vec<String>,
}

/// An account that a backup does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewerAccount {
    pub username: Username,
    pub note: String,
    pub owners: Vec<Owner>,
}

/// The serials of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewerSerial {
    pub zone: ZoneName,
    /// `None`: the backup does not have the zone.
    pub backup: Option<Serial>,
    pub former: Serial,
}

/// What a comparison has found. One part may be readable where the other is damaged.
#[derive(Debug, Clone)]
pub struct Comparison {
    pub newer: Result<Newer>,
    /// The serials that differ. Whatever they are, what is served from now on has greater ones.
    pub serials: Result<Vec<NewerSerial>>,
}

impl Newer {
    /// Whether the backup has everything that the former database has.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
            && self.names.is_empty()
            && self.managed.is_empty()
            && self.returning.is_empty()
            && self.rotated.is_empty()
            && self.revoked.is_empty()
    }
}

/// Compares the copy of a backup with the database whose place it takes, and carries over what has to be.
pub fn carry_over(copy: &Connection, former: &Path) -> Comparison {
    if let Err(error) = attach(copy, former) {
        return Comparison { newer: Err(error.clone()), serials: Err(error) };
    }
    let serials = serials(copy).and_then(|serials| carry_serials(copy, &serials).map(|()| serials));
    let newer = compare(copy).and_then(|newer| carry_names(copy).map(|()| newer));
    Comparison { newer, serials }
}

fn attach(copy: &Connection, former: &Path) -> Result<()> {
    let name = former.to_str().ok_or_else(|| StoreError::Unreadable("its path is not UTF-8".into()))?;
    copy.execute("ATTACH DATABASE ?1 AS former", [name])?;
    let found: i64 = copy.query_row("PRAGMA former.application_id", [], |row| row.get(0))?;
    if found == schema::APPLICATION_ID { Ok(()) } else { Err(StoreError::Foreign(former.to_owned())) }
}

/// Raises the serials of a copy to one that somebody has seen.
pub fn raise_serials(copy: &Connection, seen: Serial) -> Result<()> {
    let mut statement = copy.prepare("SELECT name, serial FROM main.zones")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    for row in rows {
        let (zone, serial) = row?;
        if seen.is_after(Serial(serial)) {
            put_serial(copy, &zone, seen)?;
        }
    }
    Ok(())
}

fn compare(copy: &Connection) -> Result<Newer> {
    Ok(Newer {
        last_change: (last_change(copy, "main")?, last_change(copy, "former")?),
        accounts: accounts(copy)?,
        names: names(
            copy,
            "SELECT o.zone, o.name FROM former.owners o JOIN former.accounts a ON a.id = o.account
             WHERE a.username IN (SELECT username FROM main.accounts)
             AND NOT EXISTS (SELECT 1 FROM main.owners b WHERE b.zone = o.zone AND b.name = o.name) ORDER BY o.id",
            [],
        )?,
        managed: managed(copy)?,
        returning: usernames(
            copy,
            "SELECT username FROM main.accounts WHERE username NOT IN (SELECT username FROM former.accounts)
             ORDER BY id",
        )?,
        // A login replaces a hash of bcrypt by another of the same key.
        rotated: usernames(
            copy,
            "SELECT a.username FROM main.accounts a JOIN former.accounts f ON f.username = a.username
             WHERE f.key_hash <> a.key_hash
             AND (a.key_hash NOT LIKE '$2%' OR f.former_key_hash IS NOT a.former_key_hash) ORDER BY a.id",
        )?,
        revoked: revoked(copy)?,
    })
}

/// Whether a database has a table, which those of the first versions may lack.
fn has_table(copy: &Connection, schema: &str, table: &str) -> Result<bool> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM {schema}.sqlite_schema WHERE name = ?1)");
    Ok(copy.query_row(&sql, [table], |row| row.get(0))?)
}

fn last_change(copy: &Connection, schema: &str) -> Result<Option<Timestamp>> {
    if !has_table(copy, schema, "last_commit")? {
        return Ok(None);
    }
    let sql = format!("SELECT at FROM {schema}.last_commit WHERE at > 0");
    Ok(copy.query_row(&sql, [], |row| row.get(0)).optional()?)
}

fn revoked(copy: &Connection) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (table, what) in [("enrolments", "enrolment token"), ("admin_tokens", "admin token")] {
        if !has_table(copy, "main", table)? || !has_table(copy, "former", table)? {
            continue;
        }
        let sql = format!(
            "SELECT id, note FROM main.{table} WHERE hash NOT IN (SELECT hash FROM former.{table}) ORDER BY id"
        );
        let mut statement = copy.prepare(&sql)?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        for row in rows {
            let (id, note) = row?;
            found.push(if note.is_empty() { format!("{what} {id}") } else { format!("{what} {id} ({note})") });
        }
    }
    Ok(found)
}

fn accounts(copy: &Connection) -> Result<Vec<NewerAccount>> {
    let sql = "SELECT id, username, note FROM former.accounts
               WHERE username NOT IN (SELECT username FROM main.accounts) ORDER BY id";
    let mut statement = copy.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))?;
    let mut found = Vec::new();
    for row in rows {
        let (id, username, note): (i64, _, _) = row?;
        let owners = names(copy, "SELECT zone, name FROM former.owners WHERE account = ?1 ORDER BY id", [id])?;
        found.push(NewerAccount { username: parse("username", &username)?, note, owners });
    }
    Ok(found)
}

fn managed(copy: &Connection) -> Result<Vec<Owner>> {
    if !has_table(copy, "former", "managed")? {
        return Ok(Vec::new());
    }
    let sql = "SELECT o.zone, o.name FROM former.owners o WHERE o.account IS NULL
               AND EXISTS (SELECT 1 FROM former.managed m WHERE m.owner = o.id)
               AND NOT EXISTS (SELECT 1 FROM main.owners b WHERE b.zone = o.zone AND b.name = o.name) ORDER BY o.id";
    names(copy, sql, [])
}

fn names(copy: &Connection, sql: &str, with: impl Params) -> Result<Vec<Owner>> {
    let mut statement = copy.prepare(sql)?;
    let rows = statement.query_map(with, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| row.map_err(Into::into).and_then(|(zone, name)| owner_of(&zone, &name))).collect()
}

fn usernames(copy: &Connection, sql: &str) -> Result<Vec<Username>> {
    let mut statement = copy.prepare(sql)?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|row| row.map_err(Into::into).and_then(|username| parse("username", &username))).collect()
}

fn serials(copy: &Connection) -> Result<Vec<NewerSerial>> {
    let sql = "SELECT f.name, b.serial, f.serial FROM former.zones f LEFT JOIN main.zones b ON b.name = f.name
               WHERE b.serial IS NOT f.serial ORDER BY f.name";
    let mut statement = copy.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
    let mut found = Vec::new();
    for row in rows {
        let (zone, backup, former): (String, Option<u32>, u32) = row?;
        found.push(NewerSerial { zone: parse("zone", &zone)?, backup: backup.map(Serial), former: Serial(former) });
    }
    Ok(found)
}

/// Each zone gets the greater one of its serials (RFC 1982), and the next change or start one that is greater still:
/// what secondaries have already must not look newer than what is served from now on. Where neither is greater, they
/// have that of the former database.
fn carry_serials(copy: &Connection, serials: &[NewerSerial]) -> Result<()> {
    for NewerSerial { zone, backup, former } in serials {
        if backup.is_none_or(|backup| !backup.is_after(*former)) {
            put_serial(copy, &zone.to_string(), *former)?;
        }
    }
    Ok(())
}

fn put_serial(copy: &Connection, zone: &str, serial: Serial) -> Result<()> {
    let sql = "INSERT INTO main.zones (name, serial) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET serial = ?2";
    copy.execute(sql, params![zone, serial.0])?;
    Ok(())
}

fn carry_names(copy: &Connection) -> Result<()> {
    let transaction = copy.unchecked_transaction()?;
    // A label that was chosen once stays taken, unless the backup still has its account.
    transaction.execute_batch(
        "INSERT OR IGNORE INTO main.tombstones SELECT * FROM former.tombstones f
         WHERE NOT EXISTS (SELECT 1 FROM main.owners o WHERE o.zone = f.zone AND o.name = f.name)",
    )?;
    if has_table(copy, "main", "managed")? && has_table(copy, "former", "managed")? {
        transaction.execute_batch(
            "INSERT OR IGNORE INTO main.owners (account, zone, name) SELECT NULL, o.zone, o.name
             FROM former.managed m JOIN former.owners o ON o.id = m.owner WHERE o.account IS NULL;
             INSERT OR IGNORE INTO main.managed (name, owner) SELECT m.name, n.id
             FROM former.managed m JOIN former.owners o ON o.id = m.owner
             JOIN main.owners n ON n.zone = o.zone AND n.name = o.name WHERE n.account IS NULL",
        )?;
    }
    Ok(transaction.commit()?)
}
