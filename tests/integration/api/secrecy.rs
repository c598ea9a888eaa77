//! No secret in any line of the log, at the most talkative level.

use super::registration::secret;
use crate::harness::http::post;
use crate::harness::tsig::Key;
use crate::harness::update::Update;
use crate::harness::{Account, Process, Settings, ZONE, value};

#[test]
fn no_key_and_no_secret_is_ever_logged_or_shown_again() {
    let (registration, hash) = secret();
    let api = format!("registration = \"secret\"\nregistration-secrets = [\"{hash}\"]");
    for format in ["text", "json"] {
        let log = format!("level = \"trace\"\nformat = \"{format}\"");
        // Nobody is to be asked for the CNAME of example.com.
        let settings = Settings::default().top("resolvers = [\"127.0.0.1:9\"]");
        let daemon = Process::start(&settings.with("log", &log).with("api", &api));
        let secrets = use_everything(&daemon, &registration);
        let metrics = crate::harness::http::get(daemon.metrics(), "/metrics").body;
        let status = daemon.home().run_ok(&["status", "--json"]);
        let accounts = daemon.home().run_ok(&["account", "list", "--json"]);
        let command_line = std::fs::read(format!("/proc/{}/cmdline", daemon.pid())).unwrap();
        let (_, _, log) = daemon.terminate();
        assert!(log.contains("registered") && log.contains("denied"), "the log says something at all: {log}");
        for shown in [&log, &metrics, &status, &accounts, &*String::from_utf8_lossy(&command_line)] {
            for secret in secrets.iter().map(String::as_str).chain([hash.as_str(), "$argon2", "$2a$", "$2b$"]) {
                assert!(!shown.contains(secret), "{secret} in {shown}");
            }
        }
    }
}

/// Sends every secret in every place where one may stand, right and wrong; what they were.
fn use_everything(daemon: &Process, registration: &str) -> Vec<String> {
    let api = daemon.api();
    let bearer = format!("Authorization: Bearer {registration}");
    let account = Account::of(&post(api, "/register", &[&bearer], r#"{"allowfrom":["127.0.0.0/8"]}"#).json());
    assert_eq!(post(api, &format!("/{registration}/register"), &[], "").status, 201);
    let wrong = "wrong-registration-secret-of-some-length".to_owned();
    post(api, "/register", &[&format!("Authorization: Bearer {wrong}")], "");
    post(api, &format!("/{wrong}/register"), &[], "");
    account.publish(api, &value(1));
    let typo = Account { password: "typo-typo-typo-typo-typo-typo-typo-typo-".into(), ..account.clone() };
    assert_eq!(typo.update(api, &value(1)).status, 401);
    // A key in the wrong place.
    let misplaced = format!(r#"{{"subdomain":{{"x":"{0}"}},"txt":["{0}"],"allowfrom":"{0}"}}"#, account.password);
    assert_eq!(account.send(api, "POST", "/update", &misplaced).status, 400);
    let rotated = account.send(api, "POST", "/v1/account/rotate", r#"{"grace":"1h"}"#);
    let rotated = Account::of(&rotated.json());
    rotated.publish(api, &value(2));
    account.publish(api, &value(3));
    let created = daemon.home().run_ok(&["account", "create", "example.com", "--json"]);
    let created = Account::of(&serde_json::from_str(&created).unwrap());
    let token = use_a_token(daemon, &rotated);
    let [key, master] = use_a_tsig_key(daemon);
    let keys = [account.password, typo.password, rotated.password, created.password, token, key, master];
    [registration.to_owned(), wrong].into_iter().chain(keys).collect()
}

/// Signs with a TSIG key, right and wrong; the key, and the secret that it is made from.
fn use_a_tsig_key(daemon: &Process) -> [String; 2] {
    let made = daemon.home().run_ok(&["account", "create", "example.net", "--tsig", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let (account, key) = (Account::of(&made), Key::of(&made["tsig"]));
    let update = Update::of(ZONE).add(&account.fulldomain, &value(1)).bytes();
    assert_eq!(u16::from(key.ask(daemon.dns(), &update).rcode()), 0);
    let wrong = Key { secret: b"wrong".into(), ..key };
    assert_eq!(wrong.exchange(daemon.dns(), &wrong.sign(&update)).1.error, 16);
    let master = std::fs::read_to_string(daemon.home().path().join("txtgate.db.tsig")).unwrap();
    [made["tsig"]["secret"].as_str().unwrap().to_owned(), master.lines().last().unwrap().to_owned()]
}

/// An enrolment token wherever one is taken, beside an account's key; the token.
fn use_a_token(daemon: &Process, account: &Account) -> String {
    let made = daemon.home().run_ok(&["enrol", "create", "--count", "1", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let token = made["token"].as_str().unwrap().to_owned();
    let api = daemon.api();
    for status in [201, 401] {
        assert_eq!(post(api, &format!("/{token}/register"), &[], "").status, status);
    }
    let (basic, bearer) = (account.basic(), format!("Authorization: Bearer {token}"));
    let present = format!(r#"{{"fqdn":"{}","value":"{}"}}"#, account.fulldomain, value(4));
    assert_eq!(post(api, "/present", &[&basic], &present).status, 200);
    let Account { username, password, subdomain, fulldomain } = account;
    let kept = format!(
        r#"{{"fulldomain":"{fulldomain}","subdomain":"{subdomain}","username":"{username}","password":"{password}"}}"#
    );
    assert_eq!(post(api, "/v1/storage/example.com", &[&bearer], &kept).status, 200);
    assert_eq!(post(api, &format!("/{token}/v1/storage/example.com"), &[], &kept).status, 200);
    token
}
