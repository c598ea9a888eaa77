//! Backups that are older than what they replace: what is newer is told, and what the world relies on is not lost.

use hickory_proto::rr::RData;
use rusqlite::Connection;

use crate::harness::dns::{SOA, ask, query};
use crate::harness::{Account, Home, Process, Settings, ZONE, value};

fn created(home: &Home, more: &[&str]) -> Account {
    let arguments = [&["account", "create", "example.com", "--json"], more].concat();
    Account::of(&serde_json::from_str(&home.run_ok(&arguments)).unwrap())
}

/// The serial that a daemon serves.
fn serial(daemon: &Process) -> u32 {
    match &ask(daemon.dns(), &query(ZONE, SOA)).answers()[0].data {
        RData::SOA(soa) => soa.serial,
        other => panic!("{other:?}"),
    }
}

/// RFC 1982 section 3.2.
fn is_after(one: u32, other: u32) -> bool {
    one != other && one.wrapping_sub(other) < 1 << 31
}

/// The backup file's path in a home.
fn copy(home: &Home) -> String {
    home.path().join("copy.db").display().to_string()
}

#[test]
fn a_restore_says_what_is_newer_than_the_backup_and_no_serial_runs_backwards() {
    let home = Home::new(&Settings::default());
    let daemon = home.start();
    let [kept, rotated, removed] = [(); 3].map(|()| Account::register(daemon.api()));
    let file = &copy(&home);
    home.run_ok(&["enrol", "create", "--note", "lost laptop"]);
    home.run_ok(&["backup", file]);
    home.run_ok(&["enrol", "revoke", "1"]);
    let newer = created(&home, &["--subdomain", "shop", "--note", "the shop"]);
    let more = home.run_ok(&["account", "add-subdomain", &kept.username, "more"]);
    assert!(more.contains("more"), "{more}");
    home.run_ok(&["account", "rotate", &rotated.username]);
    home.run_ok(&["account", "delete", "--now", &removed.username]);
    daemon.terminate();
    // As after many changes a second.
    let ahead: u32 = 3_000_000_000;
    let database = Connection::open(home.database()).unwrap();
    assert_eq!(database.execute("UPDATE zones SET serial = ?1", [ahead]).unwrap(), 1);
    drop(database);
    let daemon = home.start();
    newer.publish(daemon.api(), &value(1));
    let before = serial(&daemon);
    assert!(before > ahead);
    daemon.terminate();

    let said = home.run_ok(&["restore", file]);
    for words in [
        "Accounts newer than the backup",
        &format!("{} {} (", newer.username, newer.fulldomain),
        "the shop",
        "Names newer than the backup",
        &format!("more.{ZONE}"),
        "Accounts that were removed since",
        &removed.username,
        "Tokens that were revoked since",
        "enrolment token 1 (lost laptop)",
        "Accounts with a newer key",
        &rotated.username,
        &format!("Serial of {ZONE}: "),
        &format!("txtgate restore {}.before-restore", home.database().display()),
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let daemon = home.start();
    assert!(is_after(serial(&daemon), before));
    rotated.publish(daemon.api(), &value(2));
    newer.update(daemon.api(), &value(2)).assert_error(401, "forbidden");
    let before = serial(&daemon);
    daemon.terminate();

    // The way back is a restore as well.
    home.run_ok(&["restore", &format!("{}.before-restore", home.database().display())]);
    let daemon = home.start();
    newer.publish(daemon.api(), &value(3));
    assert!(is_after(serial(&daemon), before));
}

#[test]
fn a_restore_in_place_of_a_lost_or_damaged_database_says_that_it_knows_nothing_newer() {
    let home = Home::new(&Settings::default());
    created(&home, &[]);
    let file = &copy(&home);
    home.run_ok(&["backup", file]);
    std::fs::write(home.database(), "x".repeat(10_000)).unwrap();
    let said = home.run_ok(&["restore", file]);
    assert!(said.contains("cannot be read") && said.contains("--after-serial"), "{said}");
    for suffix in ["", "-wal", "-shm"] {
        _ = std::fs::remove_file(format!("{}{suffix}", home.database().display()));
    }
    let said = home.run_ok(&["restore", file, "--after-serial", "3000000000"]);
    assert!(said.contains("There was no database before"), "{said}");
    assert!(serial(&home.start()) > 3_000_000_000);
}

/// A label that was chosen once stays taken, although the backup knows nothing of it.
#[test]
fn a_restore_drops_no_tombstone() {
    let home = Home::new(&Settings::default());
    created(&home, &[]);
    let file = &copy(&home);
    home.run_ok(&["backup", file]);
    let gone = created(&home, &["--subdomain", "shop"]);
    home.run_ok(&["account", "delete", "--now", &gone.username]);
    home.run_ok(&["restore", file]);
    let (code, said) = home.run_err(&["account", "create", "example.com", "--subdomain", "shop"]);
    assert!(code == Some(1) && said.contains("shop"), "{said}");
}
