//! An acme-dns installation: its configuration and its database, as acme-dns writes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::harness::process::BINARY;
use crate::harness::{Account, Home, Process, Settings, ZONE};

/// The tables of acme-dns 1.x and 2.x, version 1.
pub const VERSION_1: &str = "
CREATE TABLE acmedns(Name TEXT, Value TEXT);
CREATE TABLE records(
    Username TEXT UNIQUE NOT NULL PRIMARY KEY,
    Password TEXT UNIQUE NOT NULL,
    Subdomain TEXT UNIQUE NOT NULL,
    AllowFrom TEXT
);
CREATE TABLE txt(
    Subdomain TEXT NOT NULL,
    Value TEXT NOT NULL DEFAULT '',
    LastUpdate INT
);
INSERT INTO acmedns (Name, Value) VALUES ('db_version', '1');
";

/// Where acme-dns was.
pub struct Old {
    pub folder: TempDir,
    /// What `--database` names; else what the configuration does.
    pub database: Option<String>,
}

/// Seconds since 1970.
pub fn now() -> i64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64
}

/// A key and its hash as acme-dns makes it, at bcrypt's least cost: the cost is in the hash.
pub fn key(number: u32) -> (String, String) {
    let key = format!("{number:_>40}");
    let hash = bcrypt::hash_with_result(&key, 4).unwrap().format_for_version(bcrypt::Version::TwoA);
    (key, hash)
}

/// The credentials of account `number`.
pub fn account(number: u32) -> Account {
    let subdomain = format!("5ab1e000-0000-4000-8000-{number:012}");
    let username = format!("ca5e0000-0000-4000-8000-{number:012}");
    Account { username, password: key(number).0, fulldomain: format!("{subdomain}.{ZONE}"), subdomain }
}

impl Old {
    /// An installation without accounts, with listeners on ports that the kernel chooses.
    pub fn new() -> Self {
        let old = Self { folder: tempfile::tempdir().unwrap(), database: None };
        let config = format!(
            "[general]\nlisten = \"127.0.0.1:0\"\nprotocol = \"both\"\ndomain = \"{ZONE}\"\nnsname = \"ns1.{ZONE}\"\n\
             nsadmin = \"admin.example.org\"\nrecords = [\"ns1.{ZONE}. A 127.0.0.1\", \"{ZONE}. NS ns1.{ZONE}.\"]\ndebug = false\n\
             [database]\nengine = \"sqlite3\"\nconnection = \"acme-dns.db\"\n\
             [api]\nip = \"127.0.0.1\"\nport = \"0\"\ntls = \"none\"\n[logconfig]\nloglevel = \"debug\"\n"
        );
        std::fs::write(old.folder.path().join("config.cfg"), config).unwrap();
        old
    }

    /// With these tables.
    pub fn with(schema: &str) -> Self {
        let old = Self::new();
        old.sql().execute_batch(schema).unwrap();
        old
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("acme-dns.db")
    }

    pub fn sql(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    /// Adds account `number`, with these values and their times. acme-dns has two rows for each subdomain.
    pub fn add(&self, number: u32, allow_from: &str, values: [(&str, i64); 2]) {
        let (sql, account, hash) = (self.sql(), account(number), key(number).1);
        // Its driver writes the hash, which is bytes to Go, as a BLOB.
        let row = params![account.username, hash.as_bytes(), account.subdomain, allow_from];
        sql.execute("INSERT INTO records (Username, Password, Subdomain, AllowFrom) VALUES (?1, ?2, ?3, ?4)", row)
            .unwrap();
        for (value, time) in values {
            let row = params![account.subdomain, value, time];
            sql.execute("INSERT INTO txt (Subdomain, Value, LastUpdate) VALUES (?1, ?2, ?3)", row).unwrap();
        }
    }

    /// Every file of the folder, byte for byte.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    /// `txtgate import acme-dns`, into `home`.
    pub fn import(&self, home: &Home, more: &[&str]) -> Output {
        let mut command = Command::new(BINARY);
        command.args(["import", "acme-dns", "--config"]).arg(self.folder.path().join("config.cfg"));
        command.arg("--output").arg(home.config()).args(more);
        command.args(self.database.iter().flat_map(|database| ["--database", database]));
        command.output().unwrap()
    }

    /// The same, which must succeed; what it printed.
    pub fn import_ok(&self, home: &Home, more: &[&str]) -> String {
        let output = self.import(home, more);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{out}{err}");
        out.into_owned()
    }

    /// The same, which must fail with this exit code; what it said.
    pub fn import_err(&self, home: &Home, code: i32) -> String {
        let output = self.import(home, &[]);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{err}");
        err
    }
}

/// A place for a txtgate, without a configuration.
pub fn nowhere() -> Home {
    let home = Home::new(&Settings::default());
    std::fs::remove_file(home.config()).unwrap();
    home
}

/// Starts what was imported, with the metrics, which acme-dns has none of, on a port that the kernel chooses.
pub fn start(home: &Home) -> Process {
    let text = std::fs::read_to_string(home.config()).unwrap();
    if !text.contains("[metrics]") {
        std::fs::write(home.config(), text + "\n[metrics]\nlisten = [\"127.0.0.1:0\"]\n").unwrap();
    }
    home.start()
}

/// Every row of every table of ours.
pub fn rows(database: &Path) -> Vec<String> {
    let sql = Connection::open(database).unwrap();
    let tables = ["accounts", "owners", "live_values", "zones", "tombstones", "last_commit"];
    let dump = |table: &str| {
        let mut statement = sql.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            Ok((0..columns)
                .map(|at| format!("{:?}", row.get::<_, rusqlite::types::Value>(at).unwrap()))
                .collect::<Vec<_>>()
                .join("|"))
        };
        statement.query_map([], row).unwrap().map(|row| format!("{table}: {}", row.unwrap())).collect::<Vec<_>>()
    };
    tables.into_iter().flat_map(dump).collect()
}
