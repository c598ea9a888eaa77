//! Transfers of differences.

use super::client::{axfr, ixfr, key, served_serial, signed_transfer, transfer};
use super::{home_with, open};
use crate::harness::dns::{Change, Reply, Udp, ask};
use crate::harness::{Account, Process, ZONE, until, value};

use super::client::Transferred;

fn over_udp(daemon: &Process, message: &[u8]) -> Transferred {
    let mut reply = Some(ask(daemon.dns(), message));
    Transferred::read(|| reply.take().expect("one message"))
}

#[test]
fn differences_lead_from_each_serial_to_the_present_zone() {
    let daemon = Process::start(&open());
    let accounts: Vec<Account> = (0..4).map(|_| Account::register(daemon.api())).collect();
    let mut versions = vec![(axfr(daemon.dns()).serial(), axfr(daemon.dns()).zone())];
    for number in 0..12 {
        let account = &accounts[number % 3];
        match number % 4 {
            3 => {
                let body = account.body(&value(number as u64 - 3));
                assert!(account.send(daemon.api(), "DELETE", "/v1/txt", &body).status < 300);
            }
            _ => account.publish(daemon.api(), &value(number as u64)),
        }
        let whole = axfr(daemon.dns());
        versions.push((whole.serial(), whole.zone()));
    }
    daemon.home().run_ok(&["account", "disable", &accounts[0].username]);
    daemon.home().run_ok(&["account", "enable", &accounts[0].username]);
    daemon.home().run_ok(&["account", "disable", &accounts[1].username]);
    let present = axfr(daemon.dns());
    for (serial, mut zone) in versions {
        let transferred = transfer(daemon.dns(), &ixfr(ZONE, serial));
        assert!(transferred.is_incremental(), "from {serial}: {transferred:?}");
        transferred.apply(&mut zone);
        assert_eq!(zone, present.zone(), "from {serial}");
    }
}

#[test]
fn the_present_serial_and_a_later_one_get_the_soa_record_alone() {
    let daemon = Process::start(&open());
    let serial = served_serial(daemon.dns());
    for known in [serial, serial + 1, serial + 1_000_000] {
        assert!(transfer(daemon.dns(), &ixfr(ZONE, known)).is_soa_alone(), "{known}");
        assert!(over_udp(&daemon, &ixfr(ZONE, known)).is_soa_alone(), "{known}");
    }
}

#[test]
fn an_unknown_serial_and_one_from_before_the_start_get_the_whole_zone() {
    let daemon = Process::start(&open());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    let before = served_serial(daemon.dns());
    let unknown = transfer(daemon.dns(), &ixfr(ZONE, before - 1_000_000));
    assert_eq!(unknown.zone(), axfr(daemon.dns()).zone());
    let home = daemon.home().clone();
    daemon.kill();
    let daemon = home.start();
    account.publish(daemon.api(), &value(2));
    assert_eq!(transfer(daemon.dns(), &ixfr(ZONE, before)).zone(), axfr(daemon.dns()).zone());
    assert!(over_udp(&daemon, &ixfr(ZONE, before)).is_soa_alone(), "over UDP it must ask again over TCP");
}

#[test]
fn over_udp_differences_come_if_they_fit() {
    let daemon = Process::start(&open());
    let account = Account::register(daemon.api());
    let serial = served_serial(daemon.dns());
    let mut zone = axfr(daemon.dns()).zone();
    account.publish(daemon.api(), &value(1));
    over_udp(&daemon, &ixfr(ZONE, serial)).apply(&mut zone);
    assert_eq!(zone, axfr(daemon.dns()).zone());
    for number in 2..12 {
        account.publish(daemon.api(), &value(number));
    }
    let short = over_udp(&daemon, &ixfr(ZONE, serial));
    assert!(short.is_soa_alone() && short.serial() == served_serial(daemon.dns()));
    let reply = Udp::to(daemon.dns()).ask(&ixfr(ZONE, serial).edns(1_232));
    assert!(Reply::of(reply).bytes.len() <= 1_232);
}

#[test]
fn differences_are_signed() {
    let home = home_with("tsig-key-file = \"ns2.tsig\"");
    let key = key(home.path());
    let daemon = home.start();
    let account = Account::register(daemon.api());
    let serial = served_serial(daemon.dns());
    account.publish(daemon.api(), &value(1));
    assert!(signed_transfer(daemon.dns(), &key, &ixfr(ZONE, serial)).is_incremental());
    let over_udp = key.ask_udp(daemon.dns(), &ixfr(ZONE, serial).edns(1_232));
    assert_eq!(over_udp.answers().len(), 5);
}

#[test]
fn a_reload_that_changes_nothing_keeps_the_journal_and_other_records_end_it() {
    let daemon = Process::start(&open());
    let home = daemon.home().clone();
    let account = Account::register(daemon.api());
    let mut zone = axfr(daemon.dns()).zone();
    let first = served_serial(daemon.dns());
    account.publish(daemon.api(), &value(1));
    let serial = served_serial(daemon.dns());
    daemon.signal(rustix::process::Signal::HUP);
    until("the reload", || served_serial(daemon.dns()) != serial);
    transfer(daemon.dns(), &ixfr(ZONE, first)).apply(&mut zone);
    assert_eq!(zone, axfr(daemon.dns()).zone());
    home.write(&open().records("www A 192.0.2.1"));
    let serial = served_serial(daemon.dns());
    daemon.signal(rustix::process::Signal::HUP);
    until("the reload", || served_serial(daemon.dns()) != serial);
    for old in [first, serial] {
        let transferred = transfer(daemon.dns(), &ixfr(ZONE, old));
        assert!(!transferred.is_incremental(), "{transferred:?}");
        assert!(transferred.zone().iter().any(|record| record.contains("www")));
    }
}
