//! The operator's API over the network: tokens, scopes, TLS, and the commands with `--server`.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::http::{Reply, connect, connect_from, get, request, send};
use crate::harness::process::BINARY;
use crate::harness::tls::{Authority, HOST};
use crate::harness::{Account, Home, PATIENCE, Process, Settings, until, value};

const PLAIN: &str = "[admin]\nlisten = [\"127.0.0.1:0\"]";

/// A daemon that takes tokens over plain HTTP, on loopback.
fn plain() -> Process {
    Process::start(&Settings::default().more(PLAIN))
}

/// Makes a token; its text and its id.
fn token(home: &Home, arguments: &[&str]) -> (String, String) {
    let all: Vec<&str> = ["admin", "token", "create", "--json"].iter().chain(arguments).copied().collect();
    let made: Value = serde_json::from_str(&home.run_ok(&all)).unwrap();
    (made["token"].as_str().unwrap().to_owned(), made["id"].to_string())
}

fn ask(daemon: &Process, token: &str, method: &str, path: &str, body: &str) -> Reply {
    send(daemon.admin(), method, path, &[&format!("Authorization: Bearer {token}")], body)
}

/// A machine elsewhere, which has a token and no configuration.
struct Laptop {
    folder: TempDir,
    server: String,
}

impl Laptop {
    fn new(server: String, token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, format!("{token}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Self { folder, server }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(BINARY);
        command.args(["--server", &self.server, "--token-file", "token"]).args(arguments);
        command.current_dir(self.folder.path()).output().unwrap()
    }

    fn run_ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        out.into_owned()
    }

    fn run_err(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?} succeeded");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.run_ok(&all)).unwrap()
    }
}

#[test]
fn the_operators_commands_work_from_a_machine_without_a_configuration() {
    let authority = Authority::new();
    let settings = Settings::default().more(&format!("{PLAIN}\ncertificate = \"cert.pem\"\nkey = \"key.pem\""));
    let home = Home::new(&settings);
    authority.issue(home.path());
    let daemon = home.start();
    assert!(daemon.lines().iter().any(|line| line.starts_with("admin https://")), "{:?}", daemon.lines());
    let (secret, _) = token(&home, &["--scope", "all"]);
    let laptop = Laptop::new(format!("https://localhost:{}", daemon.admin().port()), &secret);
    let (code, said) = laptop.run_err(&["status"]);
    assert!(code == Some(1) && said.contains("--ca-file"), "an authority that it does not know: {said}");
    std::fs::write(laptop.folder.path().join("ca.pem"), authority.pem()).unwrap();
    let ok = |arguments: &[&str]| laptop.run_ok(&[&["--ca-file", "ca.pem"][..], arguments].concat());
    let json = |arguments: &[&str]| laptop.json(&[&["--ca-file", "ca.pem"][..], arguments].concat());
    let created = json(&["account", "create", "example.com", "--subdomain", "shop"]);
    let account = Account::of(&created);
    account.publish(daemon.api(), &value(1));
    assert_eq!(json(&["account", "show", "shop"])["username"], account.username);
    assert_eq!(json(&["txt", "list", "shop"])["items"][0]["txt"], value(1));
    assert!(json(&["status"])["uptime_seconds"].is_number());
    assert!(json(&["enrol", "create"])["token"].is_string());
    assert_eq!(json(&["cert", "list"])["items"], serde_json::json!([]));
    std::fs::write(laptop.folder.path().join("list.csv"), "domain\na.example\nb.example\n").unwrap();
    assert_eq!(ok(&["account", "create", "--from", "list.csv", "--json"]).lines().count(), 2);
    ok(&["account", "delete", "shop", "--now"]);
    assert_eq!(json(&["account", "list"])["items"].as_array().unwrap().len(), 2);
    let wrong = Laptop::new(format!("https://127.0.0.1:{}", daemon.admin().port()), &secret);
    std::fs::copy(laptop.folder.path().join("ca.pem"), wrong.folder.path().join("ca.pem")).unwrap();
    let (_, said) = wrong.run_err(&["--ca-file", "ca.pem", "status"]);
    assert!(said.contains("the name that its certificate is for"), "{said}");
    // HTTP/1.1 over TLS for other programs, too.
    let reply = authority.connect(daemon.admin(), &["h2", "http/1.1"]).exchange(request(
        "GET",
        "/status",
        &[&format!("Authorization: Bearer {secret}")],
        "",
    ));
    assert_eq!(reply.status, 200, "{HOST}: {reply:?}");
}

