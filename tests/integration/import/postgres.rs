//! acme-dns on PostgreSQL, with a server of the test's own where Debian's is installed.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::dns::txts;
use crate::harness::tls::Authority;
use crate::harness::{skip, value};

use super::source::{Old, account, key, now, nowhere, rows, start};

/// A server on a Unix socket in a folder of its own; root runs it as Debian's user for it, for it refuses root.
struct Server {
    folder: TempDir,
    programs: PathBuf,
    /// Of TLS, on 127.0.0.1.
    port: u16,
    authority: String,
}

impl Server {
    /// Starts one; `None`, loudly, where there is none to start.
    fn start() -> Option<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
        let Some(programs) = versions.map(|version| version.path().join("bin")).max() else {
            skip("PostgreSQL", "it is not installed (Debian package postgresql)");
            return None;
        };
        let authority = Authority::new();
        // Free a moment ago; PostgreSQL cannot be told to choose.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { folder: tempfile::tempdir().unwrap(), programs, port, authority: authority.pem() };
        authority.issue(server.folder.path());
        std::fs::set_permissions(server.folder.path().join("key.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
        if rustix::process::geteuid().is_root() {
            let id = server.output("id", &["-u", "postgres"]);
            let id = String::from_utf8(id.stdout).unwrap().trim().parse().expect("a user postgres");
            chown(server.folder.path(), Some(id), None).unwrap();
            chown(server.folder.path().join("key.pem"), Some(id), None).unwrap();
            std::fs::set_permissions(server.folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        server.run("initdb", &["-D", server.data().to_str().unwrap(), "-U", "acmedns", "-A", "trust", "-N"]);
        let folder = server.folder.path().display();
        let options = format!(
            "-k {folder} -c listen_addresses=127.0.0.1 -c port={port} -c fsync=off -c ssl=on \
             -c ssl_cert_file={folder}/cert.pem -c ssl_key_file={folder}/key.pem"
        );
        let log = server.folder.path().join("log");
        server.run(
            "pg_ctl",
            &["-D", server.data().to_str().unwrap(), "-w", "-l", log.to_str().unwrap(), "-o", &options, "start"],
        );
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Output {
        Command::new(program).args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut words = vec![program.to_str().unwrap()];
        words.extend(arguments);
        if rustix::process::geteuid().is_root() {
            words.splice(0..0, ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]);
        }
        let output = self.output(words[0], &words[1..]);
        assert!(output.status.success(), "{words:?}: {output:?}");
    }

    fn sql(&self, sql: &str) {
        let (socket, port) = (self.folder.path().to_str().unwrap(), self.port.to_string());
        self.run("psql", &["-h", socket, "-p", &port, "-U", "acmedns", "-d", "postgres", "-qc", sql]);
    }

    /// As acme-dns's configuration has it.
    fn connection(&self) -> String {
        let socket = self.folder.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://acmedns:hush@{socket}:{}/postgres?sslmode=disable", self.port)
    }

    /// Over TLS.
    fn remote(&self, options: &str) -> String {
        format!("postgres://acmedns@localhost:{}/postgres?sslmode={options}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if Path::new(&self.data()).exists() {
            self.run("pg_ctl", &["-D", self.data().to_str().unwrap(), "-m", "immediate", "stop"]);
        }
    }
}

const TABLES: &str = "
CREATE TABLE acmedns(Name TEXT, Value TEXT);
CREATE TABLE records(Username TEXT UNIQUE NOT NULL PRIMARY KEY, Password TEXT UNIQUE NOT NULL,
    Subdomain TEXT UNIQUE NOT NULL, AllowFrom TEXT);
CREATE TABLE txt(rowid SERIAL, Subdomain TEXT NOT NULL, Value TEXT NOT NULL DEFAULT '', LastUpdate INT);
INSERT INTO acmedns VALUES ('db_version', '1');";

fn record(number: u32, hash: &str) -> String {
    let account = account(number);
    format!("INSERT INTO records VALUES ('{}', '{hash}', '{}', '[]');", account.username, account.subdomain)
}

fn text(number: u32, value: &str, time: i64) -> String {
    format!(
        "INSERT INTO txt (Subdomain, Value, LastUpdate) VALUES ('{}', '{value}', {time});",
        account(number).subdomain
    )
}

#[test]
fn postgresql() {
    let Some(server) = Server::start() else { return };
    server.sql(TABLES);
    server.sql(&[record(1, &key(1).1), text(1, &value(1), now()), text(1, "", 0)].concat());
    // A column of bytes, or a driver that wrote them as such.
    let hex: String = key(2).1.bytes().map(|byte| format!("{byte:02x}")).collect();
    server.sql(&record(2, &format!("\\x{hex}")));
    let mut old = Old::new();
    let config = old.folder.path().join("config.cfg");
    let text = std::fs::read_to_string(&config).unwrap().replace("sqlite3", "postgres");
    std::fs::write(&config, text.replace("acme-dns.db", &server.connection())).unwrap();
    let home = nowhere();
    let said = old.import_ok(&home, &[]);
    assert!(said.contains("2 accounts moved in") && said.contains("1 live values"), "{said}");
    assert!(said.contains("PostgreSQL database postgres at /") && !said.contains("hush"), "{said}");
    let before = rows(&home.database());
    old.database = Some(server.connection());
    assert!(old.import_ok(&home, &[]).contains("2 are here already"));
    assert_eq!(rows(&home.database()), before);
    old.database = Some(server.remote("require"));
    assert!(old.import_err(&home, 1).contains("sslrootcert"));
    let ca = old.folder.path().join("ca.pem");
    std::fs::write(&ca, &server.authority).unwrap();
    old.database = Some(server.remote(&format!("verify-full&sslrootcert={}", ca.display())));
    assert!(old.import_ok(&home, &[]).contains("2 are here already"));
    old.database = Some(server.connection());
    let daemon = start(&home);
    assert_eq!(txts(daemon.dns(), &account(1).fulldomain), [value(1)]);
    account(1).publish(daemon.api(), &value(2));
    account(2).publish(daemon.api(), &value(3));

    // As it was before there was a table of values.
    server.sql(
        "DROP TABLE txt; ALTER TABLE records ADD COLUMN Value TEXT; ALTER TABLE records ADD COLUMN LastActive INT;",
    );
    server.sql(&format!("UPDATE records SET Value = '{}', LastActive = {}", value(4), now()));
    assert!(old.import_ok(&nowhere(), &[]).contains("2 live values published again"));
    server.sql("DROP TABLE records");
    assert!(old.import_err(&nowhere(), 1).contains("holds no acme-dns"));
    old.database = Some(format!("{}2", server.connection().replace("?sslmode=disable", "")));
    let said = old.import_err(&nowhere(), 1);
    assert!(said.contains("database \"postgres2\" does not exist") && !said.contains("hush"), "{said}");
}
