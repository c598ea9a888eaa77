//! `txtgate hook`: every client's way to call it, against the real daemon and against what acme-dns says.

mod cnames;
mod verdicts;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::dns::txts;
use crate::harness::process::BINARY;
use crate::harness::tls::Authority;
use crate::harness::upstream::{Asked, Upstream, response};
use crate::harness::{Account, Home, Process, Settings, ZONE, value};

/// A machine with a client on it: a folder, a `hook.toml`, and the hook under its own name.
struct Machine {
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

/// What a run of the hook gave.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Machine {
    fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(BINARY, folder.path().join("txtgate-hook")).unwrap();
        let machine = Self { folder, environment: Vec::new() };
        machine.write("hook.toml", settings, 0o600);
        machine
    }

    /// For a server without more ado.
    fn at(server: &str) -> Self {
        Self::new(&format!("server = \"{server}\"\n"))
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// As a client calls it: by its path, with the client's own words.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.path("txtgate-hook"));
        command.env_clear().env("XDG_CONFIG_HOME", "/nonexistent");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.arg("--config").arg(self.path("hook.toml")).args(words);
        command
    }

    fn run(&self, words: &[&str]) -> Said {
        Said::of(&self.command(words).output().unwrap())
    }

    fn run_ok(&self, words: &[&str]) -> Said {
        let said = self.run(words);
        assert_eq!(said.code, Some(0), "{words:?}: {said:?}");
        said
    }

    /// Fails with this code, and says each of these.
    fn run_err(&self, words: &[&str], code: i32, parts: &[&str]) {
        let said = self.run(words);
        assert_eq!(said.code, Some(code), "{words:?}: {said:?}");
        assert!(parts.iter().all(|part| said.err.contains(part)), "{parts:?} in {said:?}");
    }

    /// The account file.
    fn accounts(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path("accounts.json")).unwrap()).unwrap()
    }

    fn write_accounts(&self, accounts: &Value) {
        self.write("accounts.json", &accounts.to_string(), 0o600);
    }
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// A daemon, and a machine whose account file has an account of it for `example.com`.
fn with_account() -> (Process, Machine, Account) {
    let daemon = Process::start(&Settings::default());
    let machine = Machine::at(&format!("http://{}", daemon.api()));
    machine.run_ok(&["register", "example.com"]);
    let account = Account::of(&machine.accounts()["example.com"]);
    (daemon, machine, account)
}

#[test]
fn a_first_call_registers_and_says_what_to_do() {
    let daemon = Process::start(&Settings::default());
    let machine = Machine::at(&format!("http://{}", daemon.api()));
    let call =
        ["deploy_challenge", "example.com", "t", &value(1), "*.example.com", "t", &value(2), "b.test", "t", &value(3)];
    let said = machine.run(&call);
    assert_eq!(said.code, Some(3), "{said:?}");
    let accounts = machine.accounts();
    for domain in ["example.com", "b.test"] {
        let account = Account::of(&accounts[domain]);
        let record = format!("_acme-challenge.{domain}. CNAME {}.", account.fulldomain);
        assert!(said.err.contains(&record), "{record} in {said:?}");
        assert_eq!(accounts[domain]["server_url"], json!(format!("http://{}", daemon.api())));
        assert!(!said.err.contains(&account.password) && !said.out.contains(&account.password));
        // For the operator, who sees the notes.
        assert!(daemon.home().run_ok(&["account", "list", "--search", domain]).contains(&account.username));
    }
    assert_eq!(accounts.as_object().unwrap().len(), 2, "{accounts}");
    assert_eq!(std::fs::metadata(machine.path("accounts.json")).unwrap().permissions().mode() & 0o777, 0o600);
    // The records are there now, as far as the hook knows.
    machine.run_ok(&call);
    let account = Account::of(&accounts["example.com"]);
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(2), value(1)]);
    assert_eq!(machine.accounts(), accounts);
}

