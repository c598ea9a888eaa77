//! The names to which CNAMEs of certificates lead, when the database is lost, or replaced by an older one.

use std::fs;

use crate::harness::ca_lab::{CaLab, missing_cnames};
use crate::harness::dns::{TXT, ask, query};
use crate::harness::standin::ResponsePolicy;
use crate::harness::{Account, Home, ZONE, value};

use super::managed::{file, pair};

const NAME: &str = "a.example.com";

/// Loses the database.
fn lose(home: &Home) {
    for suffix in ["", "-wal", "-shm"] {
        _ = fs::remove_file(format!("{}{suffix}", home.database().display()));
    }
}

/// Allows a new database where there was one before.
fn begin_anew(home: &Home) {
    fs::write(format!("{}.init", home.database().display()), "").unwrap();
}

#[derive(Clone, Copy, Debug)]
enum Loss {
    OlderBackup,
    OlderBackupAlone,
    Database,
}

#[test]
fn a_renewal_needs_no_new_cname_after_an_older_backup_or_without_the_database() {
    for loss in [Loss::OlderBackup, Loss::OlderBackupAlone, Loss::Database] {
        let lab = CaLab::new(ResponsePolicy::default());
        let home = Home::new(&lab.settings);
        let backup = home.path().join("copy.db").display().to_string();
        let daemon = home.start();
        home.run_ok(&["backup", &backup]);
        home.run_err(&["cert", "issue", "--name", NAME]);
        lab.add_missing(&home, NAME);
        home.run_ok(&["cert", "renew", NAME]);
        let before = pair(&home, NAME).unwrap().info.serial;
        daemon.terminate();
        match loss {
            Loss::OlderBackup => {
                let said = home.run_ok(&["restore", &backup]);
                assert!(said.contains("which stay"), "{said}");
                // Also where the state folder knows nothing.
                fs::remove_dir_all(home.path().join("acme/labels")).unwrap();
            }
            Loss::OlderBackupAlone => {
                lose(&home);
                home.run_ok(&["restore", &backup]);
            }
            Loss::Database => {
                lose(&home);
                begin_anew(&home);
            }
        }
        let _daemon = home.start();
        home.run_ok(&["cert", "renew", NAME]);
        assert_ne!(pair(&home, NAME).unwrap().info.serial, before, "{loss:?}");
    }
}

/// The state folders of earlier versions know where names were proven, and no more.
#[test]
fn a_label_is_taken_back_from_where_the_name_was_proven() {
    let lab = CaLab::new(ResponsePolicy::default());
    let home = Home::new(&lab.settings);
    let daemon = home.start();
    home.run_err(&["cert", "issue", "--name", NAME]);
    lab.add_missing(&home, NAME);
    home.run_ok(&["cert", "renew", NAME]);
    daemon.terminate();
    fs::remove_dir_all(home.path().join("acme/labels")).unwrap();
    lose(&home);
    begin_anew(&home);
    let daemon = home.start();
    assert!(daemon.log().contains("is taken back for a certificate"), "{}", daemon.log());
    home.run_ok(&["cert", "renew", NAME]);
}

#[test]
fn a_record_that_was_asked_for_is_still_the_one_that_is_asked_for() {
    let lab = CaLab::new(ResponsePolicy::default());
    let home = Home::new(&lab.settings);
    let daemon = home.start();
    home.run_err(&["cert", "issue", "--name", NAME]);
    let record = missing_cnames(&home, NAME);
    daemon.terminate();
    lose(&home);
    begin_anew(&home);
    let _daemon = home.start();
    home.run_err(&["cert", "renew", NAME]);
    assert_eq!(missing_cnames(&home, NAME), record);
}

/// A CNAME may lead to the label of an account, and the account be newer than the backup.
#[test]
fn the_label_of_an_account_that_is_gone_is_taken_back_for_the_certificate_that_was_proven_there() {
    let lab = CaLab::new(ResponsePolicy::default());
    let home = Home::new(&lab.settings);
    let daemon = home.start();
    let account = Account::register(daemon.api());
    lab.resolver.add(&format!("_acme-challenge.{NAME}. CNAME {}.", account.fulldomain));
    home.run_ok(&["cert", "issue", "--name", NAME]);
    daemon.terminate();
    lose(&home);
    begin_anew(&home);
    let _daemon = home.start();
    home.run_ok(&["cert", "renew", NAME]);
}

#[test]
fn a_label_that_somebody_owns_or_has_owned_is_not_taken() {
    let lab = CaLab::new(ResponsePolicy::default());
    let home = Home::new(&lab.settings);
    let create = |label: &str| {
        let made = home.run_ok(&["account", "create", "other.example", "--subdomain", label, "--json"]);
        Account::of(&serde_json::from_str(&made).unwrap())
    };
    let (owned, removed) = (create("owned"), create("removed"));
    home.run_ok(&["account", "delete", "--now", &removed.username]);
    fs::create_dir_all(home.path().join("acme/labels")).unwrap();
    for label in ["owned", "removed", "free"] {
        let text = format!("owner = \"{label}.{ZONE}\"\n");
        file(&home, &format!("acme/labels/{label}.example.toml"), &text, 0o600);
    }
    let daemon = home.start();
    let rcode = |label: &str| u16::from(ask(daemon.dns(), &query(&format!("{label}.{ZONE}"), TXT)).rcode());
    assert_eq!([rcode("owned"), rcode("removed"), rcode("free")], [0, 3, 0]);
    owned.publish(daemon.api(), &value(1));
    let (_, said) = home.run_err(&["account", "create", "other.example", "--subdomain", "free"]);
    assert!(said.contains("free"), "{said}");
}
