//! Files of the ACME client that are not as it wrote them: DNS is served all the same, and other certificates are kept.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hickory_proto::op::ResponseCode;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::ca_lab::CaLab;
use crate::harness::dns::{TXT, ask, query};
use crate::harness::pebble::{Options, Pebble};
use crate::harness::ports::free_port;
use crate::harness::standin::{ResponsePolicy, StandIn};
use crate::harness::{Home, Process, ZONE, until};

use super::managed::{delegate, pair, show};
use super::own::report;

/// A file of the state folder, with its mode.
fn put(home: &Home, path: &str, text: &str, mode: u32) {
    let path = home.path().join("acme").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
}

fn problem(home: &Home, name: &str) -> String {
    show(home, name)["problem"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn one_damaged_certificate_keeps_neither_dns_nor_another_from_starting() {
    let Some(lab) = CaLab::real(Options::default()) else { return };
    let settings = lab.settings.clone().more("[[certificate]]\nname = \"record\"\nnames = [\"record.example.com\"]");
    let home = Home::new(&lab.settings);
    // State without a database would be a database that is missing.
    home.start().kill();
    home.write(&settings);
    let request = |name: &str, more: &str| format!("names = [\"{name}.example.com\"]\n{more}");
    put(&home, "certificates/user/request.toml", &request("user", "name = \"user\"\nowner = \"ghostuser\""), 0o600);
    put(&home, "certificates/lent/request.toml", &request("lent", "name = \"lent\""), 0o644);
    put(&home, "certificates/text/request.toml", "names = [", 0o600);
    put(&home, "certificates/record/record.toml", "revoked = 1", 0o600);
    put(&home, "certificates/a.example.com/request.toml", &request("a", ""), 0o600);
    put(&home, "certificates/no certificate/request.toml", "", 0o600);

    let daemon = home.start();
    assert_eq!(ask(daemon.dns(), &query(&format!("x.{ZONE}"), TXT)).rcode(), ResponseCode::NXDomain, "DNS is served");
    let list: Value = serde_json::from_str(&home.run_ok(&["cert", "list", "--json"])).unwrap();
    let names: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["a.example.com", "lent", "record", "text", "user"]);
    assert!(problem(&home, "user").contains("this machine has no user \"ghostuser\"; correct it, or"));
    assert!(problem(&home, "lent").contains("others can read ") && problem(&home, "lent").contains("chmod 600"));
    assert!(problem(&home, "text").contains("/text/request.toml is damaged: "));
    until("it was read", || problem(&home, "record").contains("/record/record.toml is damaged: "));
    let (code, said) = home.run_err(&["cert", "delete", "user"]);
    assert!(code == Some(1) && said.contains("no user \"ghostuser\""), "{said}");

    // The others are kept, and so is what was mended, without a restart.
    delegate(&lab, &home, &["a.example.com"]);
    home.run_ok(&["cert", "renew", "a.example.com"]);
    assert!(pair(&home, "a.example.com").is_some());
    put(&home, "certificates/record/record.toml", "", 0o600);
    put(&home, "certificates/lent/request.toml", &request("lent", "name = \"lent\""), 0o600);
    for name in ["record", "lent"] {
        let (code, said) = home.run_err(&["cert", "renew", name]);
        assert!(code == Some(3) && said.contains("are not delegated to this server"), "{said}");
    }
    let (code, _) = home.run_err(&["cert", "issue", "--cert-name", "user", "--name", "user.example.com"]);
    assert_eq!((code, show(&home, "user")["names"].clone()), (Some(3), json!(["user.example.com"])));
}

#[test]
fn a_damaged_certificate_of_the_api_is_replaced_and_keeps_nothing_from_starting() {
    let Some(pebble) = Pebble::start(&Options { resolver: Some(free_port()), ..Options::default() }) else {
        return;
    };
    let daemon = Process::start(&pebble.settings().with("api.tls", "mode = \"acme\""));
    let home = daemon.home().clone();
    let path = home.path().join("acme/api.pem");
    until("the certificate is there", || path.exists());
    until("the order is forgotten", || report(&home)["self_signed"] == false);
    daemon.kill();
    let before = fs::read(&path).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let daemon = home.start();
    assert_eq!(ask(daemon.dns(), &query(&format!("x.{ZONE}"), TXT)).rcode(), ResponseCode::NXDomain, "DNS is served");
    until("another one is there", || report(&home)["self_signed"] == false);
    assert!(daemon.log().contains("others can read "), "{}", daemon.log());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert!(fs::read(&path).unwrap() != before && mode(&path) == 0o600, "the key that others had seen is gone");
    assert_eq!(report(&home)["problem"], Value::Null);
}

/// A stranger's folder in the place of the symlink: it can be neither removed nor replaced.
#[test]
fn a_deletion_that_fails_is_told_of_and_finished_later() {
    let ca = StandIn::start(ResponsePolicy::default());
    let home = Home::new(&ca.settings());
    let daemon = home.start();
    let (code, said) = home.run_err(&["cert", "issue", "--name", "a.example.com"]);
    assert!(code == Some(1) && said.contains("could not look up"), "{said}");
    let live = home.path().join("certificates/live/a.example.com");
    fs::create_dir_all(&live).unwrap();
    let (code, said) = home.run_err(&["cert", "delete", "a.example.com"]);
    assert!(code == Some(1) && said.contains("live/a.example.com: Is a directory"), "{said}");
    assert!(problem(&home, "a.example.com").contains("Is a directory"));
    let (code, said) = home.run_err(&["cert", "issue", "--name", "a.example.com"]);
    assert!(
        code == Some(1) && said.contains("the certificate a.example.com is being deleted; `txtgate cert"),
        "{said}"
    );

    // The next start goes on with it, and so does whoever wants it at once.
    daemon.kill();
    let daemon = home.start();
    until("it has failed again", || problem(&home, "a.example.com").contains("Is a directory"));
    fs::remove_dir(&live).unwrap();
    daemon.signal(Signal::HUP);
    until("it is gone", || home.run_ok(&["cert", "list", "--json"]).trim() == r#"{"items":[],"truncated":false}"#);
    assert_eq!(fs::read_dir(home.path().join("acme/certificates")).unwrap().count(), 0);
    let (code, said) = home.run_err(&["cert", "issue", "--name", "a.example.com"]);
    assert!(code == Some(1) && said.contains("could not look up"), "it can be asked for again: {said}");
}