#[test]
fn every_client_publishes_and_retires() {
    let (daemon, machine, account) = with_account();
    let (one, fulldomain) = (value(1), format!("{}.", account.fulldomain));
    let one = one.as_str();
    // The digest of "token.thumbprint".
    let digest = "61rBZ_4knHblO0MNoxFsXZ_eTFUHum0B6IVRbhvUn5I";
    let key = "token.thumbprint";
    for (txt, publish, retire) in [
        (one, vec!["deploy_challenge", "example.com", "-t", one], vec!["clean_challenge", "example.com", "-t", one]),
        (one, vec!["begin", "dns-01", "example.com", "-t", one], vec!["done", "dns-01", "example.com", "-t", one]),
        (one, vec!["begin", "dns-01", "example.com", "t", one], vec!["failed", "dns-01", "example.com", "t", one]),
        (one, vec!["present", &fulldomain, one], vec!["cleanup", &fulldomain, one]),
        (
            one,
            vec!["present", "_acme-challenge.example.com.", one],
            vec!["cleanup", "_acme-challenge.example.com.", one],
        ),
        (digest, vec!["present", "--", "example.com", "-t", key], vec!["cleanup", "--", "example.com", "-t", key]),
        (one, vec!["challenge-dns-start", "example.com", "", one], vec!["challenge-dns-stop", "example.com", "", one]),
        (
            one,
            vec!["challenge-dns-start", "example.com", "f", one, ""],
            vec!["challenge-dns-stop", "example.com", "f", one, ""],
        ),
        (one, vec!["setup", "example.com", one], vec!["teardown", "example.com", one]),
    ] {
        machine.run_ok(&publish);
        assert_eq!(txts(daemon.dns(), &account.fulldomain), [txt], "{publish:?}");
        machine.run_ok(&retire);
        assert_eq!(txts(daemon.dns(), &account.fulldomain), [""; 0], "{retire:?}");
    }
}

#[test]
fn certbot_tells_by_the_environment() {
    let (daemon, machine, account) = with_account();
    let txt = value(1);
    let machine = machine.with("CERTBOT_DOMAIN", "example.com").with("CERTBOT_VALIDATION", txt.as_str());
    // What the certificate before has left behind.
    let machine = machine.with("CERTBOT_AUTH_OUTPUT", format!("txtgate: {} for example.org", value(2)));
    let said = machine.run_ok(&[]);
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [txt]);
    let machine = machine.with("CERTBOT_AUTH_OUTPUT", said.out.trim());
    machine.run_ok(&[]);
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [""; 0]);
}

/// certbot tells its clean-up from a challenge by what the hook has printed, so that is printed even where it fails.
#[test]
fn a_failed_hook_has_printed_its_value() {
    let machine = Machine::new("");
    let txt = value(1);
    let said = machine.run(&["setup", "example.com", &txt]);
    assert!(said.code == Some(2) && said.out.contains(&txt) && said.err.contains("hook.toml"), "{said:?}");
}

#[test]
fn it_is_a_command_as_well_as_a_program_of_its_own() {
    let (daemon, machine, account) = with_account();
    let config = machine.path("hook.toml");
    let command = |words: &[&str]| Command::new(BINARY).args(words).env_clear().output().unwrap().status.code();
    let txt = format!("-{}", &value(1)[1..]);
    let words = ["hook", "--config", config.to_str().unwrap(), "begin", "dns-01", "example.com", "--config", &txt];
    assert_eq!(command(&words), Some(0), "what the client gives is not an option of ours");
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [txt]);
    assert_eq!(command(&["hook", "startup_hook", "-x", "--help"]), Some(0));
}

#[test]
fn other_challenges_and_events_have_their_exit_codes() {
    let machine = Machine::new("");
    machine.run_err(&["begin", "http-01", "example.com", "t", "a"], 1, &["declined", "http-01"]);
    machine.run_err(&["challenge-http-start", "example.com", "f", "t"], 42, &["dns-01 challenges only"]);
    machine.run_err(&["nonsense"], 2, &["\"nonsense\"", "certbot", "--help"]);
    machine.run_err(&[], 2, &["CERTBOT_DOMAIN", "--help"]);
    for event in ["startup_hook", "exit_hook", "deploy_cert", "generate_csr", "this_hookscript_is_broken"] {
        let said = machine.run_ok(&[event, "example.com"]);
        assert_eq!(said.out, "", "{event}");
    }
    assert!(!machine.path("accounts.json.lock").exists());
}

#[test]
fn two_hooks_at_once_register_once_and_lose_nothing() {
    let daemon = Process::start(&Settings::default());
    let machine = Machine::at(&format!("http://{}", daemon.api()));
    let domains = ["a.test", "b.test", "a.test", "c.test", "b.test", "a.test"];
    let children: Vec<_> = domains
        .iter()
        .map(|domain| machine.command(&["register", domain]).stdout(Stdio::null()).spawn().unwrap())
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(machine.accounts().as_object().unwrap().len(), 3);
    let list: Value = serde_json::from_str(&daemon.home().run_ok(&["account", "list", "--json"])).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 3, "{list}");
}

