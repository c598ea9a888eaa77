//! NOTIFY to secondaries that the test plays, and what is told of them.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{key, served_serial};
use crate::harness::dns::{Change, Reply, SOA, query};
use crate::harness::{Account, Home, PATIENCE, Process, Settings, ZONE, until, value};

/// A secondary that listens, and answers as it is told.
struct Secondary(UdpSocket);

impl Secondary {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The next message with this opcode, and its sender.
    fn next(&self, opcode: u8) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 4_096];
        loop {
            let (length, from) = self.0.recv_from(&mut buffer).expect("a message");
            if buffer[2] >> 3 & 0xf == opcode {
                return (buffer[..length].to_vec(), from);
            }
        }
    }

    fn notified(&self) -> (Vec<u8>, SocketAddr) {
        self.next(4)
    }

    /// Whether nothing comes for a while.
    fn is_silent_for(&self, time: Duration) -> bool {
        self.0.set_read_timeout(Some(time)).unwrap();
        let end = Instant::now() + time;
        let mut is_silent = true;
        while is_silent && Instant::now() < end {
            let mut buffer = [0; 4_096];
            // The daemon also asks for the serial.
            is_silent = self.0.recv_from(&mut buffer).is_err() || buffer[2] >> 3 & 0xf != 4;
        }
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        is_silent
    }

    fn send(&self, message: &[u8], to: SocketAddr) {
        self.0.send_to(message, to).unwrap();
    }
}

/// The reply to a NOTIFY.
fn reply_to(notify: &[u8], rcode: u8) -> Vec<u8> {
    let end = 12 + query(ZONE, SOA).len() - 12;
    let mut reply = notify[..end].to_vec();
    reply[2] |= 0x80;
    reply[3] = rcode;
    reply[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    reply
}

/// The serial in a NOTIFY, whose form is checked.
fn serial_of(notify: &[u8]) -> u32 {
    let reply = Reply::of(notify.to_vec());
    assert_eq!(notify[2], 0x24, "NOTIFY and AA");
    assert_eq!(reply.counts()[..3], [1, 1, 0]);
    assert_eq!(reply.message.queries[0].name().to_string(), format!("{ZONE}."));
    super::client::serial_of(&reply.answers()[0]).expect("a SOA record")
}

fn settings(secondary: &Secondary, more: &str) -> Settings {
    let lines = format!(
        "[[secondary]]\nname = \"ns2\"\nnetworks = [\"127.0.0.1/32\"]\nnotify = [\"{}\"]\n{more}\n",
        secondary.address()
    );
    Settings::default().more(&lines)
}

fn report(home: &Home) -> Value {
    let status: Value = serde_json::from_str(&home.run_ok(&["status", "--json"])).unwrap();
    status["secondaries"][0].clone()
}

#[test]
fn a_start_and_each_change_are_told() {
    let secondary = Secondary::new();
    let daemon = Process::start(&settings(&secondary, ""));
    let (first, from) = secondary.notified();
    assert_eq!(serial_of(&first), served_serial(daemon.dns()));
    assert_eq!(from.ip(), daemon.dns().ip());
    secondary.send(&reply_to(&first, 0), from);
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    let served = served_serial(daemon.dns());
    until("the newest serial is told", || {
        let (notify, from) = secondary.notified();
        secondary.send(&reply_to(&notify, 0), from);
        serial_of(&notify) == served
    });
    until("the acknowledgement is told", || report(daemon.home())["notified"] == served);
    assert!(secondary.is_silent_for(Duration::from_millis(1_500)), "nothing is told twice once it is acknowledged");
}

#[test]
fn a_notify_without_a_reply_is_sent_again() {
    let secondary = Secondary::new();
    let daemon = Process::start(&settings(&secondary, ""));
    let (first, _) = secondary.notified();
    let (second, from) = secondary.notified();
    assert_eq!(serial_of(&first), serial_of(&second));
    assert_ne!(first[..2], second[..2], "another id");
    // The reply to the first has another id, and one from elsewhere is none.
    secondary.send(&reply_to(&first, 0), from);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&reply_to(&second, 0), from).unwrap();
    until("what is wrong is told", || {
        report(daemon.home())["problem"].as_str().is_some_and(|problem| problem.contains("does not reply to NOTIFY"))
    });
    let (third, from) = secondary.notified();
    secondary.send(&reply_to(&third, 0), from);
    until("it is acknowledged", || report(daemon.home())["notified"] == serial_of(&third));
}

