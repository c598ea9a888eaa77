//! A receiver that flaps, and a daemon that is killed.

use std::collections::BTreeMap;

use crate::harness::http::get;
use crate::harness::ports::free_port;
use crate::harness::receiver::{Does, Received, Receiver};
use crate::harness::standin::{ResponsePolicy, StandIn, What};
use crate::harness::{Settings, ZONE, until};

use super::{FULL, home, open, report, told};

/// Each message under one id, signed in every attempt, and taken once.
fn assert_once_each(received: &[Received]) {
    assert!(received.iter().all(|one| one.signed), "{received:?}");
    let mut ids: BTreeMap<[String; 3], &str> = BTreeMap::new();
    for one in received {
        assert_eq!(*ids.entry(one.says()).or_insert(&one.id), one.id, "another id for the same message");
        assert_eq!(one.message["id"], one.id.as_str());
    }
    let taken = received.iter().filter(|one| one.became == Does::Answers(200));
    let mut taken: Vec<_> = taken.map(|one| one.id.as_str()).collect();
    taken.sort_unstable();
    let count = taken.len();
    taken.dedup();
    assert_eq!(taken.len(), count, "a message was taken twice: {received:?}");
}

#[test]
fn messages_pass_a_receiver_that_flaps_signed_and_once_each() {
    let ca = StandIn::start(ResponsePolicy::default());
    ca.always("/new-account", What::Refuse(403, "unauthorized", None));
    let table = |number| format!("[[certificate]]\nname = \"c{number}\"\nnames = [\"{ZONE}\"]\n");
    let certificates: String = (0..4).map(table).collect();
    let address = free_port();
    let home = home(ca.settings().more(&certificates), address, FULL);
    let daemon = home.start();
    // Refused: nobody listens.
    until("the webhook fails", || report(&home)["channels"][0]["failures"] != 0);
    let said = home.run_ok(&["status"]);
    assert!(said.contains("notifications by webhook to http://127.0.0.1") && !said.contains("token"), "{said}");
    let script =
        [Does::Resets, Does::Answers(500), Does::Answers(200), Does::Hangs, Does::Answers(302), Does::Answers(200)];
    let receiver = Receiver::start(address, &script);
    until("all messages are taken", || receiver.taken().len() == 5);
    until("the daemon knows", || report(&home)["channels"][0]["waiting"] == 0);
    let received = receiver.received();
    assert_eq!(received.len(), 9, "{received:?}");
    assert_once_each(&received);
    let mut kinds: Vec<_> = receiver.taken().iter().map(|one| one.says()[1].clone()).collect();
    kinds.sort();
    assert_eq!(kinds[..2], ["disk-nearly-full", "renewal-failed"], "{kinds:?}");
    assert!(report(&home)["channels"][0]["problem"].is_null());
    let metrics = get(daemon.metrics(), "/metrics").body;
    for line in [
        "txtgate_notifications_total{channel=\"webhook\",result=\"delivered\"} 5",
        "txtgate_open_matters{kind=\"renewal-failed\"} 4",
        "txtgate_open_matters{kind=\"clock\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let log = daemon.log();
    assert!(log.contains("redirects are not followed") || log.contains("a message is not delivered"), "{log}");
    assert!(!log.contains("token=1") && !log.contains("whsec_"), "{log}");
}

#[test]
fn a_renewal_that_fails_and_recovers_is_two_messages_also_through_kills() {
    let ca = StandIn::start(ResponsePolicy { knows_names: true, ..ResponsePolicy::default() });
    ca.fault("/new-order", What::Refuse(500, "serverInternal", None));
    let address = free_port();
    let settings = ca.settings().more(&format!("[[certificate]]\nname = \"c\"\nnames = [\"{ZONE}\"]\n"));
    let home = home(settings, address, "");
    let daemon = home.start();
    until("it is reported", || open(&home) == 1);
    let matter = report(&home)["matters"][0]["id"].clone();
    // The message is on disk before the first attempt to deliver it.
    until("the webhook fails", || report(&home)["channels"][0]["failures"] != 0);
    daemon.kill();
    ca.fault("/new-order", What::Refuse(500, "serverInternal", None));
    let daemon = home.start();
    let has_failed = || home.run_ok(&["cert", "list", "--json"]).contains("serverInternal");
    until("it has failed in this run", has_failed);
    until("the webhook fails again", || report(&home)["channels"][0]["failures"] != 0);
    daemon.kill();
    ca.fault("/new-order", What::Refuse(500, "serverInternal", None));
    let receiver = Receiver::start(address, &[]);
    let _daemon = home.start();
    until("the beginning is taken", || receiver.taken().len() == 1);
    until("it has failed in this run", has_failed);
    home.run_ok(&["cert", "renew", "c"]);
    until("the end is taken", || receiver.taken().len() == 2);
    until("nothing waits", || report(&home)["channels"][0]["waiting"] == 0 && open(&home) == 0);
    let says: Vec<_> = receiver.received().iter().map(Received::says).collect();
    let message = |event: &str| [event, "renewal-failed", "c"].map(str::to_owned);
    assert_eq!(says, [message("matter.begun"), message("matter.over")]);
    let [begun, over] = &receiver.received()[..] else { panic!("two") };
    assert_eq!((&begun.message["data"]["matter"], &over.message["data"]["matter"]), (&matter, &matter));
    assert!(begun.message["data"]["details"].as_str().unwrap().contains("serverInternal"), "{begun:?}");
}

#[test]
fn a_disk_that_is_nearly_full_is_reported_once_and_so_is_its_end_after_a_restart() {
    let address = free_port();
    let receiver = Receiver::start(address, &[]);
    let home = home(Settings::default(), address, FULL);
    let daemon = home.start();
    until("it is reported", || receiver.taken().len() == 1);
    let said = home.run_ok(&["status"]);
    assert!(said.contains("1 problem") && said.contains("the disk is nearly full: "), "{said}");
    until("the daemon knows", || report(&home)["channels"][0]["waiting"] == 0);
    daemon.kill();
    home.write(&told(Settings::default(), address, ""));
    let _daemon = home.start();
    until("the end is reported", || receiver.taken().len() == 2);
    let events: Vec<_> = receiver.received().iter().map(|one| one.says()[0].clone()).collect();
    assert_eq!(events, ["matter.begun", "matter.over"]);
    assert_once_each(&receiver.received());
}