#[test]
fn over_tls_with_an_authority_of_ones_own() {
    let (authority, home) = (Authority::new(), Home::new(&Settings::default()));
    authority.issue(home.path());
    home.write(&Settings::default().with("api", "certificate = \"cert.pem\"\nkey = \"key.pem\""));
    let daemon = home.start();
    let server = format!("server = \"https://localhost:{}\"\n", daemon.api().port());
    let strangers = Machine::new(&server);
    strangers.run_err(&["register", "example.com"], 1, &["https://localhost", "unknown authority", "--ca"]);
    let machine = Machine::new(&format!("{server}ca = \"ca.pem\"\n"));
    strangers.write_accounts(
        &json!({"example.com": {"username": "u", "password": "k".repeat(40), "subdomain": "s", "fulldomain": "s.t"}}),
    );
    let said = strangers.run(&["setup", "example.com", &value(1)]);
    assert!(said.err.contains("unknown authority") && !said.err.contains("again"), "that will not be better: {said:?}");
    machine.write("ca.pem", "nonsense", 0o644);
    machine.run_err(&["register", "example.com"], 2, &["ca.pem", "no certificate"]);
    machine.write("ca.pem", &authority.pem(), 0o644);
    machine.run_ok(&["register", "example.com"]);
    machine.run_ok(&["setup", "example.com", &value(1)]);
    let account = Account::of(&machine.accounts()["example.com"]);
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)]);
}