#[test]
fn commands_that_need_the_daemons_machine_say_so() {
    let daemon = plain();
    let (secret, _) = token(daemon.home(), &["--scope", "all"]);
    let laptop = Laptop::new(format!("http://{}", daemon.admin()), &secret);
    for command in [
        &["serve"][..],
        &["config", "check"],
        &["backup", "x.db"],
        &["restore", "x.db"],
        &["export", "--format", "acme-dns", "x.db"],
        &["dnssec", "init", "auth.example.org"],
        &["acme", "directory"],
    ] {
        let (code, said) = laptop.run_err(command);
        assert!(
            code == Some(2) && said.contains("run it there") && said.contains(&laptop.server),
            "{command:?}: {said}"
        );
    }
    let (code, said) = laptop.run_err(&["admin", "token", "create", "--scope", "read"]);
    assert!(code == Some(1) && said.contains("on the daemon's machine"), "{said}");
    let (code, said) = laptop.run_err(&["--config", "config.toml", "status"]);
    assert!(code == Some(2) && said.contains("--server") && said.contains("--config"), "{said}");
    std::fs::set_permissions(laptop.folder.path().join("token"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = laptop.run_err(&["status"]);
    assert!(code == Some(2) && said.contains("chmod 600"), "{said}");
    let remote = Laptop::new("http://auth.example.org:5391".into(), &secret);
    let (code, said) = remote.run_err(&["status"]);
    assert!(code == Some(2) && said.contains("is not https"), "a token never goes over plain HTTP: {said}");
}

#[test]
fn a_scope_allows_what_it_says_and_no_more() {
    let daemon = plain();
    let [read, accounts, all] = ["read", "accounts", "all"].map(|scope| token(daemon.home(), &["--scope", scope]).0);
    let create =
        |token: &str, label: &str| ask(&daemon, token, "POST", "/accounts", &format!("{{\"subdomain\":\"{label}\"}}"));
    create(&read, "one").assert_error(403, "insufficient_scope");
    assert_eq!(create(&accounts, "two").status, 201);
    assert_eq!(create(&all, "three").status, 201);
    for token in [&read, &accounts, &all] {
        for path in ["/accounts", "/accounts/two", "/status", "/txt", "/enrolments", "/certificates", "/server"] {
            assert_eq!(ask(&daemon, token, "GET", path, "").status, 200, "{path}");
        }
    }
    for token in [&read, &accounts] {
        ask(&daemon, token, "POST", "/clock/trust", "").assert_error(403, "insufficient_scope");
        ask(&daemon, token, "GET", "/admin-tokens", "").assert_error(403, "insufficient_scope");
        ask(&daemon, token, "GET", "/no-such-page", "").assert_error(403, "insufficient_scope");
    }
    assert_eq!(ask(&daemon, &all, "POST", "/clock/trust", "").status, 200);
    ask(&daemon, &all, "GET", "/no-such-page", "").assert_error(404, "not_found");
    ask(&daemon, &all, "POST", "/admin-tokens", "{\"scope\":\"all\"}").assert_error(403, "insufficient_scope");
    // What a token has done carries its number and address, and the public API knows nothing of tokens.
    until("the log names the token", || daemon.log().contains("admin token 2, 127.0.0.1"));
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains("admin request") && line.contains("status=201")).unwrap();
    assert!(line.contains("POST") && line.contains("/accounts"), "{line}");
    for token in [&read, &accounts, &all] {
        assert!(!log.contains(token.as_str()), "no secret in the log");
    }
    let bearer = format!("Authorization: Bearer {all}");
    send(daemon.api(), "GET", "/accounts", &[&bearer], "").assert_error(404, "not_found");
}

#[test]
fn a_token_ends_by_time_by_revocation_and_outside_of_its_networks() {
    let daemon = plain();
    let home = daemon.home();
    let status = |token: &str| ask(&daemon, token, "GET", "/status", "");
    let (brief, _) = token(home, &["--scope", "read", "--lifetime", "1s"]);
    let (elsewhere, _) = token(home, &["--scope", "read", "--allowfrom", "192.0.2.0/24"]);
    let (revoked, id) = token(home, &["--scope", "read", "--note", "laptop"]);
    until("the token expires", || status(&brief).status == 401);
    status(&elsewhere).assert_error(401, "forbidden");
    assert_eq!(status(&revoked).status, 200);
    let listed = home.run_ok(&["admin", "token", "list"]);
    assert!(listed.contains("laptop") && listed.contains("expired") && !listed.contains(&revoked), "{listed}");
    home.run_ok(&["admin", "token", "revoke", &id]);
    let reply = status(&revoked);
    reply.assert_error(401, "forbidden");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    let (code, said) = home.run_err(&["admin", "token", "revoke", "first"]);
    assert!(code == Some(2) && said.contains("admin token list") && !said.contains("invalid digit"), "{said}");
    let (code, said) = home.run_err(&["admin", "token", "create", "--scope", "root"]);
    assert!(code == Some(2) && said.contains("`accounts`"), "{said}");
    let database = std::fs::read(home.database()).unwrap();
    let wal = std::fs::read(home.path().join("txtgate.db-wal")).unwrap_or_default();
    for bytes in [database, wal] {
        assert!(!bytes.windows(revoked.len()).any(|part| part == elsewhere.as_bytes()), "only hashes are stored");
    }
}

#[test]
fn a_watch_ends_with_its_token() {
    let daemon = plain();
    let (secret, id) = token(daemon.home(), &["--scope", "read"]);
    let headers = [&format!("Authorization: Bearer {secret}")[..], "Connection: close"];
    let mut wire = connect(daemon.admin());
    wire.send(request("GET", "/watch", &headers, ""));
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        wire.0.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head));
    daemon.home().run_ok(&["admin", "token", "revoke", &id]);
    let (is_closed, said) = wire.closes_within(PATIENCE);
    assert!(is_closed && said.ends_with("0\r\n\r\n"), "{said}");
}

