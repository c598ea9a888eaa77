//! The account: made, shown, given another key, deactivated.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::pebble::{HMAC_KEY, KID, Options, Pebble};
use crate::harness::standin::{ResponsePolicy, StandIn};
use crate::harness::{Home, Process};

fn show(home: &Home) -> Value {
    serde_json::from_str(&home.run_ok(&["acme", "account", "show", "--json"])).unwrap()
}

/// The account's file.
fn file(home: &Home) -> PathBuf {
    let entries = std::fs::read_dir(home.path().join("acme")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

#[test]
fn an_account_lives_from_its_first_key_to_its_end() {
    let Some(pebble) = Pebble::start(&Options { bad_nonces: 30, ..Options::default() }) else { return };
    let settings = pebble.settings().with("acme", "contact = [\"one@example.org\"]");
    let daemon = Process::start(&settings);
    let home = daemon.home();
    assert!(!home.path().join("acme").exists(), "nothing is asked before it is needed");

    let made = show(home);
    assert_eq!((&made["status"], &made["contact"][0]), (&"valid".into(), &"mailto:one@example.org".into()));
    assert_eq!(std::fs::metadata(file(home)).unwrap().permissions().mode() & 0o777, 0o600);

    home.write(&settings.with("acme", "contact = [\"two@example.org\"]"));
    home.run_ok(&["acme", "account", "update-contact"]);
    assert_eq!(show(home)["contact"][0], "mailto:two@example.org");

    home.run_ok(&["acme", "account", "rollover"]);
    let rolled = show(home);
    assert_eq!(rolled["account"], made["account"], "the same account");
    assert_ne!(rolled["key"], made["key"], "by another key");
    assert!(!std::fs::read_to_string(file(home)).unwrap().contains("next-key"));

    let (home, log) = (home.clone(), daemon.log());
    daemon.kill();
    let secret = std::fs::read_to_string(file(&home)).unwrap();
    let secret = secret.lines().find_map(|line| line.strip_prefix("key = \"")).unwrap();
    assert!(!log.contains(&secret[..40]));
    let daemon = home.start();
    assert_eq!(show(&home), rolled, "the account survives a restart");

    let (code, said) = home.run_err(&["acme", "account", "deactivate"]);
    assert!(code == Some(2) && said.contains("--yes"), "{said}");
    home.run_ok(&["acme", "account", "deactivate", "--yes"]);
    for command in [&["acme", "account", "deactivate", "--yes"][..], &["acme", "account", "rollover"]] {
        let (code, said) = home.run_err(command);
        assert!(code == Some(1) && said.contains("the CA says: ") && said.contains("urn:ietf:params:acme"), "{said}");
    }
    drop(daemon);
}

#[test]
fn a_ca_for_customers_gets_the_binding() {
    let Some(pebble) = Pebble::start(&Options { for_customers: true, ..Options::default() }) else { return };
    let daemon = Process::start(&pebble.settings());
    let (_, said) = daemon.home().run_err(&["acme", "account", "show"]);
    assert!(said.contains("externalAccountRequired") && said.contains("eab-kid"), "{said}");
    let home = daemon.home().clone();
    daemon.kill();

    private(&home.path().join("eab.key"), HMAC_KEY);
    let eab = format!("eab-kid = \"{KID}\"\neab-key-file = \"eab.key\"");
    home.write(&pebble.settings().with("acme", &eab));
    let daemon = home.start();
    assert_eq!(show(&home)["status"], "valid");
    assert!(!daemon.log().contains(HMAC_KEY));
}

/// It wants the binding before it says whether it knows a key: with the first key, and with one that a failure has left.
#[test]
fn a_ca_that_wants_the_binding_before_anything_else_makes_an_account() {
    let ca = StandIn::start(ResponsePolicy { for_customers: true, ..ResponsePolicy::default() });
    let home = Home::new(&ca.settings());
    let daemon = home.start();
    let (_, said) = home.run_err(&["acme", "account", "show"]);
    assert!(said.contains("externalAccountRequired") && said.contains("eab-kid"), "{said}");
    assert_eq!(ca.asked("/new-account"), 1, "nobody can know a key that has just been made");
    daemon.kill();
    private(&home.path().join("eab.key"), HMAC_KEY);
    home.write(&ca.settings().with("acme", &format!("eab-kid = \"{KID}\"\neab-key-file = \"eab.key\"")));
    let _daemon = home.start();
    assert_eq!(show(&home)["status"], "valid");
    assert_eq!((ca.asked("/new-account"), ca.accounts()), (3, 1), "the key of before is asked for, and then bound");
}

#[test]
fn terms_are_shown_and_never_agreed_to_by_themselves() {
    let Some(pebble) = Pebble::start(&Options::default()) else { return };
    let daemon = Process::start(&pebble.settings().with("acme", "terms-agreed = false"));
    let (_, said) = daemon.home().run_err(&["acme", "account", "show"]);
    assert!(
        said.contains("terms of service") && said.contains("data:text/plain") && said.contains("terms-agreed"),
        "{said}"
    );
    let directory = daemon.home().run_ok(&["acme", "directory"]);
    assert!(directory.contains("terms of service") && directory.contains("data:text/plain"), "{directory}");
    let directory = daemon.home().run_ok(&["acme", "directory", "--json"]);
    assert!(directory.contains("\"termsOfService\":") && directory.contains("\"newOrder\":"), "{directory}");
}

#[test]
fn a_ca_that_nobody_trusts_or_that_is_not_there_is_named() {
    let Some(pebble) = Pebble::start(&Options::default()) else { return };
    let settings = pebble.settings();
    let untrusted = settings.text().lines().filter(|line| !line.starts_with("ca-root")).collect::<Vec<_>>().join("\n");
    let home = Home::new(&settings);
    std::fs::write(home.config(), untrusted).unwrap();
    let (_, said) = home.run_err(&["acme", "directory"]);
    assert!(said.contains("cannot be reached") && said.contains("UnknownIssuer") && said.contains("ca-root"), "{said}");
    home.write(&settings.with("acme", "directory = \"https://127.0.0.1:1/dir\""));
    let (_, said) = home.run_err(&["acme", "directory"]);
    assert!(said.contains("https://127.0.0.1:1/dir") && said.contains("refused"), "{said}");
}
