//! DNS over TLS (RFC 7858) and over QUIC (RFC 9250): the replies equal those over TCP, and certificates change while in use.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tokio_rustls::rustls::StreamOwned;

use crate::harness::dns::{A, ANY, CAA, Change, Reply, SOA, TXT, Tcp, Udp, ask_tcp, framed, option, query, query_in};
use crate::harness::quic::{Link, Quic};
use crate::harness::tls::{Authority, shown};
use crate::harness::{Account, GRACE, Home, Process, Settings, Watch, ZONE, skip, until, value};

/// Codes that a QUIC connection ends with (RFC 9250 section 4.3).
const NO_ERROR: u64 = 0;
const EXCESSIVE_LOAD: u64 = 4;
/// The EDNS option that hides a message's length.
const PADDING: u16 = 12;
/// Connections that one IPv4 /24 may have open.
const PER_PREFIX: usize = 64;

fn settings() -> Settings {
    let free = "[\"127.0.0.1:0\"]";
    let lines = format!("tls-listen = {free}\nquic-listen = {free}\ncertificate = \"cert.pem\"\nkey = \"key.pem\"");
    Settings::default().with("dns", &lines)
}

struct Lab {
    authority: Authority,
    daemon: Process,
    certificate: Vec<u8>,
    quic: Quic,
}

impl Lab {
    fn start(settings: &Settings) -> Self {
        let authority = Authority::new();
        let home = Home::new(settings);
        let certificate = authority.issue(home.path());
        let quic = Quic::trusting(&authority);
        Self { authority, daemon: home.start(), certificate, quic }
    }

    fn link(&self) -> Link<'_> {
        self.quic.connect(self.daemon.dns_quic())
    }
}

fn soa() -> Vec<u8> {
    query(ZONE, SOA).id(0)
}

#[test]
fn over_quic_everything_is_answered_as_over_tcp() {
    let zone = "dnssec-key = \"zone.key\"";
    let authority = Authority::new();
    let home = Home::new(&settings().zone(zone).with("dns", "version = \"some\"").records("@ CAA 0 issue \"ca\""));
    authority.issue(home.path());
    home.run_ok(&["dnssec", "init", ZONE]);
    let daemon = home.start();
    let account = Account::register(daemon.api());
    (0..61).for_each(|number| account.publish(daemon.api(), &value(number)));
    let silent = Account::register(daemon.api());
    let client = Quic::trusting(&authority);
    let link = client.connect(daemon.dns_quic());
    let names = [&*account.fulldomain, &silent.fulldomain, "nothing.auth.example.org", ZONE, "example.net"];
    let mut asked: Vec<Vec<u8>> =
        names.iter().flat_map(|name| [A, SOA, TXT, CAA, ANY, 48, 128].map(|rtype| query(name, rtype))).collect();
    asked.push(query_in("version.bind", TXT, 3));
    asked.push(query_in(ZONE, SOA, 4));
    asked.push(query(ZONE, SOA).flags(0x2000));
    asked.push(query(ZONE, SOA).count(0, 2));
    asked.push(query(ZONE, SOA)[..17].to_vec());
    for message in asked {
        let message = message.id(0);
        for message in [message.clone(), message.clone().edns(1_232), message.opt(512, 0, 0xc000, &[])] {
            let over_quic = without_padding(link.ask(&message));
            let over_tcp = ask_tcp(daemon.dns(), &message);
            assert_eq!(over_quic, over_tcp.bytes, "{message:02x?}");
        }
    }
    let all = Reply::of(link.ask(&query(&account.fulldomain, TXT).id(0)));
    assert_eq!(all.txts(), (0..61).rev().map(value).collect::<Vec<_>>());
    assert!(!all.is_truncated() && all.bytes.len() > 1_232);
}

/// The reply without the option that fills its last block (RFC 8467 section 4.1), if it has an OPT record to hold one.
fn without_padding(mut reply: Vec<u8>) -> Vec<u8> {
    let Some(padding) = option(&reply, PADDING).map(<[u8]>::len) else {
        assert!(!Reply::of(reply.clone()).has_opt());
        return reply;
    };
    assert_eq!(reply.len() % 468, 0);
    reply.truncate(reply.len() - padding - 4);
    let opt = reply.windows(5).rposition(|window| window == [0, 0, 41, 0x04, 0xd0]).unwrap();
    let rest = (reply.len() - opt - 11) as u16;
    reply[opt + 9..opt + 11].copy_from_slice(&rest.to_be_bytes());
    reply
}

