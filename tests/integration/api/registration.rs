//! Who may register: anybody, whoever has a secret, or nobody.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::harness::http::{Reply, connect_from, post, request};
use crate::harness::{Account, Home, Process, Settings};

/// A secret and its hash, as `txtgate secret` prints them.
pub fn secret() -> (String, String) {
    let text = Home::new(&Settings::default()).run_ok(&["secret"]);
    let line = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_else(|| panic!("{name} in {text}")).trim().to_owned()
    };
    (line("secret:"), line("hash:"))
}

fn with_secrets(hashes: &[&str]) -> Settings {
    let list: Vec<String> = hashes.iter().map(|hash| format!("{hash:?}")).collect();
    Settings::default().with("api", &format!("registration = \"secret\"\nregistration-secrets = [{}]", list.join(",")))
}

fn basic(password: &str) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(format!("txtgate:{password}")))
}

#[test]
fn closed_registration_has_no_such_path() {
    let daemon = Process::start(&Settings::default().with("api", "registration = \"closed\""));
    post(daemon.api(), "/register", &[], "").assert_error(404, "not_found");
    let created = daemon.home().run_ok(&["account", "create", "example.com", "--json"]);
    Account::of(&serde_json::from_str(&created).unwrap()).publish(daemon.api(), &"a".repeat(43));
}

#[test]
fn a_secret_is_taken_as_basic_bearer_or_path() {
    let ((first, hash), (second, other)) = (secret(), secret());
    let daemon = Process::start(&with_secrets(&[&hash, &other]));
    let url_safe = format!("Authorization: Basic {}", URL_SAFE_NO_PAD.encode(format!(":{first}")));
    for header in [basic(&first), basic(&second), url_safe, format!("Authorization: Bearer {first}")] {
        assert_eq!(post(daemon.api(), "/register", &[&header], "").status, 201, "{header}");
    }
    for path in [format!("/{first}/register"), format!("//{second}//register/"), format!("/base/{first}/register")] {
        assert_eq!(post(daemon.api(), &path, &[], "{}").status, 201, "{path}");
    }
    // Updates under the same base URL work as well, and without the secret.
    let account = Account::of(&post(daemon.api(), "/register", &[&basic(&first)], "").json());
    let update = account.send(daemon.api(), "POST", &format!("/{first}/update"), &account.body(&"a".repeat(43)));
    assert_eq!(update.status, 200);
}

#[test]
fn without_the_secret_nobody_registers() {
    let (_, hash) = secret();
    let daemon = Process::start(&with_secrets(&[&hash]));
    let wrong = "W".repeat(43);
    post(daemon.api(), "/register", &[], "").assert_error(401, "forbidden");
    for header in [basic(&wrong), basic(""), basic(&hash), format!("Authorization: Bearer {wrong}")] {
        post(daemon.api(), "/register", &[&header], "").assert_error(401, "forbidden");
    }
    post(daemon.api(), &format!("/{wrong}/register"), &[], "").assert_error(401, "forbidden");
}

#[test]
fn guessing_is_slowed_down_for_the_guesser_alone() {
    let (right, hash) = secret();
    let daemon = Process::start(&with_secrets(&[&hash]));
    let guess = |_| post(daemon.api(), "/register", &[&basic(&"W".repeat(43))], "").status;
    let codes: Vec<u16> = (0..13).map(guess).collect();
    assert_eq!(codes[..10], [401; 10]);
    assert!(codes[10..].contains(&429), "{codes:?}");
    let from_elsewhere = |password: &str| -> Reply {
        let request = request("POST", "/register", &[&basic(password)], "");
        connect_from([127, 0, 9, 1].into(), daemon.api()).exchange(request)
    };
    assert_eq!(from_elsewhere(&right).status, 201);
}

#[test]
fn secrets_may_stand_in_a_file_that_others_cannot_read() {
    use std::os::unix::fs::PermissionsExt;
    let settings =
        Settings::default().with("api", "registration = \"secret\"\nregistration-secrets-file = \"secrets\"");
    let home = Home::new(&settings);
    let file = home.path().join("secrets");
    std::fs::write(&file, "# ours\n\n a-secret-of-25-characters \n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = home.run_err(&["config", "check"]);
    assert!(code == Some(2) && said.contains("chmod o-r"), "{said}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let daemon = home.start();
    assert_eq!(post(daemon.api(), "/register", &[&basic("a-secret-of-25-characters")], "").status, 201);
}

#[test]
fn with_a_secret_a_label_can_be_chosen_once() {
    let (right, hash) = secret();
    let daemon = Process::start(&with_secrets(&[&hash]).records("www A 192.0.2.1"));
    let choose = |body: &str| post(daemon.api(), "/register", &[&basic(&right)], body);
    let reply = choose(r#"{"subdomain":"Shop"}"#);
    assert_eq!((reply.status, reply.json()["subdomain"].as_str()), (201, Some("shop")), "{reply:?}");
    choose(r#"{"subdomain":"shop"}"#).assert_error(409, "subdomain_taken");
    for reserved in ["www", "ns1", "-a", "a.b", "_acme-challenge", "00000000-0000-4000-8000-000000000000"] {
        choose(&format!(r#"{{"subdomain":"{reserved}"}}"#)).assert_error(400, "bad_subdomain");
    }
}
