//! SIGTERM drains; SIGHUP reads the configuration again.

use rustix::process::Signal;

use crate::harness::dns::{A, SOA, ask, query, txts};
use crate::harness::http::{connect, get, request};
use crate::harness::{Account, GRACE, Process, Settings, ZONE, until, value};

fn has_address(daemon: &Process, name: &str) -> bool {
    !ask(daemon.dns(), &query(&format!("{name}.{ZONE}"), A)).addresses().is_empty()
}

#[test]
fn what_is_bound_is_printed_before_ready() {
    let daemon = Process::start(&Settings::default());
    let prefixes = ["dns 127.0.0.1:", "api http://127.0.0.1:", "metrics http://127.0.0.1:", "admin "];
    assert_eq!(daemon.lines().len(), prefixes.len(), "{:?}", daemon.lines());
    for (line, prefix) in daemon.lines().iter().zip(prefixes) {
        assert!(line.starts_with(prefix) && !line.ends_with(":0"), "{line}");
    }
    assert!(daemon.lines()[3].ends_with("/txtgate.sock"));
}

#[test]
fn sigterm_finishes_the_request_in_flight_and_exits_0() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    let mut wire = connect(daemon.api());
    let ([user, key], body) = (account.headers(), account.body(&value(1)));
    let all = request("POST", "/update", &[&user, &key, "Expect: 100-continue"], &body);
    let (head, tail) = all.split_at(all.len() - body.len());
    wire.send(head);
    // The head has been read, or there would be no request yet.
    assert_eq!(wire.receive().status, 100);
    daemon.signal(Signal::TERM);
    until("it stops", || daemon.log().contains("stopping"));
    wire.send(tail);
    let reply = wire.receive();
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")), "{reply:?}");
    let (status, took, log) = daemon.terminate();
    assert_eq!((status.code(), took < GRACE), (Some(0), true), "{took:?}\n{log}");
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let daemon = Process::start(&Settings::default());
    let mut idle = connect(daemon.api());
    idle.exchange("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    let socket = daemon.home().path().join("txtgate.sock");
    assert!(socket.exists());
    let (status, took, _) = daemon.terminate();
    assert_eq!((status.code(), took < GRACE), (Some(0), true), "{took:?}");
    assert!(!socket.exists(), "the operator's socket goes with the daemon");
}

#[test]
fn sighup_takes_over_zones_and_keeps_values() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    assert!(!has_address(&daemon, "www"));
    let second = "[[zone]]\nname = \"second.test\"\nns = [\"ns.example.com\"]\ncontact = \"a@example.com\"";
    daemon.home().write(&Settings::default().records("www A 192.0.2.80").more(second));
    daemon.signal(Signal::HUP);
    until("the new record is served", || has_address(&daemon, "www"));
    until("the new zone is served", || ask(daemon.dns(), &query("second.test", SOA)).of_type(SOA) == 1);
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)]);
    account.publish(daemon.api(), &value(2));
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(2), value(1)]);
}

#[test]
fn sighup_with_a_wrong_configuration_changes_nothing_and_says_so() {
    let daemon = Process::start(&Settings::default().records("www A 192.0.2.80"));
    daemon.home().write(&Settings::default().records("www A nonsense"));
    daemon.signal(Signal::HUP);
    until("it says so", || daemon.log().contains("not reloaded"));
    assert!(daemon.log().contains("config.toml:"), "{}", daemon.log());
    assert!(has_address(&daemon, "www"));
}

#[test]
fn sighup_changes_the_log_level_and_names_what_needs_a_restart() {
    let daemon = Process::start(&Settings::default().with("log", "level = \"warn\""));
    Account::register(daemon.api());
    assert!(!daemon.log().contains("registered"), "{}", daemon.log());
    let settings = Settings::default().with("log", "level = \"info\"").with("values", "max-values = 7");
    daemon.home().write(&settings);
    daemon.signal(Signal::HUP);
    until("it says so", || daemon.log().contains("restart txtgate to apply it"));
    assert!(daemon.log().contains("`values"), "{}", daemon.log());
    Account::register(daemon.api());
    until("info is logged", || daemon.log().contains("registered"));
    assert_eq!(get(daemon.api(), "/health").status, 200);
}