/// RFC 7830 section 4: over TLS too, for who sends the option; and never where everybody can read along.
#[test]
fn a_padded_query_gets_a_padded_reply_over_tls() {
    let lab = Lab::start(&settings());
    let padded = soa().opt(1_232, 0, 0, &[0, 12, 0, 3, 0, 0, 0]);
    let mut tls = lab.authority.connect(lab.daemon.dns_tls(), &["dot"]).0;
    let mut ask = |message: &[u8]| {
        tls.write_all(&framed(message)).unwrap();
        let mut length = [0; 2];
        tls.read_exact(&mut length).unwrap();
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        tls.read_exact(&mut reply).unwrap();
        reply
    };
    let reply = ask(&padded);
    assert_eq!((reply.len(), Reply::of(reply.clone()).of_type(SOA)), (468, 1));
    assert!(option(&reply, PADDING).is_some_and(|padding| padding.iter().all(|byte| *byte == 0)));
    assert_eq!(option(&ask(&soa().edns(1_232)), PADDING), None, "the client does not pad");
    for reply in [ask_tcp(lab.daemon.dns(), &padded).bytes, Udp::to(lab.daemon.dns()).ask(&padded)] {
        assert_eq!(option(&reply, PADDING), None);
    }
}

/// They ended the connection, and UDP cut them off.
#[test]
fn a_query_of_any_length_is_answered_over_every_transport() {
    let lab = Lab::start(&settings());
    let link = lab.link();
    for length in [4_097, 4_200, 20_000, 65_000] {
        let padding = length - soa().len() - 11 - 4;
        let option = [&[0, 12][..], &(padding as u16).to_be_bytes(), &vec![0; padding]].concat();
        let message = soa().opt(1_232, 0, 0, &option);
        assert_eq!(message.len(), length);
        let over_udp = Udp::to(lab.daemon.dns()).ask(&message);
        let over_tcp = ask_tcp(lab.daemon.dns(), &message).bytes;
        let mut tls = lab.authority.connect(lab.daemon.dns_tls(), &["dot"]).0;
        tls.write_all(&framed(&message)).unwrap();
        let mut over_tls = vec![0; 2 + 468];
        tls.read_exact(&mut over_tls).unwrap();
        for reply in [over_udp, over_tcp, over_tls.split_off(2), link.ask(&message)] {
            assert_eq!(Reply::of(reply).of_type(SOA), 1, "{length}");
        }
    }
}

#[test]
fn a_certificate_is_exchanged_while_connections_go_on() {
    let lab = Lab::start(&settings());
    let ask_over_tls = |stream: &mut StreamOwned<_, _>| {
        stream.write_all(&framed(&soa())).unwrap();
        let mut reply = [0; 12];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(reply[9], 1, "one answer: {reply:02x?}");
    };
    let (mut tls, quic) = (lab.authority.connect(lab.daemon.dns_tls(), &["dot"]), lab.link());
    assert_eq!((shown(&tls), quic.shown()), (lab.certificate.clone(), lab.certificate.clone()));
    ask_over_tls(&mut tls.0);
    let second = lab.authority.issue(lab.daemon.home().path());
    assert_ne!(lab.certificate, second);
    lab.daemon.signal(Signal::HUP);
    until("QUIC shows the new certificate", || {
        // The old connection must not become idle meanwhile, however slow the machine is.
        quic.ask(&soa());
        lab.link().shown() == second
    });
    assert_eq!(shown(&lab.authority.connect(lab.daemon.dns_tls(), &["dot"])), second);
    assert_eq!(Reply::of(quic.ask(&soa())).of_type(SOA), 1, "the old connection goes on");
}

