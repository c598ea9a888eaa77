//! The tables, and how older ones become them.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{Rows, StoreError};

/// What SQLite's header says whose file it is: "txtg".
pub const APPLICATION_ID: i64 = 0x7478_7467;

/// Each entry lifts the schema by one version; `user_version` counts those that were applied.
const MIGRATIONS: [&str; 10] = [
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
    "
CREATE TABLE admin_tokens (                -- the operator's, for the admin API over the network
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    hash      TEXT NOT NULL UNIQUE,
    scope     TEXT NOT NULL,
    expires   INTEGER NOT NULL,
    allowfrom TEXT NOT NULL,               -- JSON array of CIDRs
    note      TEXT NOT NULL,
    created   INTEGER NOT NULL
) STRICT;
",
    // Deadlines become running times, which begin here: seconds that the daemon has run. What is left of a value's time
    // follows from the newest publication. The dates of accounts may be those of a wrong clock: unused ones begin anew,
    // and deleted ones get their 30 days again.
    "
ALTER TABLE last_commit ADD COLUMN running INTEGER NOT NULL DEFAULT 0;

ALTER TABLE live_values ADD COLUMN published_running INTEGER NOT NULL DEFAULT 0;
UPDATE live_values SET published_running =
    min(0, published - (SELECT published FROM live_values ORDER BY id DESC LIMIT 1));
ALTER TABLE live_values RENAME COLUMN expires TO expires_running;
UPDATE live_values SET expires_running = CASE expires_running
    WHEN 4294967295 THEN 2147483647
    ELSE min(2147483646, published_running + expires_running - published) END;

ALTER TABLE accounts ADD COLUMN created_running INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts RENAME COLUMN remove_at TO remove_running;
UPDATE accounts SET remove_running = 30 * 86400 WHERE remove_running IS NOT NULL;
ALTER TABLE accounts RENAME COLUMN former_key_until TO former_key_running;
UPDATE accounts SET former_key_running =
    max(0, min(2147483646, former_key_running - ifnull((SELECT at FROM last_commit), former_key_running)))
    WHERE former_key_running IS NOT NULL;

ALTER TABLE enrolments RENAME COLUMN expires TO expires_running;
UPDATE enrolments SET expires_running =
    max(0, min(2147483646, expires_running - max(created, ifnull((SELECT at FROM last_commit), 0))));

ALTER TABLE admin_tokens RENAME COLUMN expires TO expires_running;
UPDATE admin_tokens SET expires_running =
    max(0, min(2147483646, expires_running - max(created, ifnull((SELECT at FROM last_commit), 0))));

INSERT OR IGNORE INTO last_commit (id, at) VALUES (1, 0);
",
    // What is learnt of each account's renewals, and the running time from which on it is overdue.
    "
ALTER TABLE accounts ADD COLUMN cadence TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN overdue_running INTEGER;
CREATE INDEX accounts_overdue ON accounts (overdue_running) WHERE overdue_running IS NOT NULL;
",
    // Lists of accounts in each order but that of their last publications, which memory keeps, and the search in them:
    // `Rows::index_all` fills it. What is expected follows from what
    // is overdue and from the first publication of the last renewal, the first number of the cadence. The index of what is
    // expected stands in for the one of what is overdue, so that a renewal costs no more.
    "
ALTER TABLE accounts ADD COLUMN expected_running INTEGER;
UPDATE accounts SET expected_running = CASE
    WHEN overdue_running - CAST(cadence AS INTEGER) >= 864000
    THEN CAST(cadence AS INTEGER) + (overdue_running - CAST(cadence AS INTEGER)) * 4 / 5
    ELSE overdue_running - 172800 END WHERE overdue_running IS NOT NULL;
DROP INDEX accounts_overdue;
CREATE INDEX accounts_expected ON accounts (ifnull(expected_running, 2147483647), id);
CREATE INDEX accounts_created ON accounts (created, id);
CREATE INDEX accounts_disabled ON accounts (id) WHERE disabled = 1;
CREATE VIRTUAL TABLE account_search USING fts5 (
    text, detail = none, columnsize = 0, tokenize = 'trigram case_sensitive 1'
);
",
];