#[test]
fn a_registration_secret_and_networks_go_along() {
    let secret = "s".repeat(32);
    let home = Home::new(&Settings::default());
    std::fs::write(home.path().join("secrets"), &secret).unwrap();
    std::fs::set_permissions(home.path().join("secrets"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let policy = "registration = \"secret\"\nregistration-secrets-file = \"secrets\"";
    home.write(&Settings::default().with("api", policy));
    let daemon = home.start();
    let api = daemon.api();
    let machine = Machine::at(&format!("http://{api}"));
    machine.run_err(&["register", "example.com"], 1, &["registration needs a secret", "TXTGATE_REGISTRATION_SECRET"]);
    let wrong = Machine::at(&format!("http://{api}")).with("TXTGATE_REGISTRATION_SECRET", "w".repeat(32));
    wrong.run_err(&["register", "example.com"], 1, &["the registration secret is wrong"]);
    // As people hand it out: by itself, as a password in the URL, as a path.
    for settings in [
        format!("server = \"http://{api}\"\nregistration-secret = \"{secret}\"\nallowfrom = [\"127.0.0.0/8\"]"),
        format!("server = \"http://txtgate:{secret}@{api}\""),
        format!("server = \"http://{api}/{secret}/\""),
    ] {
        let machine = Machine::new(&settings);
        let registered = machine.run_ok(&["register", "example.com"]);
        let published = machine.run_ok(&["setup", "example.com", &value(1)]);
        for said in [registered, published] {
            assert!(!said.out.contains(&secret) && !said.err.contains(&secret), "{said:?}");
        }
    }
    let list = daemon.home().run_ok(&["account", "list", "--json"]);
    assert_eq!(list.matches("127.0.0.0/8").count(), 1, "{list}");
}

#[test]
fn a_closed_server_and_a_wrong_key_are_told_apart() {
    let daemon = Process::start(&Settings::default().with("api", "registration = \"closed\""));
    let machine = Machine::at(&format!("http://{}", daemon.api()));
    machine.run_err(&["register", "example.com"], 1, &["registration is closed", "operator", "account file"]);
    let server = format!("http://{}", daemon.api());
    let create = ["account", "create", "example.com", "--format", "goacmedns", "--server", &server];
    let made = daemon.home().run_ok(&create);
    let mut accounts: Value = serde_json::from_str(&made).unwrap();
    machine.write_accounts(&accounts);
    machine.run_ok(&["setup", "example.com", &value(1)]);
    let wrong = "w".repeat(40);
    accounts["example.com"]["password"] = json!(wrong);
    machine.write_accounts(&accounts);
    let said = machine.run(&["setup", "example.com", &value(2)]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("accounts.json") && said.err.contains(ZONE) && !said.err.contains(&wrong), "{said:?}");
}

#[test]
fn waits_until_the_value_is_seen() {
    let (daemon, machine, account) = with_account();
    // Asked for the challenge's own name the daemon, which is not a resolver, knows none; by the fulldomain it is seen.
    let resolver = daemon.dns().to_string();
    let machine = machine.with("TXTGATE_RESOLVER", resolver).with("TXTGATE_WAIT", "1s");
    machine.run_ok(&["present", &account.fulldomain, &value(1)]);
    machine.run_err(
        &["setup", "example.com", &value(2)],
        3,
        &["_acme-challenge.example.com", "CNAME", "it answered Query Refused"],
    );
    machine.run_err(&["setup", "new.test", &value(3)], 3, &["_acme-challenge.new.test. CNAME", "is not seen at"]);
}

#[test]
fn an_account_that_is_not_in_the_file_is_not_registered_by_its_fulldomain() {
    let (_daemon, machine, _) = with_account();
    machine.run_err(&["present", "x.auth.test.", &value(1)], 1, &["x.auth.test", "accounts.json"]);
    assert_eq!(machine.accounts().as_object().unwrap().len(), 1);
}

/// As acme-dns 1.1 and 2.0 answer: three routes, and a plain 404 for others.
fn acme_dns(asked: &Asked) -> String {
    let json = "Content-Type: application/json\r\n";
    match asked.line().as_str() {
        "POST /register" => {
            let (user, key) = ("c36f50e8-4632-44f0-83fe-e070fef28a10", "htB9mR9DYgcu9bX_afHF62erXaH2TS7bg9KW3F7Z");
            let subdomain = "8e5700ea-a4bf-41c7-8a77-e990661dcc6a";
            let body = format!(
                r#"{{"username":"{user}","password":"{key}","fulldomain":"{subdomain}.auth.test","subdomain":"{subdomain}","allowfrom":[]}}"#
            );
            response("201 Created", json, &body)
        }
        "POST /update" => {
            let known = asked.header("x-api-user").is_some_and(|user| user.starts_with("c36f50e8"))
                && asked.header("x-api-key").is_some_and(|key| key.starts_with("htB9mR"));
            let body: Value = serde_json::from_str(&asked.body).unwrap();
            if known && body["subdomain"] == "8e5700ea-a4bf-41c7-8a77-e990661dcc6a" {
                response("200 OK", json, &format!(r#"{{"txt": {}}}"#, body["txt"]))
            } else {
                response("401 Unauthorized", json, r#"{"error": "forbidden"}"#)
            }
        }
        _ => response("404 Not Found", "Content-Type: text/plain; charset=utf-8\r\n", "404 page not found\n"),
    }
}

#[test]
fn acme_dns_serves_as_well() {
    let upstream = Upstream::start(|_, asked| acme_dns(asked));
    let machine = Machine::at(&upstream.url());
    let said = machine.run(&["setup", "example.com", &value(1)]);
    assert!(
        said.code == Some(3) && said.err.contains("CNAME 8e5700ea-a4bf-41c7-8a77-e990661dcc6a.auth.test."),
        "{said:?}"
    );
    machine.run_ok(&["setup", "example.com", &value(1)]);
    let said = machine.run_ok(&["teardown", "example.com", &value(1)]);
    assert_eq!(said.err, "", "that it cannot retire is no news");
    let asked = upstream.asked();
    let lines: Vec<String> = asked.iter().map(Asked::line).collect();
    assert_eq!(lines, ["POST /register", "POST /update", "DELETE /v1/txt"]);
    let body: Value = serde_json::from_str(&asked[1].body).unwrap();
    assert_eq!(body, json!({"subdomain": "8e5700ea-a4bf-41c7-8a77-e990661dcc6a", "txt": value(1)}));
    let mut accounts = machine.accounts();
    accounts["example.com"]["password"] = json!("x".repeat(40));
    machine.write_accounts(&accounts);
    machine.run_err(&["setup", "example.com", &value(1)], 1, &["refuses to publish: forbidden (401)", "accounts.json"]);
}

/// acme-dns ignores parameters that it does not know, and publishes.
#[test]
fn a_server_that_does_not_wait_for_nameservers_is_named() {
    let upstream = Upstream::start(|_, asked| {
        let head = asked.head.replacen("/update?wait=served", "/update", 1);
        acme_dns(&Asked { head, ..asked.clone() })
    });
    let machine = Machine::new(&format!("server = \"{}\"\nwait = \"served\"\n", upstream.url()));
    // The nameservers say nothing of a CNAME that is not there yet.
    let said = machine.run(&["setup", "example.com", &value(1)]);
    assert!(said.code == Some(3) && said.err.contains("CNAME 8e5700ea-"), "{said:?}");
    let said = machine.run_ok(&["setup", "example.com", &value(1)]);
    assert!(said.err.contains("does not support waiting for nameservers"), "{said:?}");
    let lines: Vec<String> = upstream.asked().iter().map(Asked::line).collect();
    assert_eq!(lines, ["POST /register", "POST /update?wait=served"]);
    machine.run_err(&["--wait", "soon", "setup", "example.com", &value(1)], 2, &["wait", "`served`"]);
}

/// A file that acme-dns's own hook or certbot's plugin has written names no server.
#[test]
fn accounts_without_a_server_are_of_the_one_in_the_settings_and_others_stay_with_their_own() {
    let (one, other) = (Upstream::start(|_, asked| acme_dns(asked)), Upstream::start(|_, asked| acme_dns(asked)));
    let machine = Machine::at(&one.url());
    machine.run_ok(&["register", "example.com"]);
    let mut accounts = machine.accounts();
    let entry = accounts["example.com"].clone();
    accounts["plain.test"] = entry.clone();
    accounts["plain.test"].as_object_mut().unwrap().remove("server_url");
    accounts["other.test"] = entry;
    accounts["other.test"]["server_url"] = json!(other.url());
    machine.write_accounts(&accounts);
    machine.run_ok(&["setup", "plain.test", &value(1)]);
    machine.run_ok(&["setup", "other.test", &value(1)]);
    assert_eq!((one.asked().len(), other.asked().len()), (2, 1));
    assert_eq!(machine.accounts(), accounts);
}

#[test]
fn a_busy_server_and_a_lost_connection_are_tried_again() {
    let upstream = Upstream::start(|number, asked| match number {
        0 => response("503 Service Unavailable", "Retry-After: 1\r\n", r#"{"error": "busy"}"#),
        2 => String::new(),
        3 => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".into(),
        _ => acme_dns(asked),
    });
    let machine = Machine::at(&upstream.url());
    machine.run_ok(&["register", "example.com"]);
    let said = machine.run_ok(&["setup", "example.com", &value(1)]);
    assert!(said.err.contains("trying again"), "{said:?}");
    assert_eq!(upstream.asked().len(), 5);
}

/// A registration whose reply is lost may have been done: doing it again would leave an account that nobody knows.
#[test]
fn a_registration_is_not_sent_twice() {
    let upstream = Upstream::start(|_, _| String::new());
    Machine::at(&upstream.url()).run_err(&["register", "example.com"], 1, &["cannot reach", &upstream.url()]);
    assert_eq!(upstream.asked().len(), 1);
}

#[test]
fn strange_replies_are_failures_with_a_sentence() {
    let location = "Location: https://elsewhere.test/register\r\n";
    let key = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";
    for (reply, parts) in [
        (response("301 Moved Permanently", location, ""), ["redirect", "last address"]),
        (response("500 Internal Server Error", "", "<html>\u{7}"), ["refuses to register", "500"]),
        (response("400 Bad Request", "", "{\"error\":\"a\\nb\\u001b[1m\"}"), ["ab[1m", "(400)"]),
        (response("201 Created", "", "[]"), ["reply does not read", "no JSON object"]),
        (
            response("201 Created", "", &format!("{{\"password\":\"{key}\",\"username\":\"u\"}}")),
            ["reply does not read", "subdomain"],
        ),
        (response("201 Created", "", &"x".repeat(100_000)), ["cannot reach", "longer"]),
    ] {
        let upstream = Upstream::start(move |_, _| reply.clone());
        let machine = Machine::at(&upstream.url());
        machine.run_err(&["register", "example.com"], 1, &parts);
        assert!(!machine.path("accounts.json").exists());
        assert!(!machine.run(&["register", "example.com"]).err.contains(key));
    }
}

#[test]
fn a_clean_up_that_fails_fails_no_client() {
    let (daemon, machine, _) = with_account();
    assert!(daemon.terminate().0.success());
    let mut accounts = machine.accounts();
    // A port on which nobody listens.
    accounts["example.com"]["server_url"] = json!("http://127.0.0.1:1");
    machine.write_accounts(&accounts);
    machine.run_ok(&["teardown", "unknown.test", &value(1)]);
    machine.write("accounts.json", "[]", 0o600);
    let said = machine.run_ok(&["teardown", "example.com", &value(1)]);
    assert!(said.err.contains("stays until it expires"), "{said:?}");
}
