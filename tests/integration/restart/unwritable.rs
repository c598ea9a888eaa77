//! The database becomes unusable while the daemon runs: DNS goes on, updates are refused, and work again afterwards.

use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

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

/// What holds while nothing can be written, for `reason`.
fn assert_degraded(daemon: &Process, account: &Account, reason: &str) {
    let reply = account.update(daemon.api(), &value(666));
    reply.assert_error(503, "db_error");
    assert!(reply.header("retry-after").is_some() && reply.body.contains(reason), "{reply:?}");
    assert!(!reply.body.contains("SQL") && !reply.body.contains('/'), "faults are for the log: {reply:?}");
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)], "DNS goes on, without what was not acknowledged");
    assert_eq!(get(daemon.api(), "/health").status, 200);
}

#[test]
fn a_database_that_another_process_has_locked() {
    let (daemon, account) = serving(&Home::new(&Settings::default()));
    let other = Connection::open(daemon.home().database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_degraded(&daemon, &account, "another program has the database locked");
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
    assert_degraded(&daemon, &account, "the database is missing");
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
    assert_degraded(&daemon, &account, "the database is missing");
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

    /// A file system in a file, which becomes read-only after an error; `None` where that is not allowed.
    fn ext4(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let image = at.with_extension("image");
        std::fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let is_mounted = succeeds(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))
            && succeeds(Command::new("mount").args(["-o", "loop,errors=remount-ro"]).arg(&image).arg(at));
        is_mounted.then(|| Self(at.to_owned()))
    }

    /// Tells an ext4 file system that its disk has failed; false where that is not allowed.
    fn fail(&self) -> bool {
        let device = Command::new("findmnt").args(["-n", "-o", "SOURCE", "--mountpoint"]).arg(&self.0).output();
        let Ok(device) = device.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()) else {
            return false;
        };
        let name = device.trim_start_matches("/dev/");
        std::fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "1").is_ok()
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

/// DNS is served with what is stored, and changes are refused; `stop` ends the former daemon.
fn a_restart_without_room(stop: impl Fn(Process)) {
    let home = Home::new(&Settings::default().top("database = \"disk/txtgate.db\""));
    let Some(disk) = Mount::tmpfs(&home.path().join("disk"), "1m") else {
        return skip("a full disk at a restart", "mounting a tmpfs needs root");
    };
    let (daemon, account) = serving(&home);
    stop(daemon);
    let filler = disk.0.join("filler");
    _ = std::fs::write(&filler, vec![0; 2 << 20]);
    // The index of the WAL, which a kill leaves, is made anew at each start.
    _ = std::fs::remove_file(disk.0.join("txtgate.db-shm"));
    _ = std::fs::write(disk.0.join("more"), vec![0; 2 << 20]);
    let daemon = home.start();
    assert_degraded(&daemon, &account, "the disk is full");
    assert!(daemon.log().contains("the disk is full"), "{}", daemon.log());
    let ready = get(daemon.metrics(), "/ready");
    assert_eq!(ready.status, 503);
    assert!(ready.json()["problem"].as_str().unwrap().contains("the disk is full"), "{ready:?}");
    assert!(home.run_ok(&["status"]).contains("the disk is full"));
    assert!(home.run_ok(&["account", "list"]).contains(&account.username), "what is there can be read");
    let (code, said) = home.run_err(&["account", "create", "example.com"]);
    assert!(code == Some(1) && said.contains("the disk is full"), "{said}");
    std::fs::remove_file(&filler).unwrap();
    _ = std::fs::remove_file(disk.0.join("more"));
    until("there is room again", || get(daemon.metrics(), "/ready").status == 200);
    account.publish(daemon.api(), &value(2));
    daemon.kill();
    assert_eq!(txts(home.start().dns(), &account.fulldomain), [value(2), value(1)]);
}

#[test]
fn a_full_disk_at_a_restart_serves_what_is_there() {
    a_restart_without_room(|daemon| assert!(daemon.terminate().0.success()));
}

/// What was acknowledged last is in the WAL alone.
#[test]
fn a_full_disk_at_a_restart_after_a_kill_serves_what_is_in_the_wal() {
    a_restart_without_room(Process::kill);
}

