//! What arrives, what stays behind, and that nothing else changes: neither there nor, the second time, here.

use std::time::Duration;

use hickory_proto::op::ResponseCode;

use crate::harness::dns::{TXT, ask, query, txts};
use crate::harness::{Account, Home, Settings, ZONE, until, value};

use super::source::{Old, VERSION_1, account, now, nowhere, rows, start};

const DAY: i64 = 86_400;

/// Three accounts: one in the middle of a renewal, one limited to networks, one that rests.
fn installation() -> Old {
    let old = Old::with(VERSION_1);
    old.add(1, "[]", [(&value(11), now() - 60), (&value(12), now() - 30)]);
    old.add(2, "[\"192.0.2.0/24\",\"[2001:db8::]/32\"]", [("", 0), ("", 0)]);
    old.add(3, "[]", [(&value(31), now() - 90 * DAY), (&value(32), now() - 90 * DAY)]);
    old
}

#[test]
fn credentials_networks_and_live_values_move_in() {
    let (old, home) = (installation(), nowhere());
    let before = old.files();
    let said = old.import_ok(&home, &[]);
    assert_eq!(old.files(), before, "the source stays as it was, and its folder");
    assert!(
        said.contains("3 accounts moved in") && said.contains("2 live values published again; 2 are too old"),
        "{said}"
    );
    assert!(said.contains("Nothing stays behind"), "{said}");
    let daemon = start(&home);
    assert_eq!(txts(daemon.dns(), &account(1).fulldomain), [value(12), value(11)]);
    ask(daemon.dns(), &query(&account(3).fulldomain, TXT)).assert_negative(ResponseCode::NoError);
    account(1).publish(daemon.api(), &value(13));
    account(3).publish(daemon.api(), &value(33));
    assert_eq!(txts(daemon.dns(), &account(1).fulldomain), [value(13), value(12), value(11)]);
    account(2).update(daemon.api(), &value(1)).assert_error(401, "forbidden");
    let wrong = Account { password: account(2).password, ..account(1) };
    wrong.update(daemon.api(), &value(1)).assert_error(401, "forbidden");
    let shown = home.run_ok(&["account", "show", &account(2).username]);
    assert!(shown.contains("192.0.2.0/24") && shown.contains("2001:db8::/32"), "{shown}");
}

#[test]
fn bcrypt_becomes_argon2id_at_the_first_use() {
    let (old, home) = (installation(), nowhere());
    old.import_ok(&home, &[]);
    let hashes = |kind: &str| rows(&home.database()).iter().filter(|row| row.contains(kind)).count();
    assert_eq!((hashes("$2a$04$"), hashes("$argon2id$")), (3, 0));
    let daemon = start(&home);
    account(1).publish(daemon.api(), &value(1));
    until("the hash is replaced", || hashes("$argon2id$") == 1);
    assert_eq!(hashes("$2a$04$"), 2);
    daemon.kill();
    let daemon = home.start();
    account(1).publish(daemon.api(), &value(2));
}

#[test]
fn a_second_run_changes_nothing() {
    let (old, home) = (installation(), nowhere());
    old.import_ok(&home, &[]);
    let (before, config) = (rows(&home.database()), std::fs::read(home.config()).unwrap());
    let bytes = std::fs::read(home.database()).unwrap();
    let said = old.import_ok(&home, &[]);
    assert_eq!(std::fs::read(home.database()).unwrap(), bytes, "not even opening it has written anything");
    assert!(said.contains("0 accounts moved in; 3 are here already") && said.contains("0 live values"), "{said}");
    assert!(said.contains("used as it is"), "{said}");
    assert_eq!(rows(&home.database()), before);
    assert_eq!(std::fs::read(home.config()).unwrap(), config);
}

