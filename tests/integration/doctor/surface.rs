//! The command, the admin API and the documentation.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use crate::doctor::Examined;
use crate::harness::http::send;
use crate::harness::process::BINARY;
use crate::harness::{Home, Launch, Process, Settings, skip, until};

#[test]
fn the_documentation_is_that_of_the_checks() {
    let home = Home::new(&Settings::default());
    let described = home.run_ok(&["doctor", "--list"]);
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/doctor.md")).unwrap();
    // Not `assert_eq`, which would print both pages.
    assert!(described == page, "write the page again: `cargo run -- doctor --list > docs/doctor.md`");
}

#[test]
fn wrong_arguments_are_no_findings() {
    let home = Home::new(&Settings::default());
    for (arguments, part) in [
        (vec!["192.0.2.1"], "name a host instead"),
        (vec!["a.*.example.com"], "*.example.com"),
        (vec!["--hints", "a.root-servers.net"], "192.0.2.1:5353"),
        (vec!["--hints", "127.0.0.1:5301", "--hints", "127.0.0.1:5302"], "different ports"),
        (vec!["--resolver", "dns.example"], "tls:192.0.2.1#dns.example"),
        (vec!["--list", "--json"], "cannot be used with"),
    ] {
        let all: Vec<&str> = ["doctor"].into_iter().chain(arguments).collect();
        let (code, said) = home.run_err(&all);
        assert!(code == Some(2) && said.contains(part), "{all:?}: {code:?} {said}");
    }
}

#[test]
fn without_a_daemon_the_first_finding_says_so_and_nothing_is_created() {
    let home = Home::new(&Settings::default());
    let examined = Examined::by(&home, &["--hints", "127.0.0.1:1"]);
    examined.begins_with("daemon-down", "systemctl start txtgate");
    assert_eq!(examined.report["by_daemon"], json!(false));
    assert_eq!(examined.report["not_seen"].as_array().map(Vec::len), Some(2), "{}", examined.report);
    assert!(!home.database().exists());
}

#[test]
fn the_admin_api_examines_and_keeps_no_report_of_others_means() {
    let daemon = Process::start(&Settings::default().more("[admin]\nlisten = [\"127.0.0.1:0\"]"));
    let token = |scope: &str| {
        let made = daemon.home().run_ok(&["admin", "token", "create", "--json", "--scope", scope]);
        let made: Value = serde_json::from_str(&made).unwrap();
        made["token"].as_str().unwrap().to_owned()
    };
    let (all, read) = (token("all"), token("read"));
    let file = daemon.home().path().join("token");
    std::fs::write(&file, &all).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let (all, read) = (format!("Authorization: Bearer {all}"), format!("Authorization: Bearer {read}"));
    let refused = send(daemon.admin(), "POST", "/doctor", &[&read], "{}");
    assert_eq!(refused.status, 403, "{refused:?}");
    let mut command = Command::new(BINARY);
    command.args(["--server", &format!("http://{}", daemon.admin()), "--token-file"]).arg(&file);
    let output = command.args(["doctor", "--json", "--hints", "127.0.0.1:1"]).output().unwrap();
    assert_eq!(Examined::of(&output).report["by_daemon"], json!(true));
    let none = send(daemon.admin(), "GET", "/doctor", &[&read], "");
    assert!(none.status == 404 && none.body.contains("txtgate doctor"), "{none:?}");
    for (body, field) in [
        (json!({"names": ["192.0.2.1"]}), "names"),
        (json!({"hints": ["x"]}), "hints"),
        (json!({"resolvers": ["x"]}), "resolvers"),
    ] {
        let wrong = send(daemon.admin(), "POST", "/doctor", &[&all], &body.to_string());
        let reply: Value = serde_json::from_str(&wrong.body).unwrap();
        assert_eq!((wrong.status, &reply["field"]), (400, &json!(field)), "{wrong:?}");
    }
}

#[test]
fn the_daemon_examines_itself_after_its_start_and_logs_what_is_wrong() {
    let settings = Settings::default()
        .with("dns", "listen = [\"0.0.0.0:0\"]")
        .with("api", "listen = [\"0.0.0.0:0\"]\nregistration = \"closed\"")
        .with("doctor", "at-start = true");
    // In a network of its own, so that nobody outside is asked.
    let wrapper = ["unshare", "--map-root-user", "--net"].map(str::to_owned).into();
    let daemon = match Home::new(&settings).try_launch(&Launch { wrapper, ..Launch::default() }) {
        Ok(daemon) => daemon,
        Err(failed) if failed.log.contains("unshare") => {
            return skip("an examination at the start", "no network namespace may be made here");
        }
        Err(failed) => panic!("{failed:?}"),
    };
    until("the examination ends", || daemon.log().contains("the set-up was examined"));
    let log = daemon.log();
    assert!(log.contains("code=\"api-plain\""), "{log}");
}
