//! Queries that look like a validation where nothing is to be validated.

use crate::harness::dns::{TXT, Udp, query};
use crate::harness::http::get;
use crate::harness::ports::free_port;
use crate::harness::receiver::Receiver;
use crate::harness::{Account, Launch, Process, Settings, until, value};

use super::{home, open, run_for};

/// Asks for TXT from so many networks, as a CA does.
fn validate(daemon: &Process, name: &str, networks: std::ops::Range<u8>) {
    for network in networks {
        Udp::from(&format!("127.0.{network}.1"), daemon.dns()).ask(&query(name, TXT));
    }
}

#[test]
fn a_validation_where_nobody_has_published_is_an_alarm_and_others_are_none() {
    let address = free_port();
    let receiver = Receiver::start(address, &[]);
    let home = home(Settings::default(), address, "");
    let daemon = home.start();
    let [used, unused, asked_by_one] = [(); 3].map(|()| Account::register(daemon.api()));
    // Unknown networks: nothing is learnt yet.
    validate(&daemon, &unused.fulldomain, 11..16);
    used.publish(daemon.api(), &value(1));
    validate(&daemon, &used.fulldomain, 1..6);
    // The client's own check, or its resolver's.
    validate(&daemon, &asked_by_one.fulldomain, 1..2);
    // A validation again, of a value that is live, and of one that was until now.
    validate(&daemon, &used.fulldomain, 1..6);
    let all = format!(r#"{{"subdomain":"{}"}}"#, used.subdomain);
    assert_eq!(used.send(daemon.api(), "DELETE", "/v1/txt", &all).status, 200);
    validate(&daemon, &used.fulldomain, 1..6);
    // The threads of the daemon hand their queries over one after the other, so the CA's networks may be known only now.
    until("the alarm is reported", || {
        validate(&daemon, &unused.fulldomain, 1..5);
        !receiver.taken().is_empty()
    });
    until("it is open", || open(&home) == 1);
    let [alarm] = &receiver.taken()[..] else { panic!("one alarm: {:?}", receiver.taken()) };
    assert_eq!(alarm.says(), ["matter.begun", "unexpected-validation", &unused.fulldomain].map(str::to_owned));
    let details = alarm.message["data"]["details"].as_str().unwrap();
    assert!(details.contains(" networks from which CAs validate asked for TXT"), "{details}");
    assert!(details.contains("127.0.1.0/24") && details.contains("has never published"), "{details}");
}

/// Publishes with an account, as a CA then validates.
fn renew(daemon: &Process, account: &Account, number: u64) {
    account.publish(daemon.api(), &value(number));
    validate(daemon, &account.fulldomain, 1..6);
}

/// Waits until a restarted daemon has looked for alarms: it reports one of another kind.
fn alarm_of_another_kind(daemon: &Process, receiver: &Receiver) {
    let (before, empty) = (receiver.taken().len(), Account::register(daemon.api()));
    until("the other alarm is reported", || {
        validate(daemon, &empty.fulldomain, 1..5);
        receiver.taken().len() > before
    });
    let last = receiver.taken().pop().unwrap().says();
    assert_eq!(last, ["matter.begun", "unexpected-validation", &empty.fulldomain].map(str::to_owned));
}

#[test]
fn a_validation_for_an_account_that_was_unused_for_long_is_reported_once() {
    let address = free_port();
    let receiver = Receiver::start(address, &[]);
    let home = home(Settings::default(), address, "");
    let daemon = home.start();
    let [forgotten, regular, asked_by_nobody, new] = [(); 4].map(|()| Account::register(daemon.api()));
    for account in [&forgotten, &regular, &asked_by_nobody] {
        renew(&daemon, account, 1);
    }
    daemon.kill();
    run_for(&home, 150);
    let daemon = home.start();
    // Its second publication: no rhythm is learnt yet.
    renew(&daemon, &regular, 2);
    daemon.kill();
    run_for(&home, 60);
    let daemon = home.start();
    renew(&daemon, &regular, 3);
    // The first publication, long after the registration.
    renew(&daemon, &new, 3);
    asked_by_nobody.publish(daemon.api(), &value(3));
    renew(&daemon, &forgotten, 3);
    until("the alarm is reported", || !receiver.taken().is_empty());
    let says = |event: &str| [event, "unused-account", &forgotten.username].map(str::to_owned);
    let alarm = &receiver.taken()[0];
    assert_eq!(alarm.says(), says("matter.begun"));
    let details = alarm.message["data"]["details"].as_str().unwrap();
    assert!(details.contains("127.0.1.0/24") && details.contains("had published nothing for 210 days"), "{details}");
    assert!(home.run_ok(&["status"]).contains("whose account had published nothing for 210 days"));
    let metric = "\ntxtgate_open_matters{kind=\"unused-account\"} 1\n";
    assert!(get(daemon.metrics(), "/metrics").body.contains(metric));
    // Again, and over a restart: the same matter.
    renew(&daemon, &forgotten, 4);
    alarm_of_another_kind(&daemon, &receiver);
    daemon.terminate();
    let daemon = home.start();
    renew(&daemon, &forgotten, 5);
    alarm_of_another_kind(&daemon, &receiver);
    let kinds = |event: &str| receiver.taken().iter().filter(|one| one.says() == says(event)).count();
    assert_eq!((kinds("matter.begun"), kinds("matter.over"), receiver.taken().len()), (1, 0, 3));
    daemon.terminate();
    // Without this alarm there is none that lasts.
    let environment = vec![("TXTGATE_NOTIFY__UNUSED_ACCOUNT", "0s")];
    let daemon = home.launch(&Launch { environment, ..Launch::default() });
    until("the end is reported", || kinds("matter.over") == 1);
    renew(&daemon, &forgotten, 6);
    alarm_of_another_kind(&daemon, &receiver);
    assert_eq!((kinds("matter.begun"), kinds("matter.over")), (1, 1));
}
