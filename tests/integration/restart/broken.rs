//! Databases that cannot be opened: a sentence that says what is wrong and what to do, and exit code 1.

use rusqlite::Connection;

use crate::harness::dns::txts;
use crate::harness::{Account, Home, Launch, Process, Settings, value};

fn refused(home: &Home) -> String {
    let failed = home.try_launch(&Launch::default()).err().expect("it must not start");
    assert_eq!(failed.code, Some(1), "{failed:?}");
    failed.log
}

/// A database with an account, closed in order.
fn used() -> (Home, Account) {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    let home = daemon.home().clone();
    assert!(daemon.terminate().0.success());
    (home, account)
}

#[test]
fn values_survive_a_stop_in_order_and_their_lifetimes_with_them() {
    let (home, account) = used();
    let daemon = home.start();
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)]);
    let shown = account.send(daemon.api(), "GET", "/v1/account", "").json();
    let left = shown["owners"][0]["values"][0]["seconds_left"].as_u64().unwrap();
    assert!((7 * 86_400 - 60..=7 * 86_400).contains(&left), "{left}");
}

#[test]
fn a_second_daemon_on_one_database_is_told_whose_it_is() {
    let first = Process::start(&Settings::default().top("admin-socket = \"first.sock\""));
    let home = first.home().clone();
    home.write(&Settings::default().top("admin-socket = \"second.sock\""));
    let log = refused(&home);
    assert!(log.contains(&format!("another txtgate (process {})", first.pid())), "{log}");
    assert!(log.contains("txtgate.db"), "{log}");
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let (home, _) = used();
    Connection::open(home.database()).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let log = refused(&home);
    assert!(log.contains("99") && log.contains("run the newer txtgate"), "{log}");
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let home = Home::new(&Settings::default());
    let other = Connection::open(home.database()).unwrap();
    other.execute_batch("CREATE TABLE cats (name TEXT); INSERT INTO cats VALUES ('Tom')").unwrap();
    let log = refused(&home);
    assert!(log.contains("another program"), "{log}");
    assert_eq!(other.query_row("SELECT name FROM cats", [], |row| row.get::<_, String>(0)).unwrap(), "Tom");
}

#[test]
fn a_damaged_database_is_refused_and_the_way_out_named() {
    let (home, _) = used();
    let mut bytes = std::fs::read(home.database()).unwrap();
    // The first page names what this is; the pages behind it are tables and indexes.
    bytes[4_096..].iter_mut().for_each(|byte| *byte ^= 0x5a);
    std::fs::write(home.database(), &bytes).unwrap();
    let log = refused(&home);
    assert!(log.contains("damaged") && log.contains("txtgate restore"), "{log}");
    std::fs::write(home.database(), b"this is a text file, and a longer one than a SQLite header is").unwrap();
    let log = refused(&home);
    assert!(log.contains("damaged"), "{log}");
}

#[test]
fn a_database_in_a_missing_folder_is_named() {
    let home = Home::new(&Settings::default().top("database = \"no/such/folder/t.db\""));
    assert!(refused(&home).contains("no/such/folder/t.db"));
}

#[test]
fn the_files_are_unreadable_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let daemon = Process::start(&Settings::default());
    Account::register(daemon.api());
    for file in ["txtgate.db", "txtgate.db-wal", "txtgate.db-shm", "txtgate.db.lock", "txtgate.sock"] {
        let mode = std::fs::metadata(daemon.home().path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
    }
}