/// The first schema with an index to search accounts by.
const SEARCHED: i64 = 10;

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
        // Opening a database is not a reason to write to it.
        return Ok(());
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    if found < SEARCHED {
        Rows::new(&transaction).index_all()?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

/// Accepts a database that has the newest schema, where it cannot be lifted to it.
pub fn verify(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    if pragma("application_id")? != APPLICATION_ID {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    match pragma("user_version")? {
        VERSION => Ok(()),
        found if found > VERSION => Err(StoreError::Newer { path: path.to_owned(), found, known: VERSION }),
        _ => Err(StoreError::ReadOnly(format!("{}: its schema is of an older version", path.display()))),
    }
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

    /// A database as it is before a migration, with rows, lifted to the newest schema.
    fn lifted(migration: &str, rows: &str) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        let before = MIGRATIONS.iter().position(|text| text.contains(migration)).unwrap();
        connection.execute_batch(&MIGRATIONS[..before].concat()).unwrap();
        connection.execute_batch(rows).unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", before as i64).unwrap();
        migrate(&mut connection, Path::new("t.db")).unwrap();
        connection
    }

    /// The only column of a query.
    fn column(connection: &Connection, sql: &str) -> Vec<Option<i64>> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn an_older_database_knows_what_is_left_of_its_lifetimes_and_keeps_its_accounts() {
        let connection = lifted(
            "ADD COLUMN running",
            "INSERT INTO owners (id, zone, name) VALUES (1, 'auth.test', 'a');
             INSERT INTO live_values (owner, kind, bytes, published, expires) VALUES
             (1, 'challenge', x'61', 1000, 1600), (1, 'persistent', x'62', 1100, 4294967295),
             (1, 'challenge', x'63', 1400, 2000);
             INSERT INTO accounts (username, key_hash, former_key_hash, former_key_until, allowfrom, note, created, remove_at)
             VALUES ('a', '', '', 1550, '', '', 7, NULL), ('b', '', NULL, NULL, '', '', 7, 8);
             INSERT INTO enrolments (hash, uses, used, expires, allowfrom, labels, note, created)
             VALUES ('a', 1, 0, 1700, '', '', '', 900), ('b', 1, 0, 1400, '', '', '', 900);
             INSERT INTO last_commit (id, at) VALUES (1, 1500);",
        );
        let numbers = |sql: &str| column(&connection, sql);
        assert_eq!(numbers("SELECT published_running FROM live_values ORDER BY id"), [Some(-400), Some(-300), Some(0)]);
        let never = Some(i64::from(i32::MAX));
        assert_eq!(numbers("SELECT expires_running FROM live_values ORDER BY id"), [Some(200), never, Some(600)]);
        assert_eq!(numbers("SELECT remove_running FROM accounts ORDER BY id"), [None, Some(30 * 86_400)]);
        assert_eq!(numbers("SELECT created_running FROM accounts"), [Some(0), Some(0)]);
        assert_eq!(numbers("SELECT former_key_running FROM accounts ORDER BY id"), [Some(50), None]);
        assert_eq!(numbers("SELECT expires_running FROM enrolments ORDER BY id"), [Some(200), Some(0)]);
        assert_eq!(numbers("SELECT running FROM last_commit"), [Some(0)]);
    }

    #[test]
    fn an_older_database_knows_its_last_commit_by_its_newest_value() {
        let connection = lifted(
            "CREATE TABLE last_commit",
            "INSERT INTO owners (id, zone, name) VALUES (1, 'auth.test', 'a');
             INSERT INTO live_values (owner, kind, bytes, published, expires) VALUES
             (1, 'challenge', x'61', 30, 90), (1, 'challenge', x'62', 20, 80)",
        );
        assert_eq!(column(&connection, "SELECT at FROM last_commit"), [Some(20)], "of the row that was stored last");
    }

    #[test]
    fn an_older_database_is_searched_and_knows_what_is_expected() {
        let connection = lifted(
            "CREATE VIRTUAL TABLE account_search",
            "INSERT INTO accounts (id, username, key_hash, allowfrom, note, created, cadence, overdue_running)
             VALUES (1, 'a', '', '', 'Bücher.example', 7, '100 105 864000 864000', 1080100),
             (2, 'b', '', '', '', 7, '100 105 86400 86400', 259300), (3, 'c', '', '', '', 7, '100 105', NULL);
             INSERT INTO owners (id, account, zone, name) VALUES (1, 1, 'auth.test', 'shop'),
             (2, 2, '_acme-challenge.test', '@'), (3, 3, 'auth.test', 'c36f50e8-4632-44f0-83fe-e070fef28a10');
             INSERT INTO aliases (account, name, owner) VALUES (1, '_acme-challenge.alias.example', 1);",
        );
        let expected = [Some(864_100), Some(86_500), None];
        assert_eq!(column(&connection, "SELECT expected_running FROM accounts ORDER BY id"), expected);
        for (trigram, found) in [
            ("xn-", &[Some(1)][..]),
            ("büc", &[Some(1)]),
            ("sho", &[Some(1)]),
            ("ias", &[Some(1)]),
            ("_ac", &[Some(1), Some(2)]),
            ("c36", &[]),
        ] {
            let sql =
                format!("SELECT rowid FROM account_search WHERE account_search MATCH '\"{trigram}\"' ORDER BY rowid");
            assert_eq!(column(&connection, &sql), found, "{trigram}");
        }
    }
}
