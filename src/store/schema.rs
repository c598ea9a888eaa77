//! The tables, and how older ones become them.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// What SQLite's header says whose file it is: "txtg".
pub const APPLICATION_ID: i64 = 0x7478_7467;

/// Each entry lifts the schema by one version; `user_version` counts those that were applied.
const MIGRATIONS: [&str; 6] = [
    "
CREATE TABLE accounts (
    id          INTEGER PRIMARY KEY,
    username    TEXT NOT NULL UNIQUE,
    key_hash    TEXT NOT NULL,
    former_key_hash  TEXT,
    former_key_until INTEGER,
    allowfrom   TEXT NOT NULL,             -- JSON array of CIDRs
    note        TEXT NOT NULL,
    created     INTEGER NOT NULL,          -- all times: Unix seconds
    last_update INTEGER,
    disabled    INTEGER NOT NULL DEFAULT 0,
    remove_at   INTEGER                    -- deleted, and gone for good from then on
) STRICT;
CREATE INDEX accounts_remove_at ON accounts (remove_at) WHERE remove_at IS NOT NULL;

CREATE TABLE owners (
    id      INTEGER PRIMARY KEY,
    account INTEGER REFERENCES accounts (id) ON DELETE CASCADE,  -- NULL: the daemon itself
    zone    TEXT NOT NULL,
    name    TEXT NOT NULL,                 -- the label below the apex
    UNIQUE (zone, name)
) STRICT;
CREATE INDEX owners_account ON owners (account);

CREATE TABLE live_values (                 -- a higher id is newer
    id        INTEGER PRIMARY KEY,
    owner     INTEGER NOT NULL REFERENCES owners (id) ON DELETE CASCADE,
    kind      TEXT NOT NULL,               -- 'challenge'
    bytes     BLOB NOT NULL,
    published INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    UNIQUE (owner, kind, bytes)
) STRICT;
CREATE INDEX live_values_expires ON live_values (expires);

CREATE TABLE zones (
    name   TEXT PRIMARY KEY,
    serial INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tombstones (                  -- chosen labels of removed accounts, never given again
    zone    TEXT NOT NULL,
    name    TEXT NOT NULL,
    removed INTEGER NOT NULL,
    PRIMARY KEY (zone, name)
) STRICT, WITHOUT ROWID;
",
    "
CREATE TABLE aliases (                     -- names in other zones that stand for an account's owner, for it alone
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    owner   INTEGER NOT NULL REFERENCES owners (id) ON DELETE CASCADE,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_owner ON aliases (owner);
",
    "
CREATE TABLE last_commit (                 -- one row: when the last change was stored, by the machine's clock
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
INSERT INTO last_commit (id, at) SELECT 1, published FROM live_values ORDER BY id DESC LIMIT 1;
",
    "
ALTER TABLE accounts ADD COLUMN tsig TEXT; -- what a TSIG key is made of, but for the master secret
CREATE INDEX accounts_tsig ON accounts (id) WHERE tsig IS NOT NULL;
",
    "
CREATE TABLE enrolments (                  -- tokens of the operator's, good for some registrations
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    hash      TEXT NOT NULL UNIQUE,
    uses      INTEGER NOT NULL,
    used      INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    allowfrom TEXT NOT NULL,               -- JSON array of CIDRs
    labels    TEXT NOT NULL,               -- JSON array of labels, some with a star at the end
    note      TEXT NOT NULL,
    created   INTEGER NOT NULL
) STRICT;

CREATE TABLE kept (                        -- what holders of secrets keep, sealed with keys that only they have
    holder TEXT NOT NULL,                  -- the hash of a secret or token
    domain TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (holder, domain)
) STRICT;
",
    "
CREATE TABLE managed (                     -- names in certificates of the daemon's, and where each is proven, for ever
    name  TEXT PRIMARY KEY,
    owner INTEGER NOT NULL REFERENCES owners (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
",
];

/// The newest schema that this version knows.
pub const VERSION: i64 = MIGRATIONS.len() as i64;

/// Lifts a database to [`VERSION`] in one transaction; refuses one of a newer version or of another program.
pub fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let pragma = |name: &str| transaction.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let found = pragma("user_version")?;
    let is_empty = pragma("schema_version")? == 0;
    if !is_empty && pragma("application_id")? != APPLICATION_ID {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    if found > VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    if found == VERSION {
        // Opening a database is no reason to write to it.
        return Ok(());
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What tables and indices there are, as SQLite wrote them down.
    fn tables(connection: &Connection) -> Vec<String> {
        let mut statement = connection.prepare("SELECT sql FROM sqlite_schema ORDER BY name").unwrap();
        let rows = statement.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
        rows.map(|sql| sql.unwrap().unwrap_or_default()).collect()
    }

    #[test]
    fn every_older_database_becomes_the_newest() {
        let mut newest = Connection::open_in_memory().unwrap();
        migrate(&mut newest, Path::new("t.db")).unwrap();
        for version in 1..MIGRATIONS.len() {
            let mut older = Connection::open_in_memory().unwrap();
            older.execute_batch(&MIGRATIONS[..version].concat()).unwrap();
            older.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
            older.pragma_update(None, "user_version", version as i64).unwrap();
            assert_ne!(tables(&older), tables(&newest), "version {version}");
            migrate(&mut older, Path::new("t.db")).unwrap();
            assert_eq!(tables(&older), tables(&newest), "version {version}");
        }
    }

    #[test]
    fn an_older_database_knows_its_last_commit_by_its_newest_value() {
        let mut connection = Connection::open_in_memory().unwrap();
        let before = MIGRATIONS.iter().position(|migration| migration.contains("CREATE TABLE last_commit")).unwrap();
        connection.execute_batch(&MIGRATIONS[..before].concat()).unwrap();
        let row = "INSERT INTO owners (id, zone, name) VALUES (1, 'auth.test', 'a');
            INSERT INTO live_values (owner, kind, bytes, published, expires) VALUES
            (1, 'challenge', x'61', 30, 90), (1, 'challenge', x'62', 20, 80)";
        connection.execute_batch(row).unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", before as i64).unwrap();
        migrate(&mut connection, Path::new("t.db")).unwrap();
        let at: i64 = connection.query_row("SELECT at FROM last_commit", [], |row| row.get(0)).unwrap();
        assert_eq!(at, 20, "of the row that was stored last");
    }
}
