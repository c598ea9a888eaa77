//! A database that was there and is missing, like that of a volume that is not mounted: an empty one in its place would
//! answer name errors for everybody.

use std::fs;
use std::path::Path;

use crate::harness::dns::txts;
use crate::harness::{Account, Home, Launch, Process, Settings, value};

/// A start with `serve --init`.
fn init() -> Launch {
    let wrapper = ["sh", "-c", "exec \"$@\" --init", "sh"].map(str::to_owned).into();
    Launch { wrapper, ..Launch::default() }
}

/// What a daemon that must not start says.
fn refused(home: &Home, launch: &Launch) -> String {
    let failed = home.try_launch(launch).err().expect("it must not start");
    assert_eq!(failed.code, Some(1), "{failed:?}");
    failed.log
}

fn assert_missing(home: &Home) -> String {
    let said = refused(home, &Launch::default());
    assert!(said.contains("there was one") && said.contains("txtgate serve --init"), "{said}");
    assert!(said.contains("txtgate.db"), "{said}");
    assert!(!home.database().exists() || fs::read(home.database()).unwrap().is_empty(), "it was created all the same");
    said
}

/// A home in which a daemon has run, with one value.
fn used(settings: &Settings) -> (Home, Account) {
    let daemon = Process::start(settings);
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    let home = daemon.home().clone();
    assert!(daemon.terminate().0.success());
    (home, account)
}

/// Removes all files of a home but its configuration and `kept`.
fn clear(home: &Home, kept: &str) {
    for entry in fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        if name == "config.toml" || name == kept {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            fs::remove_dir_all(entry.path()).unwrap();
        } else {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// Whatever it is that shows that there was a database, and even if nothing else is left.
#[test]
fn a_missing_database_is_not_replaced_by_an_empty_one() {
    for evidence in ["txtgate.db.lock", "txtgate.db.tsig", "txtgate.db-wal", "acme", "config.toml.database"] {
        let daemon = Process::start(&Settings::default());
        let home = daemon.home().clone();
        let account = Account::register(daemon.api());
        home.run_ok(&["account", "tsig", "create", &account.subdomain]);
        fs::create_dir_all(home.path().join("acme/ca.example")).unwrap();
        // A kill leaves the WAL there.
        daemon.kill();
        clear(&home, evidence);
        assert!(home.path().join(evidence).exists(), "{evidence}");
        let said = assert_missing(&home);
        assert!(said.contains(evidence), "{evidence}: {said}");
        // No command creates one either.
        let (code, said) = home.run_err(&["account", "create", "example.com"]);
        assert!(code == Some(1) && said.contains("txtgate serve --init"), "{said}");
        assert!(!home.database().exists());
        // Without it the same folder is a new installation.
        clear(&home, "");
        home.start();
    }
}

#[test]
fn a_volume_that_is_not_mounted_is_not_an_empty_service() {
    let settings = Settings::default().top("database = \"disk/txtgate.db\"");
    let home = Home::new(&settings);
    let (disk, elsewhere) = (home.path().join("disk"), home.path().join("elsewhere"));
    fs::create_dir(&disk).unwrap();
    let daemon = home.start();
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    assert!(daemon.terminate().0.success());
    fs::rename(&disk, &elsewhere).unwrap();
    fs::create_dir(&disk).unwrap();
    let said = refused(&home, &Launch::default());
    assert!(said.contains("there was one") && said.contains("mount"), "{said}");
    assert!(!disk.join("txtgate.db").exists());
    fs::remove_dir_all(&disk).unwrap();
    fs::rename(&elsewhere, &disk).unwrap();
    assert_eq!(txts(home.start().dns(), &account.fulldomain), [value(1)]);
}

/// As in `/etc/txtgate`: the daemon may not write beside its configuration, and root may.
#[test]
fn a_command_records_the_database_where_the_daemon_may_not() {
    let daemon = Process::start(&Settings::default());
    let home = daemon.home().clone();
    let record = home.path().join("config.toml.database");
    fs::remove_file(&record).unwrap();
    home.run_ok(&["status"]);
    assert!(fs::read_to_string(&record).unwrap().contains(&*home.database().to_string_lossy()));
    assert!(daemon.terminate().0.success());
    clear(&home, "config.toml.database");
    assert_missing(&home);
}

#[test]
fn another_database_in_the_configuration_is_not_created_silently() {
    let (home, _) = used(&Settings::default());
    home.write(&Settings::default().top("database = \"txtgate.bd\""));
    let said = refused(&home, &Launch::default());
    assert!(said.contains("txtgate.bd") && said.contains(&home.database().display().to_string()), "{said}");
}

#[test]
fn an_emptied_database_is_a_missing_one() {
    let (home, _) = used(&Settings::default());
    fs::write(home.database(), "").unwrap();
    assert_missing(&home);
}

#[test]
fn serve_init_begins_anew_once() {
    let (home, account) = used(&Settings::default());
    fs::remove_file(home.database()).unwrap();
    assert_missing(&home);
    let daemon = home.launch(&init());
    assert!(txts(daemon.dns(), &account.fulldomain).is_empty());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(2));
    assert!(daemon.terminate().0.success());
    // Left in a unit it would make the next missing database an empty one.
    let said = refused(&home, &init());
    assert!(said.contains("--init") && said.contains("already"), "{said}");
    assert_eq!(txts(home.start().dns(), &account.fulldomain), [value(2)]);
}

#[test]
fn a_marker_begins_anew_once() {
    let (home, _) = used(&Settings::default());
    fs::remove_file(home.database()).unwrap();
    let marker = home.path().join("txtgate.db.init");
    fs::write(&marker, "").unwrap();
    assert!(home.start().terminate().0.success());
    assert!(!marker.exists());
    fs::remove_file(home.database()).unwrap();
    assert_missing(&home);
}

#[test]
fn what_a_first_start_leaves_that_failed_is_no_evidence() {
    let home = Home::new(&Settings::default());
    // Such a lock is left by a process that was killed between taking it and creating the database.
    fs::write(home.path().join("txtgate.db.lock"), "12345").unwrap();
    fs::write(home.database(), "").unwrap();
    let (code, _) = home.run_err(&["restore", "no-such-backup"]);
    assert_eq!(code, Some(1));
    assert!(home.start().terminate().0.success());
    assert!(home.start().terminate().0.success());
}

/// The configuration that comes with the source, as it is, but for its ports.
#[test]
fn the_shipped_configuration_starts_twice() {
    let shipped = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml")).unwrap();
    let text = ["5300", "5380", "5390"].iter().fold(shipped, |text, port| text.replace(&format!(":{port}\""), ":0\""));
    let home = Home::new(&Settings::default());
    fs::write(home.config(), text).unwrap();
    let daemon = home.start();
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    assert!(daemon.terminate().0.success());
    assert_eq!(txts(home.start().dns(), &account.fulldomain), [value(1)]);
}