/// A rehearsal days before, and the move itself: what was new there in the meantime comes, what was changed here stays.
#[test]
fn a_later_run_brings_what_is_new() {
    let (old, home) = (installation(), nowhere());
    old.import_ok(&home, &[]);
    home.run_ok(&["account", "edit", &account(1).username, "--note", "the shop"]);
    let rotated = home.run_ok(&["account", "rotate", &account(3).username, "--json"]);
    let rotated = Account::of(&serde_json::from_str(&rotated).unwrap());
    old.add(4, "[]", [(&value(41), now()), ("", 0)]);
    let sql = old.sql();
    sql.execute("UPDATE txt SET Value = ?1, LastUpdate = ?2 WHERE Value = ?3", (value(14), now(), value(11))).unwrap();
    let said = old.import_ok(&home, &[]);
    assert!(said.contains("1 accounts moved in; 3 are here already") && said.contains("2 live values"), "{said}");
    let daemon = start(&home);
    assert_eq!(txts(daemon.dns(), &account(1).fulldomain), [value(14), value(12), value(11)]);
    assert_eq!(txts(daemon.dns(), &account(4).fulldomain), [value(41)]);
    assert!(home.run_ok(&["account", "show", &account(1).username]).contains("the shop"));
    account(3).update(daemon.api(), &value(1)).assert_error(401, "forbidden");
    rotated.publish(daemon.api(), &value(2));
}

