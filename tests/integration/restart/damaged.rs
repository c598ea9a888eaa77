//! The files of the database are damaged while the daemon runs: nothing more is acknowledged, since it would be gone at
//! the next start, and DNS goes on.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::Connection;

use crate::harness::dns::txts;
use crate::harness::http::get;
use crate::harness::{Account, Home, Process, Settings, value};

/// A running daemon with one published value.
fn serving() -> (Process, Account) {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    (daemon, account)
}

fn truncate(path: &Path) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
}

/// Keeps the header alone. The end of a WAL may be left over from before a checkpoint, and worth nothing.
fn cut(path: &Path) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(100).unwrap();
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

fn replace(path: &Path) {
    let copy = fs::read(path).unwrap();
    fs::remove_file(path).unwrap();
    fs::write(path, copy).unwrap();
}

fn overwrite_the_beginning(path: &Path) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(&[0; 100], 0).unwrap();
}

fn overwrite_within_the_first_page(path: &Path) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(&[0x5a; 64], 2_000).unwrap();
}

fn overwrite_behind_the_header(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.write_all_at(&vec![0; length as usize - 32], 32).unwrap();
}

type Damage = (&'static str, &'static str, fn(&Path), &'static str);

const DAMAGES: [Damage; 14] = [
    ("the WAL truncated", "-wal", truncate, "damaged"),
    ("the WAL cut", "-wal", cut, "damaged"),
    ("the WAL removed", "-wal", remove, "missing"),
    ("the WAL replaced", "-wal", replace, "missing"),
    ("the WAL's header overwritten", "-wal", overwrite_the_beginning, "damaged"),
    ("the WAL's frames overwritten", "-wal", overwrite_behind_the_header, "damaged"),
    ("the database truncated", "", truncate, "damaged"),
    ("the database cut", "", cut, "damaged"),
    ("the database removed", "", remove, "missing"),
    ("the database replaced", "", replace, "missing"),
    ("the database's header overwritten", "", overwrite_the_beginning, "damaged"),
    ("the database's schema overwritten", "", overwrite_within_the_first_page, "damaged"),
    ("the index removed", "-shm", remove, "missing"),
    ("the index truncated", "-shm", truncate, "damaged"),
];

#[test]
fn nothing_is_acknowledged_into_a_damaged_store() {
    for (what, suffix, damage, reason) in DAMAGES {
        let (daemon, account) = serving();
        let path = daemon.home().path().join(format!("txtgate.db{suffix}"));
        damage(&path);
        for number in [666, 667] {
            let reply = account.update(daemon.api(), &value(number));
            assert_ne!(reply.status, 200, "{what}");
            reply.assert_error(503, "db_error");
            assert!(reply.body.contains(&format!("the database is {reason}")), "{what}: {reply:?}");
        }
        assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)], "{what}");
        let ready = get(daemon.metrics(), "/ready");
        let problem = ready.json()["problem"].as_str().unwrap_or_default().to_owned();
        assert_eq!(ready.status, 503, "{what}: {ready:?}");
        assert!(problem.contains(&format!("txtgate.db{suffix}")), "{what}: {problem}");
        let (code, said) = daemon.home().run_err(&["account", "create", "example.com"]);
        assert!(code == Some(1) && said.contains(&format!("the database is {reason}")), "{what}: {said}");
        assert!(daemon.home().run_ok(&["status"]).contains("txtgate.db"), "{what}");
        assert!(daemon.terminate().0.success(), "{what}");
    }
}

/// The end of the daemon copies no damaged WAL into the database, and a file in the place of its own is not its own.
#[test]
fn the_end_of_the_daemon_damages_nothing_further() {
    let (daemon, account) = serving();
    let home = daemon.home().clone();
    Connection::open(home.database()).unwrap().query_row("PRAGMA wal_checkpoint", [], |_| Ok(())).unwrap();
    account.publish(daemon.api(), &value(2));
    let wal = home.path().join("txtgate.db-wal");
    let before = fs::read(home.database()).unwrap();
    truncate(&wal);
    account.update(daemon.api(), &value(666)).assert_error(503, "db_error");
    OpenOptions::new().write(true).open(&wal).unwrap().set_len(1 << 20).unwrap();
    assert!(daemon.terminate().0.success());
    assert_eq!(fs::read(home.database()).unwrap(), before);
    assert_eq!(txts(home.start().dns(), &account.fulldomain), [value(1)]);
}

#[test]
fn a_wal_that_is_put_in_the_place_is_left_alone_at_the_end() {
    let (daemon, _) = serving();
    let wal = daemon.home().path().join("txtgate.db-wal");
    replace(&wal);
    let before = fs::read(&wal).unwrap();
    let home = daemon.home().clone();
    assert!(daemon.terminate().0.success());
    assert_eq!(fs::read(home.path().join("txtgate.db-wal")).ok(), Some(before), "SQLite deletes the WAL at the end");
}

/// What others may do to a database in use is no damage.
#[test]
fn a_checkpoint_or_a_backup_by_another_process_is_no_damage() {
    let (daemon, account) = serving();
    let home: Home = daemon.home().clone();
    for (number, statement) in
        ["wal_checkpoint(TRUNCATE)", "wal_checkpoint(RESTART)", "wal_checkpoint"].iter().enumerate()
    {
        let other = Connection::open(home.database()).unwrap();
        other.query_row(&format!("PRAGMA {statement}"), [], |_| Ok(())).unwrap();
        account.publish(daemon.api(), &value(10 + number as u64));
    }
    home.run_ok(&["backup", "copy.db"]);
    account.publish(daemon.api(), &value(20));
    Connection::open(home.database()).unwrap().execute_batch("VACUUM").unwrap();
    // More than the thousand pages after which the daemon makes a checkpoint of its own.
    for number in 100..500 {
        account.publish(daemon.api(), &value(number));
    }
    assert_eq!(get(daemon.metrics(), "/ready").status, 200);
    let served = txts(daemon.dns(), &account.fulldomain);
    daemon.kill();
    assert_eq!(txts(home.start().dns(), &account.fulldomain), served);
}