#[test]
fn what_a_stranger_sends_does_not_reach_the_log() {
    let daemon = plain();
    let (secret, _) = token(daemon.home(), &["--scope", "all"]);
    let meant_for_the_api = "/a-registration-secret-of-mine/register";
    for header in ["X-Nothing: x".to_owned(), format!("Authorization: Bearer {secret}")] {
        send(daemon.admin(), "POST", meant_for_the_api, &[&header], "{}");
    }
    for _ in 0..30 {
        get(daemon.admin(), &format!("/accounts/{}", "x".repeat(9_000)));
    }
    until("the log tells of the requests", || daemon.log().contains("status=404"));
    let log = daemon.log();
    assert!(!log.contains("secret-of-mine") && !log.contains("xxxxx"), "{log}");
    let refusals = log.lines().filter(|line| line.contains(" WARN ") && line.contains("admin request refused")).count();
    assert!((1..20).contains(&refusals), "those that must wait are not in the log: {refusals}");
}

#[test]
fn guessing_slows_down_its_network_alone() {
    let daemon = plain();
    let (secret, _) = token(daemon.home(), &["--scope", "read"]);
    let from = |third: u8, token: &str| {
        let header = format!("Authorization: Bearer {token}");
        connect_from([127, 0, third, 1].into(), daemon.admin()).exchange(request("GET", "/status", &[&header], ""))
    };
    let mut slowed = None;
    for guess in 0..30 {
        let reply = from(7, &format!("wrong-token-number-{guess:08}"));
        if reply.status == 429 {
            slowed = Some(reply);
            break;
        }
        reply.assert_error(401, "forbidden");
    }
    let slowed = slowed.expect("guesses are slowed down");
    assert!(slowed.header("retry-after").is_some(), "{slowed:?}");
    assert_eq!(from(7, &secret).status, 429, "the right token too, or guesses would tell");
    assert_eq!(from(8, &secret).status, 200, "another network");
    get(daemon.admin(), "/status").assert_error(401, "forbidden");
}

#[test]
fn without_tls_only_loopback_is_listened_on() {
    let home = Home::new(&Settings::default().more("[admin]\nlisten = [\"0.0.0.0:0\"]"));
    let (code, said) = home.run_err(&["config", "check"]);
    assert!(code == Some(2) && said.contains("admin.listen") && said.contains("without TLS"), "{said}");
}