#[test]
fn a_rehearsal_writes_nothing_and_may_run_beside_a_daemon() {
    let (old, home) = (installation(), nowhere());
    let said = old.import_ok(&home, &["--dry-run"]);
    assert!(said.contains("3 accounts would be moved in") && said.contains("would be written"), "{said}");
    assert!(said.contains(&format!("name = \"{ZONE}\"")), "the configuration is shown: {said}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    old.import_ok(&home, &[]);
    let daemon = start(&home);
    old.add(4, "[]", [("", 0), ("", 0)]);
    let said = old.import_ok(&home, &["--dry-run"]);
    assert!(said.contains("1 accounts would be moved in; 3 are here already"), "{said}");
    account(4).update(daemon.api(), &value(1)).assert_error(401, "forbidden");
}

#[test]
fn not_under_a_running_daemon() {
    let (old, home) = (installation(), nowhere());
    old.import_ok(&home, &[]);
    let daemon = start(&home);
    old.add(4, "[]", [("", 0), ("", 0)]);
    let said = old.import_err(&home, 1);
    assert!(
        said.contains("another txtgate") && said.contains(&daemon.pid().to_string()) && said.contains("stop it"),
        "{said}"
    );
}

#[test]
fn what_stays_behind_is_named_and_keeps_nothing_else_from_coming() {
    let (old, home) = (installation(), nowhere());
    let rows = "
        INSERT INTO records VALUES ('no uuid', '$2a$10$1', 'x1', '[]');
        INSERT INTO records VALUES ('aaaaaaaa-0000-4000-8000-000000000001', 'plain text', 'x2', '[]');
        INSERT INTO records VALUES ('aaaaaaaa-0000-4000-8000-000000000002', '$2a$10$8JEFVNYYhLoBysjAxe2yBuXrkDojBQBkVpXEQgyQyjn43SvJ4vL36', 'under_score', '[]');
        INSERT INTO records VALUES ('aaaaaaaa-0000-4000-8000-000000000003', '$2a$10$9JEFVNYYhLoBysjAxe2yBuXrkDojBQBkVpXEQgyQyjn43SvJ4vL36', 'x4', '[\"10.0.0.1\"]');
        INSERT INTO records VALUES ('aaaaaaaa-0000-4000-8000-000000000004', '$2a$10$7JEFVNYYhLoBysjAxe2yBuXrkDojBQBkVpXEQgyQyjn43SvJ4vL36', 'Shop', '[]');
        INSERT INTO records VALUES ('aaaaaaaa-0000-4000-8000-000000000005', '$2a$10$6JEFVNYYhLoBysjAxe2yBuXrkDojBQBkVpXEQgyQyjn43SvJ4vL36', 'shop', '[]');
        INSERT INTO records VALUES ('aaaaaaaa-0000-4000-8000-000000000006', '$2a$10$5JEFVNYYhLoBysjAxe2yBuXrkDojBQBkVpXEQgyQyjn43SvJ4vL36', 'ns1', '[]');
        INSERT INTO records VALUES ('AAAAAAAA-0000-4000-8000-000000000004', '$2a$10$4JEFVNYYhLoBysjAxe2yBuXrkDojBQBkVpXEQgyQyjn43SvJ4vL36', 'x8', '[]');
        INSERT INTO txt VALUES ('orphan', 'x', 5);
        INSERT INTO txt VALUES ('Shop', 'not a value', 5);";
    old.sql().execute_batch(rows).unwrap();
    let said = old.import_ok(&home, &[]);
    assert!(said.contains("5 accounts moved in") && said.contains("8 things stay behind"), "{said}");
    for (what, why) in [
        ("\"no uuid\"", "not a UUID"),
        ("x2", "not a bcrypt hash"),
        ("under_score", "a subdomain is one label"),
        ("x4", "its networks: write a network as address/length"),
        ("aaaaaaaa-0000-4000-8000-000000000004 with the subdomain shop", "in other letters"),
        ("the subdomain ns1", "the configuration has records"),
        ("values of orphan", "no account has this subdomain"),
        ("a value of account aaaaaaaa-0000-4000-8000-000000000004 with the subdomain Shop", "a TXT value is"),
    ] {
        let line = said.lines().find(|line| line.contains(what) && line.contains(why));
        assert!(line.is_some(), "{what}: {why} in {said}");
    }
    assert!(!said.contains("plain text") && !said.contains("$2a$"), "{said}");
    let daemon = start(&home);
    account(1).publish(daemon.api(), &value(1));
    ask(daemon.dns(), &query(&format!("shop.{ZONE}"), TXT)).assert_negative(ResponseCode::NoError);
}

#[test]
fn what_is_here_is_not_given_to_those_who_come() {
    let (old, home) = (installation(), Home::new(&Settings::default()));
    home.run_ok(&["account", "create", "a.test", "--subdomain", "shop"]);
    home.run_ok(&["account", "create", "b.test", "--subdomain", "gone"]);
    home.run_ok(&["account", "delete", "gone", "--now"]);
    let sql = old.sql();
    sql.execute("UPDATE records SET Subdomain = 'shop' WHERE Username = ?1", [account(1).username]).unwrap();
    sql.execute("UPDATE records SET Subdomain = 'Gone' WHERE Username = ?1", [account(2).username]).unwrap();
    let config = std::fs::read(home.config()).unwrap();
    let said = old.import_ok(&home, &[]);
    assert!(
        said.contains("1 accounts moved in") && said.contains("belongs to another account on this server"),
        "{said}"
    );
    assert!(said.contains("deleted on this server"), "{said}");
    assert_eq!(std::fs::read(home.config()).unwrap(), config, "a configuration of one's own is used as it is");
}

#[test]
fn a_configuration_without_the_zone_is_refused() {
    let (old, home) = (installation(), Home::new(&Settings::default()));
    let other = std::fs::read_to_string(home.config()).unwrap().replace(ZONE, "other.example.org");
    std::fs::write(home.config(), &other).unwrap();
    let said = old.import_err(&home, 2);
    assert!(said.contains(&format!("has no zone {ZONE}")) && said.contains("--overwrite"), "{said}");
    old.import_ok(&home, &["--overwrite"]);
    assert!(std::fs::read_to_string(home.config()).unwrap().contains(&format!("name = \"{ZONE}\"")));
}

#[test]
fn imported_values_expire_as_others_do() {
    let old = Old::with(VERSION_1);
    let home = nowhere();
    // The two newest of a name live for a week.
    let week = Duration::from_secs(7 * 86_400).as_secs() as i64;
    old.add(1, "[]", [(&value(1), now() - week + 4), (&value(2), now() + 1_000)]);
    old.import_ok(&home, &[]);
    let daemon = start(&home);
    until("the older value is gone", || txts(daemon.dns(), &account(1).fulldomain) == [value(2)]);
}
