//! The database becomes unusable while the daemon runs: DNS goes on, updates are refused, and work again afterwards.

use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;

use crate::harness::dns::txts;
use crate::harness::http::get;
use crate::harness::{Account, Home, Launch, Process, Settings, skip, until, value};

/// A running daemon with one published value.
fn serving(home: &Home) -> (Process, Account) {
    let daemon = home.start();
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    (daemon, account)
}

/// What holds while nothing can be written.
fn assert_degraded(daemon: &Process, account: &Account, status: u16) {
    let reply = account.update(daemon.api(), &value(666));
    reply.assert_error(status, "db_error");
    assert_eq!(reply.header("retry-after").is_some(), status == 503, "{reply:?}");
    assert!(!reply.body.contains("SQL") && !reply.body.contains('/'), "faults are for the log: {reply:?}");
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)], "DNS goes on, without what was not acknowledged");
    assert_eq!(get(daemon.api(), "/health").status, 200);
}

#[test]
fn a_database_that_another_process_has_locked() {
    let (daemon, account) = serving(&Home::new(&Settings::default()));
    let other = Connection::open(daemon.home().database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_degraded(&daemon, &account, 503);
    other.execute_batch("ROLLBACK").unwrap();
    account.publish(daemon.api(), &value(2));
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(2), value(1)]);
}

#[test]
fn a_database_that_another_process_has_locked_at_start() {
    let home = Home::new(&Settings::default());
    assert!(home.start().terminate().0.success());
    let other = Connection::open(home.database()).unwrap();
    other.execute_batch("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    let failed = home.try_launch(&Launch::default()).err().expect("it must not start");
    assert!(failed.log.contains("locked"), "{}", failed.log);
}

#[test]
fn a_database_that_was_deleted_underneath() {
    let (daemon, account) = serving(&Home::new(&Settings::default()));
    let (database, aside) = (daemon.home().database(), daemon.home().path().join("aside.db"));
    std::fs::rename(&database, &aside).unwrap();
    assert_degraded(&daemon, &account, 500);
    let ready = get(daemon.metrics(), "/ready");
    assert_eq!((ready.status, ready.json()["ready"].as_bool()), (503, Some(false)), "{ready:?}");
    assert!(daemon.log().contains("deleted or replaced"), "{}", daemon.log());
    std::fs::rename(&aside, &database).unwrap();
    account.publish(daemon.api(), &value(2));
    assert_eq!(get(daemon.metrics(), "/ready").status, 200);
}

#[test]
fn a_database_that_was_replaced_underneath() {
    let (daemon, account) = serving(&Home::new(&Settings::default()));
    let database = daemon.home().database();
    let copy = std::fs::read(&database).unwrap();
    std::fs::remove_file(&database).unwrap();
    std::fs::write(&database, copy).unwrap();
    assert_degraded(&daemon, &account, 500);
}

/// A mount that ends with the test.
struct Mount(PathBuf);

impl Mount {
    /// A small file system in memory; `None` where that is not allowed.
    fn tmpfs(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at).output();
        mount.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    fn remount(&self, options: &str) -> bool {
        let output = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).output();
        output.unwrap().status.success()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a daemon that a failing test has left may have files open there.
        _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk() {
    let home = Home::new(&Settings::default().top("database = \"disk/txtgate.db\""));
    let Some(disk) = Mount::tmpfs(&home.path().join("disk"), "1m") else {
        return skip("a full disk", "mounting a tmpfs needs root");
    };
    let (daemon, account) = serving(&home);
    let filler = disk.0.join("filler");
    // As much as there is room for; the write's own error is the point.
    _ = std::fs::write(&filler, vec![0; 2 << 20]);
    // What is allocated already takes some more updates.
    let mut number = 100;
    until("the disk is full", || {
        number += 1;
        account.update(daemon.api(), &value(number)).status != 200
    });
    let before = txts(daemon.dns(), &account.fulldomain);
    let reply = account.update(daemon.api(), &value(666));
    reply.assert_error(503, "db_error");
    assert_eq!(txts(daemon.dns(), &account.fulldomain), before, "DNS goes on");
    assert_eq!(get(daemon.metrics(), "/ready").status, 503);
    std::fs::remove_file(&filler).unwrap();
    account.publish(daemon.api(), &value(2));
    assert_eq!(txts(daemon.dns(), &account.fulldomain)[0], value(2));
    // What was acknowledged before, during and after it is there after a kill as well.
    let served = txts(daemon.dns(), &account.fulldomain);
    daemon.kill();
    assert_eq!(txts(home.start().dns(), &account.fulldomain), served);
}

#[test]
fn a_full_disk_at_start() {
    let home = Home::new(&Settings::default().top("database = \"disk/txtgate.db\""));
    let Some(disk) = Mount::tmpfs(&home.path().join("disk"), "64k") else {
        return skip("a full disk at start", "mounting a tmpfs needs root");
    };
    _ = std::fs::write(disk.0.join("filler"), vec![0; 1 << 20]);
    let failed = home.try_launch(&Launch::default()).err().expect("it must not start");
    assert_eq!(failed.code, Some(1));
    assert!(failed.log.contains("full") || failed.log.contains("No space left"), "{}", failed.log);
}

#[test]
fn a_read_only_directory() {
    let home = Home::new(&Settings::default().top("database = \"disk/txtgate.db\""));
    let Some(disk) = Mount::tmpfs(&home.path().join("disk"), "1m") else {
        return skip("a read-only directory", "root writes anywhere, so that this needs a mount, which needs root");
    };
    assert!(disk.remount("ro"));
    let failed = home.try_launch(&Launch::default()).err().expect("it must not start");
    assert_eq!(failed.code, Some(1));
    assert!(failed.log.contains("disk/txtgate.db") && failed.log.contains("Read-only"), "{}", failed.log);
}