#[test]
fn a_full_prefix_loses_its_longest_idle_quic_connection_and_nobody_else_anything() {
    let lab = Lab::start(&settings());
    let mut stream = Tcp::to(lab.daemon.dns());
    let links: Vec<Link<'_>> = (0..PER_PREFIX).map(|_| lab.link()).collect();
    let answers = |link: &Link<'_>| Reply::of(link.ask(&soa())).of_type(SOA) == 1;
    assert!(links.iter().all(answers), "64 may stay");
    assert!(answers(&links[0]));
    let newcomers: Vec<Link<'_>> = (0..4).map(|_| lab.link()).collect();
    assert!(newcomers.iter().all(answers), "nobody is turned away");
    for gone in &links[1..5] {
        assert_eq!(gone.closes_within(Duration::from_secs(5)), Some(EXCESSIVE_LOAD));
    }
    assert!(answers(&links[0]) && answers(&links[5]) && links[5..].iter().all(answers));
    stream.send(&soa());
    assert_eq!(Reply::of(stream.receive()).of_type(SOA), 1, "TCP has places of its own");
}

#[test]
fn garbage_to_the_quic_port_is_no_trouble_for_anybody() {
    let lab = Lab::start(&settings());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (before, quic) = (lab.link(), lab.daemon.dns_quic());
    // Long and short headers, versions that nobody speaks, plain DNS, and what a client's first packet begins with.
    for (number, first) in (0..=255_u8).cycle().take(4_096).enumerate() {
        let mut bytes = vec![first; 1 + number * 37 % 1_400];
        bytes.extend([0, 0, 0, 1, 8, first, first, first, first, first, first, first, first].repeat(8));
        socket.send_to(&bytes, quic).unwrap();
    }
    socket.send_to(&soa(), quic).unwrap();
    assert_eq!(Reply::of(Udp::to(lab.daemon.dns()).ask(&soa())).of_type(SOA), 1);
    for link in [before, lab.link()] {
        assert_eq!(Reply::of(link.ask(&soa())).of_type(SOA), 1);
    }
    assert!(!lab.daemon.log().contains("quinn"), "nobody fills the log with packets");
}

#[test]
fn sigterm_says_goodbye_also_amid_a_handshake() {
    let lab = Lab::start(&settings());
    // Starts a handshake and leaves it there.
    let mut silent = Tcp::to(lab.daemon.dns_tls());
    silent.0.write_all(&[22, 3, 1, 0, 100, 1]).unwrap();
    let Lab { daemon, quic, .. } = lab;
    let address = daemon.dns_quic();
    let link = quic.connect(address);
    link.ask(&soa());
    let (status, took, log) = daemon.terminate();
    assert!(status.success() && took < GRACE, "{status} {took:?}\n{log}");
    assert_eq!(link.closes_within(Duration::from_secs(5)), Some(NO_ERROR));
    UdpSocket::bind(address).expect("the address is free");
}

#[test]
fn the_operator_sees_by_which_way_a_query_came() {
    let lab = Lab::start(&settings());
    let account = Account::register(lab.daemon.api());
    let said = lab.daemon.home().run_ok(&["config", "check"]);
    assert!(said.contains("DNS over TLS on ") && said.contains("DNS over QUIC on "), "{said}");
    let status = lab.daemon.home().run_ok(&["status"]);
    assert!(status.contains(&format!("dns-quic {}", lab.daemon.dns_quic())), "{status}");
    let watch = Watch::over(lab.daemon.home(), &account.subdomain);
    let seen = watch.first(|| _ = lab.link().ask(&query(&account.fulldomain, TXT).id(0)));
    assert_eq!(seen["transport"], "quic");
    let metrics = crate::harness::http::get(lab.daemon.metrics(), "/metrics").body;
    assert!(!metrics.contains("{transport=\"quic\"} 0\n") && metrics.contains("{transport=\"tls\"} 0\n"), "{metrics}");
}

/// What others have written for it.
#[test]
fn kdig_gets_its_answers_over_tls_and_over_quic() {
    if !kdig(&["-h"]).is_some_and(|help| help.contains("]quic")) {
        return skip("kdig over TLS and QUIC", "there is no kdig that speaks both");
    }
    let lab = Lab::start(&settings());
    let account = Account::register(lab.daemon.api());
    account.publish(lab.daemon.api(), &value(7));
    for (way, server) in [("+tls", lab.daemon.dns_tls()), ("+quic", lab.daemon.dns_quic())] {
        let (address, port) = (format!("@{}", server.ip()), server.port().to_string());
        let said = kdig(&[way, "+short", &address, "-p", &port, &account.fulldomain, "TXT"]);
        assert_eq!(said.as_deref(), Some(&*format!("\"{}\"\n", value(7))), "{way}");
    }
}

fn kdig(arguments: &[&str]) -> Option<String> {
    let output = Command::new("kdig").args(arguments).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
