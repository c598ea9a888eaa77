//! `allow-subset`: a certificate one of whose names cannot be proven any more.

use serde_json::json;

use crate::harness::ca_lab::{CaLab, cname};
use crate::harness::http::get;
use crate::harness::standin::{StandIn, What};
use crate::harness::{Home, Process, until};

use super::managed::{pair, show};

const NAMES: [&str; 3] = ["a.example.com", "b.example.com", "*.b.example.com"];

fn lab() -> CaLab<StandIn> {
    CaLab::with_directory(json!({ "meta": { "caaIdentities": ["ca.test"] } }))
}

/// A daemon that has a certificate for all names, all with their CNAMEs.
fn with_certificate(lab: &CaLab<StandIn>, more: &[&str]) -> Process {
    let daemon = Process::start(&lab.settings);
    let home = daemon.home();
    let words = ["cert", "issue", "--name", NAMES[0], "--name", NAMES[1], "--name", NAMES[2]];
    let words = [&words[..], more].concat();
    home.run(&words);
    lab.add_missing(home, NAMES[0]);
    home.run_ok(&["cert", "renew", NAMES[0]]);
    daemon
}

fn names(home: &Home) -> Vec<String> {
    let mut names = pair(home, NAMES[0]).unwrap().info.names;
    names.sort();
    names
}

