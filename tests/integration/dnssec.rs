//! Signed zones: the key file's rules, and steps that a running daemon takes over.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::harness::dns::{Change, Reply, ask, query};
use crate::harness::http::get;
use crate::harness::{Account, Home, Process, Settings, ZONE, until, value};

const TXT: u16 = 16;
const RRSIG: u16 = 46;
const DNSKEY: u16 = 48;
const CDS: u16 = 59;

fn home() -> (Home, PathBuf) {
    let home = Home::new(&Settings::default().zone("dnssec-key = \"zone.key\""));
    let key = home.path().join("zone.key");
    (home, key)
}

/// With DO, as validators ask.
fn ask_signed(daemon: &Process, name: &str, rtype: u16) -> Reply {
    ask(daemon.dns(), &query(name, rtype).opt(1_232, 0, 0x8000, &[]))
}

#[test]
fn a_key_that_is_missing_open_to_others_or_damaged_is_an_error_and_never_a_new_one() {
    let (home, key) = home();
    let assert_refused = |part: &str| {
        for command in [&["serve"][..], &["config", "check"]] {
            let (code, said) = home.run_err(command);
            assert!(code == Some(2) && said.contains(part) && said.contains("zone.key"), "{command:?}: {said}");
        }
    };
    assert_refused("is missing");
    assert!(!key.exists());
    home.run_ok(&["dnssec", "init", ZONE]);
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o7777, 0o600);
    home.run_ok(&["config", "check"]);
    let text = std::fs::read_to_string(&key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_refused("chmod 600");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&key, text.replace(ZONE, "auth.example.com")).unwrap();
    assert_refused("auth.example.com");
    std::fs::write(&key, &text[..text.len() - 30]).unwrap();
    assert_refused("is damaged");
    std::fs::remove_file(&key).unwrap();
    assert_refused("is missing");
    assert!(!key.exists());
}

#[test]
fn each_step_is_taken_over_while_running() {
    let (home, key) = home();
    home.run_ok(&["dnssec", "init", ZONE]);
    let daemon = home.start();
    let count = |rtype: u16| ask(daemon.dns(), &query(ZONE, rtype)).answers().len();
    assert_eq!((count(DNSKEY), count(CDS)), (1, 0));
    let (code, said) = home.run_err(&["dnssec", "init", ZONE]);
    assert!(code == Some(1) && said.contains("not yet"), "{said}");
    let step = |command: &str| home.run_ok(&["dnssec", command, "--force", ZONE]);
    assert!(step("init").contains(" IN DS "));
    until("the key is offered", || count(CDS) == 1);
    step("rollover");
    until("two keys", || count(DNSKEY) == 2);
    for _ in 0..3 {
        step("rollover");
    }
    until("the next key alone", || count(DNSKEY) == 1);
    for _ in 0..3 {
        step("remove");
    }
    until("not signed", || count(DNSKEY) == 0);
    let text = std::fs::read_to_string(key).unwrap();
    let secret = text.lines().find_map(|line| line.strip_prefix("private-key = ")).unwrap();
    assert!(!daemon.log().contains(secret.trim_matches('"')));
}

#[test]
fn the_status_of_an_unsigned_zone_is_unsigned_and_without_a_name_that_of_all_zones() {
    let other = "[[zone]]\nname = \"auth.example.net\"\nns = [\"ns1.example.org\"]\ncontact = \"a@example.org\"\n";
    let home = Home::new(&Settings::default().zone("dnssec-key = \"zone.key\"").more(other));
    home.run_ok(&["dnssec", "init", ZONE]);
    let unsigned = home.run_ok(&["dnssec", "status", "auth.example.net"]);
    assert!(unsigned.starts_with("auth.example.net: unsigned\n"), "{unsigned}");
    let all = home.run_ok(&["dnssec", "status"]);
    assert!(all.starts_with(&format!("{ZONE}: signed; ")) && all.contains("\n\nauth.example.net: unsigned\n"), "{all}");
    let json: serde_json::Value = serde_json::from_str(&home.run_ok(&["dnssec", "status", "--json"])).unwrap();
    assert_eq!((&json["items"][1]["phase"], &json["items"][0]["phase"]), (&"unsigned".into(), &"fresh".into()));
    let (code, said) = home.run_err(&["dnssec", "status", "auth.example.com"]);
    assert!(code == Some(2) && said.contains("auth.example.net") && said.contains("config.toml"), "{said}");
}

#[test]
fn a_published_value_is_signed_at_once() {
    let (home, _) = home();
    home.run_ok(&["dnssec", "init", ZONE]);
    let daemon = home.start();
    let account = Account::register(daemon.api());
    let name = format!("{}.{ZONE}", account.subdomain);
    let before = ask_signed(&daemon, &name, TXT);
    // SOA, NSEC, and a signature of each.
    assert_eq!(before.counts(), [1, 0, 4, 1]);
    for number in 1..4 {
        account.publish(daemon.api(), &value(number));
        let after = ask_signed(&daemon, &name, TXT);
        assert_eq!((after.of_type(TXT), after.of_type(RRSIG)), (number as usize, 1));
    }
}

/// A machine whose clock was ahead for a while: what was stored then lies in the future now.
#[test]
fn after_a_time_with_the_clock_ahead_the_daemon_says_so_and_signs_on_the_operators_word() {
    let (home, _) = home();
    home.run_ok(&["dnssec", "init", ZONE]);
    let daemon = home.start();
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    daemon.terminate();
    let ahead = "UPDATE last_commit SET at = 4000000000";
    assert_eq!(Connection::open(home.database()).unwrap().execute(ahead, []).unwrap(), 1);

    let daemon = home.start();
    let name = format!("{}.{ZONE}", account.subdomain);
    let signatures = |daemon: &Process| {
        let reply = ask_signed(daemon, &name, TXT);
        (u16::from(reply.rcode()), reply.of_type(TXT), reply.of_type(RRSIG))
    };
    let behind = |daemon: &Process| {
        let metrics = get(daemon.metrics(), "/metrics").body;
        let line = metrics.lines().find_map(|line| line.strip_prefix("txtgate_clock_behind_seconds "));
        line.unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(signatures(&daemon), (2, 0, 0));
    assert_eq!(ask(daemon.dns(), &query(&name, TXT)).txts().len(), 1, "who does not validate gets it");
    account.publish(daemon.api(), &value(2));
    assert_eq!(signatures(&daemon), (2, 0, 0), "a commit does not make the clock right");
    until("the log says so", || daemon.log().contains("the last change that is stored (2096-10-02T07:06:40Z)"));
    assert!(behind(&daemon) > 1_000_000_000);
    assert!(home.run_ok(&["status"]).contains("`txtgate dnssec trust-clock`"));

    assert!(home.run_ok(&["dnssec", "trust-clock"]).contains("the machine's clock is believed: "));
    assert_eq!((signatures(&daemon), behind(&daemon)), ((0, 2, 1), 0));
    assert!(home.run_ok(&["dnssec", "trust-clock"]).contains("believed already"));
    assert!(!home.run_ok(&["status"]).contains("trust-clock"));
    daemon.terminate();
    let daemon = home.start();
    assert_eq!(signatures(&daemon), (0, 2, 1), "after a restart");
    assert!(!daemon.log().contains("the machine's clock"));
}
