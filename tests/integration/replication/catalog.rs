//! The catalog zone.

use std::collections::BTreeSet;

use hickory_proto::op::ResponseCode::{NoError, Refused};

use super::client::{AXFR, Transferred, ixfr, serial_of, transfer};
use crate::harness::dns::{SOA, TXT, ask, ask_tcp, query};
use crate::harness::{Home, Process, Settings, ZONE, until};

const CATALOG: &str = "catalog.example.org";

fn settings(zones: &[&str]) -> Settings {
    let zone =
        |name: &&str| format!("[[zone]]\nname = \"{name}\"\nns = [\"ns1.{ZONE}\"]\ncontact = \"a@example.org\"\n");
    let more: String = zones.iter().map(zone).collect();
    let secondary = "[[secondary]]\nname = \"ns2\"\nnetworks = [\"127.0.0.1/32\"]\n";
    Settings::default().with("secondaries", &format!("catalog = \"{CATALOG}\"")).more(&format!("{more}{secondary}"))
}

fn catalog(daemon: &Process) -> Transferred {
    transfer(daemon.dns(), &query(CATALOG, AXFR))
}

/// The names of the members, each with its label.
fn members(daemon: &Process) -> BTreeSet<(String, String)> {
    let records = catalog(daemon).zone();
    let member = |record: &String| {
        let mut words = record.split(' ');
        let label = words.next()?.split('.').next()?.to_owned();
        (words.nth(1)? == "PTR").then(|| Some((words.next()?.to_owned(), label)))?
    };
    records.iter().filter_map(member).collect()
}

#[test]
fn it_lists_the_zones_and_nobody_else_sees_it() {
    let daemon = Process::start(&settings(&["one.test", "two.test"]));
    let records = catalog(&daemon).zone();
    assert!(records.iter().any(|record| record.contains(" NS invalid.")), "{records:?}");
    assert!(records.contains(&format!("version.{CATALOG}. 0 TXT 2")), "{records:?}");
    let names: Vec<String> = members(&daemon).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [format!("{ZONE}."), "one.test.".into(), "two.test.".into()]);
    let soa = ask(daemon.dns(), &query(CATALOG, SOA));
    assert_eq!((soa.rcode(), serial_of(&soa.answers()[0])), (NoError, Some(catalog(&daemon).serial())));
    assert!(transfer(daemon.dns(), &ixfr(CATALOG, catalog(&daemon).serial())).is_soa_alone());
    let stranger = crate::harness::dns::Udp::from("127.0.0.9", daemon.dns());
    for name in [CATALOG.to_owned(), format!("version.{CATALOG}")] {
        let reply = crate::harness::dns::Reply::of(stranger.ask(&query(&name, TXT)));
        assert_eq!(reply.rcode(), Refused, "{name}");
    }
    assert_eq!(ask_tcp(daemon.dns(), &query("other.test", SOA)).rcode(), Refused);
}

#[test]
fn labels_stay_and_the_serial_rises_with_the_zones() {
    let home = Home::new(&settings(&["one.test", "two.test"]));
    let daemon = home.start();
    let first = (catalog(&daemon).serial(), members(&daemon));
    daemon.signal(rustix::process::Signal::HUP);
    home.write(&settings(&["two.test", "three.test"]));
    daemon.signal(rustix::process::Signal::HUP);
    until("the catalog changes", || catalog(&daemon).serial() != first.0);
    let second = (catalog(&daemon).serial(), members(&daemon));
    assert!(second.0 > first.0);
    let kept: Vec<_> = first.1.intersection(&second.1).map(|(name, _)| name.clone()).collect();
    assert_eq!(kept, [format!("{ZONE}."), "two.test.".into()]);
    daemon.kill();
    let daemon = home.start();
    assert!(catalog(&daemon).serial() > second.0, "also over a restart");
    assert_eq!(members(&daemon), second.1);
}

#[test]
fn signed_zones_that_cannot_be_transferred_are_not_listed() {
    let home = Home::new(&settings(&["one.test"]).zone("dnssec-key = \"zone.key\""));
    home.run_ok(&["dnssec", "init", ZONE]);
    let daemon = home.start();
    let names: Vec<String> = members(&daemon).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["one.test."]);
}