#[test]
fn a_read_only_file_system_at_a_restart_serves_what_is_there() {
    for stop in [|daemon: Process| assert!(daemon.terminate().0.success()), Process::kill] {
        let home = Home::new(&Settings::default().top("database = \"disk/txtgate.db\""));
        let Some(disk) = Mount::tmpfs(&home.path().join("disk"), "1m") else {
            return skip("a read-only file system at a restart", "mounting a tmpfs needs root");
        };
        let (daemon, account) = serving(&home);
        stop(daemon);
        assert!(disk.remount("ro"));
        let daemon = home.start();
        assert_degraded(&daemon, &account, "the file system is read-only");
        let ready = get(daemon.metrics(), "/ready");
        assert!(ready.status == 503 && ready.body.contains("read-only"), "{ready:?}");
        assert!(disk.remount("rw"));
        until("it is writable again", || get(daemon.metrics(), "/ready").status == 200);
        account.publish(daemon.api(), &value(2));
        daemon.kill();
        assert_eq!(txts(home.start().dns(), &account.fulldomain), [value(2), value(1)]);
    }
}

/// As after an error of the disk: ext4 refuses every write, and looks writable to who only asks for its state.
#[test]
fn a_file_system_that_becomes_read_only_underneath() {
    let home = Home::new(&Settings::default().top("database = \"disk/txtgate.db\""));
    let disk = Mount::ext4(&home.path().join("disk"));
    let (daemon, account) = serving(&home);
    let Some(disk) = disk.filter(Mount::fail) else {
        return skip(
            "a file system that becomes read-only",
            "mounting a file, or having its file system fail, is not allowed",
        );
    };
    assert_degraded(&daemon, &account, "the file system is read-only");
    let ready = get(daemon.metrics(), "/ready");
    assert!(ready.status == 503 && ready.body.contains("read-only"), "{ready:?}");
    // A restart serves what is there.
    daemon.kill();
    let daemon = home.start();
    assert_degraded(&daemon, &account, "the file system is read-only");
    assert!(daemon.terminate().0.success());
    drop(disk);
}

/// Lets no file of the daemon grow, or ends that.
fn limit_files(daemon: &Process, current: Option<u64>) {
    let limit = Rlimit { current, maximum: None };
    prlimit(Pid::from_raw(daemon.pid()), Resource::Fsize, limit).unwrap();
}

/// As with a quota that is used up, or a disk that fails every write.
#[test]
fn a_disk_that_fails_every_write() {
    let (daemon, account) = serving(&Home::new(&Settings::default()));
    limit_files(&daemon, Some(0));
    assert_degraded(&daemon, &account, "the disk failed");
    let ready = get(daemon.metrics(), "/ready");
    assert!(ready.status == 503 && ready.body.contains("the disk failed"), "{ready:?}");
    for (method, path) in [("POST", "/v1/account/rotate"), ("DELETE", "/v1/account")] {
        let reply = account.send(daemon.api(), method, path, "");
        reply.assert_error(503, "db_error");
    }
    let reply = crate::harness::http::post(daemon.api(), "/register", &[], "");
    assert!(reply.status == 503 && reply.body.contains("the disk failed"), "{reply:?}");
    let (code, said) = daemon.home().run_err(&["account", "create", "example.com"]);
    assert!(code == Some(1) && said.contains("the disk failed"), "{said}");
    limit_files(&daemon, None);
    account.publish(daemon.api(), &value(2));
    assert_eq!(get(daemon.metrics(), "/ready").status, 200);
}

/// A heartbeat tries, so that it need not be a client that finds out.
#[test]
fn ready_knows_without_an_update_that_nothing_can_be_written() {
    let (daemon, _) = serving(&Home::new(&Settings::default()));
    assert_eq!(get(daemon.metrics(), "/ready").status, 200);
    limit_files(&daemon, Some(0));
    until("it is not ready", || get(daemon.metrics(), "/ready").status == 503);
    let ready = get(daemon.metrics(), "/ready").json();
    assert_eq!(ready["ready"].as_bool(), Some(false));
    assert!(ready["problem"].as_str().unwrap().contains("the disk failed"), "{ready}");
    assert!(daemon.home().run_ok(&["status"]).contains("the disk failed"));
    limit_files(&daemon, None);
    until("it is ready", || get(daemon.metrics(), "/ready").status == 200);
    assert!(daemon.log().contains("changes can be stored again"), "{}", daemon.log());
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