#[test]
fn a_refusal_is_told() {
    let secondary = Secondary::new();
    let daemon = Process::start(&settings(&secondary, ""));
    let (notify, from) = secondary.notified();
    secondary.send(&reply_to(&notify, 5), from);
    until("the refusal is told", || report(daemon.home()).to_string().contains("refuses the NOTIFY with"));
    let text = daemon.home().run_ok(&["status"]);
    assert!(text.contains(&format!("ns2 at {}", secondary.address())), "{text}");
    let metrics = crate::harness::http::get(daemon.metrics(), "/metrics").body;
    assert!(metrics.contains("txtgate_notifies_total{result=\"refused\"} "), "{metrics}");
}

#[test]
fn a_notify_is_signed_and_so_must_the_reply_be() {
    let secondary = Secondary::new();
    let home = Home::new(&settings(&secondary, "tsig-key-file = \"ns2.tsig\""));
    let key = key(home.path());
    let daemon = home.start();
    let (notify, from) = secondary.notified();
    let opened = key.open_request(&notify);
    secondary.send(&reply_to(&opened, 0), from);
    let (notify, from) = secondary.notified();
    let opened = key.open_request(&notify);
    assert!(report(&home)["notified"].is_null(), "an unsigned reply counts for nothing");
    secondary.send(&key.sign_reply(&reply_to(&opened, 0), &notify), from);
    until("it is acknowledged", || report(&home)["notified"] == served_serial(daemon.dns()));
}

#[test]
fn the_serial_of_a_secondary_is_told() {
    // Another daemon has a zone of the same name.
    let daemon = Process::start(&super::open());
    let lines =
        format!("[[secondary]]\nname = \"ns2\"\nnetworks = [\"127.0.0.1/32\"]\nnotify = [\"{}\"]\n", daemon.dns());
    let other = Process::start(&Settings::default().more(&lines));
    until("the serial is told", || report(other.home())["serial"] == served_serial(daemon.dns()));
    let problem = report(other.home())["problem"].clone();
    assert!(problem.as_str().is_some_and(|problem| problem.contains("Not Implemented")), "{problem}");
    let metrics = || crate::harness::http::get(other.metrics(), "/metrics").body;
    until("the lag is measured", || metrics().contains("txtgate_secondary_lag{secondary=\"ns2\""));
}

#[test]
fn a_flood_of_changes_shares_messages() {
    let secondary = Secondary::new();
    let daemon = Process::start(&settings(&secondary, ""));
    let account = Account::register(daemon.api());
    let (first, from) = secondary.notified();
    secondary.send(&reply_to(&first, 0), from);
    let started = Instant::now();
    for number in 0..200 {
        account.publish(daemon.api(), &value(number));
    }
    let took = started.elapsed();
    let served = served_serial(daemon.dns());
    let mut messages = 0;
    until("the newest serial is told", || {
        let (notify, from) = secondary.notified();
        messages += 1;
        secondary.send(&reply_to(&notify, 0), from);
        serial_of(&notify) == served
    });
    // One in 50 ms, and some that were sent again meanwhile.
    let most = took.as_millis() / 50 + 10;
    assert!(messages <= most, "{messages} messages in {took:?}");
}

#[test]
fn a_notify_from_others_is_not_for_us() {
    let daemon = Process::start(&super::open());
    let notify = query(ZONE, SOA).flags(0x2400);
    let reply = crate::harness::dns::ask(daemon.dns(), &notify);
    assert_eq!(reply.rcode(), hickory_proto::op::ResponseCode::NotImp);
}