fn lacking(home: &Home) -> Vec<String> {
    let shown = show(home, NAMES[0]);
    let names = shown["lacking"].as_array().cloned().unwrap_or_default();
    names.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

fn metric(daemon: &Process) -> String {
    let metrics = get(daemon.metrics(), "/metrics").body;
    let line = metrics.lines().find(|line| line.starts_with("txtgate_certificate_names_lacking{")).unwrap().to_owned();
    line.rsplit_once(' ').unwrap().1.to_owned()
}

#[test]
fn without_the_setting_a_name_without_its_cname_keeps_all_from_being_renewed() {
    let lab = lab();
    let daemon = with_certificate(&lab, &[]);
    let home = daemon.home();
    let before = pair(home, NAMES[0]).unwrap().info.serial;
    lab.resolver.remove("_acme-challenge.b.example.com.");
    let (code, said) = home.run_err(&["cert", "renew", NAMES[0]]);
    assert!(code == Some(3) && said.contains("_acme-challenge.b.example.com"), "{said}");
    assert_eq!(pair(home, NAMES[0]).unwrap().info.serial, before);
}

#[test]
fn a_certificate_goes_on_without_a_name_that_has_lost_its_cname_until_that_is_back() {
    let lab = lab();
    let daemon = with_certificate(&lab, &["--allow-subset"]);
    let home = daemon.home().clone();
    assert_eq!((names(&home).len(), lacking(&home).len(), metric(&daemon).as_str()), (3, 0, "0"));
    for gone in [true, false] {
        if gone {
            lab.resolver.remove("_acme-challenge.b.example.com.");
        } else {
            lab.resolver.add("_acme-challenge.b.example.com. CNAME elsewhere.test.");
        }
        let output = home.run(&["cert", "renew", NAMES[0]]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert_eq!(names(&home), ["a.example.com"]);
        for name in &NAMES[1..] {
            assert!(
                said.contains(&format!("a.example.com is without {name}: _acme-challenge.b.example.com: ")),
                "{said}"
            );
            assert!(daemon.log().contains(&format!("the certificate is without {name}: ")), "{}", daemon.log());
        }
        assert!(home.run_ok(&["cert", "list"]).contains("without b.example.com: "));
        assert_eq!((lacking(&home), metric(&daemon).as_str()), (vec![NAMES[1].to_owned(), NAMES[2].to_owned()], "2"));
        assert_eq!(show(&home, NAMES[0])["failures"], 0);
        let orders = lab.ca.orders();
        lab.add_missing(&home, NAMES[0]);
        until("all names are back by themselves", || names(&home).len() == 3);
        until("nothing is lacking", || lacking(&home).is_empty() && metric(&daemon) == "0");
        assert_eq!(lab.ca.orders(), orders + 1);
    }
}

#[test]
fn a_restart_and_the_configuration_know_what_is_lacking() {
    let lab = lab();
    let names_of = |list: &str| format!("[[certificate]]\nnames = [{list}]\nallow-subset = true");
    let both = names_of("\"a.example.com\", \"b.example.com\"");
    let home = Home::new(&lab.settings.clone().more(&both));
    let daemon = home.start();
    until("both are missing", || show(&home, NAMES[0])["missing"].as_array().is_some_and(|missing| missing.len() == 2));
    let record = show(&home, NAMES[0])["missing"][0].clone();
    assert_eq!(record["name"], "_acme-challenge.a.example.com");
    lab.resolver.add(&cname(&record));
    home.run_ok(&["cert", "renew", NAMES[0]]);
    assert_eq!((names(&home), lacking(&home)), (vec![NAMES[0].to_owned()], vec![NAMES[1].to_owned()]));
    daemon.kill();
    let daemon = home.start();
    until("it has looked", || show(&home, NAMES[0])["missing"][0].is_object());
    assert_eq!((lacking(&home), metric(&daemon).as_str(), lab.ca.orders()), (vec![NAMES[1].to_owned()], "1", 1));
    lab.add_missing(&home, NAMES[0]);
    until("both are in it", || names(&home).len() == 2);
}

/// The records are right, and the CA says no to one name: in the order, in a proof, by CAA records.
#[test]
fn a_name_that_the_ca_refuses_is_left_out_and_not_tried_at_once_again() {
    let lab = lab();
    let daemon = with_certificate(&lab, &["--allow-subset"]);
    let home = daemon.home().clone();
    let renewed = |what: &str, left: &[&str]| {
        let output = home.run(&["cert", "renew", NAMES[0]]);
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(names(&home), left, "{what}");
    };
    let refused = json!({ "type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "some names", "subproblems": [
        { "type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "on a list", "identifier":
            { "type": "dns", "value": "*.b.example.com" } } ] });
    lab.ca.fault("/new-order", What::Reply(400, refused.to_string()));
    renewed("the order is refused", &["a.example.com", "b.example.com"]);
    assert!(home.run_ok(&["cert", "list"]).contains("without *.b.example.com: on a list"));
    let (orders, ended) = (lab.ca.orders(), || show(&home, NAMES[0])["ended"].as_u64().unwrap());
    let before = ended();
    until("it has been looked at again", || ended() > before + 1);
    assert_eq!((lab.ca.orders(), names(&home).len()), (orders, 2), "the CA is not asked at every look");

    renewed("nothing is refused", &["*.b.example.com", "a.example.com", "b.example.com"]);
    lab.resolver.add("b.example.com. CAA 0 issue \"other.test\"");
    renewed("CAA records forbid it", &["a.example.com"]);
    lab.resolver.add("b.example.com. CAA 0 issue \"ca.test\"");
    renewed("CAA records allow it", &["*.b.example.com", "a.example.com", "b.example.com"]);

    let problem = json!({ "type": "urn:ietf:params:acme:error:unauthorized", "detail": "no TXT record found" });
    let number = lab.ca.orders() * 100 + 1;
    let challenge =
        json!({ "type": "dns-01", "url": "http://127.0.0.1/x", "token": "t", "status": "invalid", "error": problem });
    let invalid = json!({ "status": "invalid", "identifier": { "type": "dns", "value": "b.example.com" },
        "challenges": [challenge] });
    lab.ca.fault_at(format!("/authorization/{number}"), What::Say(invalid.to_string()));
    renewed("a proof fails", &["*.b.example.com", "a.example.com"]);
    assert!(home.run_ok(&["cert", "list"]).contains("no TXT record found"));
}

#[test]
fn a_certificate_none_of_whose_names_can_be_proven_is_not_issued() {
    let lab = lab();
    let daemon = with_certificate(&lab, &["--allow-subset"]);
    let home = daemon.home();
    lab.resolver.clear();
    let (code, said) = home.run_err(&["cert", "renew", NAMES[0]]);
    assert!(code == Some(3) && said.contains("_acme-challenge.a.example.com"), "{said}");
    assert_eq!(names(home).len(), 3, "the former one stays");
}
