//! Transfers of whole zones.

use std::collections::BTreeSet;

use serde_json::json;

use super::client::{AXFR, axfr, key, serial_of, signed_transfer, text, transfer};
use super::{home_with, open};
use crate::harness::dns::{ANY, NS, Reply, SOA, TXT, ask_tcp, query};
use crate::harness::{Account, Home, Process, ZONE, value};

const CHALLENGE: &str = "_acme-challenge.example.com";

/// The answers to these questions, as text.
fn answers(daemon: &Process, questions: &[(&str, u16)]) -> BTreeSet<String> {
    let ask = |(name, rtype): &(&str, u16)| -> Reply { ask_tcp(daemon.dns(), &query(name, *rtype)) };
    questions.iter().map(ask).flat_map(|reply| reply.answers().iter().map(text).collect::<Vec<_>>()).collect()
}

#[test]
fn a_transfer_holds_what_queries_get() {
    let more = format!("[[zone]]\nname = \"{CHALLENGE}\"\nns = [\"ns1.{ZONE}\"]\ncontact = \"a@example.com\"\n");
    let records =
        "www CNAME web\nweb A 192.0.2.1\nweb AAAA 2001:db8::1\na.b.c TXT \"deep\" \"er\"\n@ CAA 0 issue \"ca.example\"";
    let daemon = Process::start(&open().with("values", "persist = true").records(records).more(&more));
    let home = daemon.home();
    let accounts: Vec<Account> = (0..5).map(|_| Account::register(daemon.api())).collect();
    for (number, account) in accounts.iter().enumerate() {
        for value_number in 0..number {
            account.publish(daemon.api(), &value((number * 10 + value_number) as u64));
        }
    }
    let persistent = format!("ca.example; accounturi=urn:{:x<1$}", "", 300);
    let body = json!({"subdomain": accounts[0].subdomain, "value": persistent}).to_string();
    assert_eq!(accounts[0].send(daemon.api(), "POST", "/v1/persist", &body).status, 200);
    home.run_ok(&["account", "disable", &accounts[4].username]);
    let own = home.run_ok(&["account", "create", "example.com", "--zone", CHALLENGE, "--json"]);
    let own = Account::of(&serde_json::from_str(&own).unwrap());
    own.publish(daemon.api(), &value(99));
    let transferred = axfr(daemon.dns());
    let (first, last) = (transferred.records.first().unwrap(), transferred.records.last().unwrap());
    assert!(serial_of(first).is_some() && first == last);
    let mut questions = vec![(ZONE, SOA), (ZONE, NS), (ZONE, 257)];
    let fixed: Vec<String> = ["ns1", "web", "www", "a.b.c"].map(|label| format!("{label}.{ZONE}")).into();
    questions.extend(fixed.iter().flat_map(|name| [1, 28, 5, TXT].map(|rtype| (name.as_str(), rtype))));
    questions.extend(accounts.iter().map(|account| (account.fulldomain.as_str(), TXT)));
    assert_eq!(transferred.zone(), answers(&daemon, &questions));
    assert_eq!(transferred.zone().iter().filter(|record| record.contains(" TXT ")).count(), 1 + 1 + 2 + 3 + 1);
    let challenge = transfer(daemon.dns(), &query(CHALLENGE, AXFR));
    assert_eq!(challenge.zone(), answers(&daemon, &[(CHALLENGE, SOA), (CHALLENGE, NS), (CHALLENGE, TXT)]));
    assert_eq!(answers(&daemon, &[(CHALLENGE, ANY)]).len(), 1);
}

#[test]
fn a_large_zone_takes_several_messages_and_each_is_signed() {
    let home = home_with("tsig-key-file = \"ns2.tsig\"");
    let key = key(home.path());
    let daemon = home.start();
    let accounts: Vec<Account> = (0..20).map(|_| Account::register(daemon.api())).collect();
    for account in &accounts {
        for number in 0..60 {
            account.publish(daemon.api(), &value(number));
        }
    }
    let transferred = signed_transfer(daemon.dns(), &key, &query(ZONE, AXFR));
    assert!(transferred.messages > 1, "{}", transferred.messages);
    assert_eq!(transferred.zone().len(), 3 + 20 * 60);
}

#[test]
fn a_restart_changes_the_serial_and_not_the_records() {
    let daemon = Process::start(&open());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    let before = axfr(daemon.dns());
    let home: Home = daemon.home().clone();
    daemon.kill();
    let daemon = home.start();
    let after = axfr(daemon.dns());
    assert!(after.serial() > before.serial());
    let without_soa =
        |zone: BTreeSet<String>| zone.into_iter().filter(|text| !text.contains(" SOA ")).collect::<Vec<_>>();
    assert_eq!(without_soa(after.zone()), without_soa(before.zone()));
}
