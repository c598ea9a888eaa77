//! The lab itself: its nameservers refer, sign and fail as a set-up says.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use hickory_proto::serialize::binary::BinEncodable;

use crate::harness::Process;
use crate::harness::dns::{A, CNAME, Change, NS, Reply, TXT, Udp, ask, ask_tcp, query};
use crate::harness::lab::{DAEMON, Lab, PARENT, ROOT, TLD, USER, parent, zone_at};
use crate::harness::nameserver::Fault;
use crate::harness::signer::Signer;

use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

const DS: u16 = 43;
const RRSIG: u16 = 46;

#[test]
fn a_lab_refers_from_the_root_to_the_daemons_zone() {
    let mut lab = Lab::new();
    lab.parent("auth NS ns1.auth\nns1.auth A 127.0.1.53\nns1.auth AAAA ::1\n*.wild CNAME end\nend TXT \"x\"");
    for server in [ROOT, TLD, PARENT] {
        let referral = ask(lab.at(server), &query("ns1.auth.example.org", A));
        assert!(!referral.is_authoritative() && referral.counts()[2] == 1, "{server}: {referral:?}");
    }
    assert_eq!(ask(lab.at(PARENT), &query("auth.example.org", NS)).counts(), [1, 0, 1, 2]);
    let ds = ask(lab.at(PARENT), &query("auth.example.org", DS));
    assert!(ds.is_authoritative() && ds.counts()[1] == 0, "{ds:?}");
    let wild = ask(lab.at(PARENT), &query("a.b.wild.example.org", CNAME));
    assert_eq!(wild.counts()[1], 1);
    assert_eq!(ask(lab.at(PARENT), &query("wild.example.org", TXT)).counts()[1], 0);
    assert_eq!(ask(lab.at(PARENT), &query("x.test", TXT)).rcode(), ResponseCode::Refused);
}

#[test]
fn each_fault_shows_on_the_wire() {
    let mut lab = Lab::empty();
    let question = query("LONG.example.org", TXT);
    let faults = [
        Fault::Silent,
        Fault::UdpClosed,
        Fault::TcpClosed,
        Fault::Rcode(ResponseCode::ServFail),
        Fault::RcodeFor(RecordType::TXT, ResponseCode::Refused),
        Fault::LowerCase,
        Fault::DropsEdns,
        Fault::DropsLarger(200),
        Fault::NoAuthority,
    ];
    let servers: Vec<_> = (1..).zip(faults).map(|(number, fault)| (format!("127.0.1.{number}"), fault)).collect();
    for (server, fault) in &servers {
        lab.serve(server, vec![parent(&format!("long TXT {}", "x".repeat(250)))], &[*fault]);
    }
    let at = |fault: Fault| lab.at(&servers.iter().find(|(_, other)| *other == fault).unwrap().0);
    let asked = |fault: Fault, message: &[u8]| {
        let udp = Udp::to(at(fault));
        udp.send(message);
        udp.receive_within(Duration::from_millis(300)).map(Reply::of)
    };
    assert!(asked(Fault::Silent, &question).is_none());
    assert!(UdpSocket::bind(at(Fault::UdpClosed)).is_ok() && TcpStream::connect(at(Fault::TcpClosed)).is_err());
    assert!(ask_tcp(at(Fault::UdpClosed), &question).is_authoritative());
    for (fault, rcode) in servers.iter().filter_map(|(_, fault)| match fault {
        Fault::Rcode(rcode) | Fault::RcodeFor(_, rcode) => Some((*fault, *rcode)),
        _ => None,
    }) {
        assert_eq!(asked(fault, &question).unwrap().rcode(), rcode);
    }
    let lowered = asked(Fault::LowerCase, &question).unwrap();
    assert!(lowered.bytes[12..].starts_with(b"\x04long") && lowered.is_authoritative());
    assert!(asked(Fault::TcpClosed, &question).unwrap().bytes[12..].starts_with(b"\x04LONG"));
    assert!(asked(Fault::DropsEdns, &question).is_some());
    assert!(asked(Fault::DropsEdns, &question.clone().edns(1_232)).is_none());
    assert!(asked(Fault::DropsLarger(200), &question).is_none());
    assert!(asked(Fault::DropsLarger(200), &query("example.org", NS)).is_some());
    assert!(!asked(Fault::NoAuthority, &question).unwrap().is_authoritative());
}

#[test]
fn a_signed_zone_has_signatures_for_those_who_ask() {
    let mut lab = Lab::empty();
    let signer = Signer::new();
    lab.serve(
        USER,
        vec![zone_at("example.org", USER, "auth NS ns").with(signer.ds("auth.example.org.")).signed(&signer)],
        &[],
    );
    let signed = |name: &str, rtype: u16| ask(lab.at(USER), &query(name, rtype).opt(1_232, 0, 0x8000, &[]));
    assert_eq!(signed("example.org", NS).of_type(RRSIG), 1);
    assert_eq!(ask(lab.at(USER), &query("example.org", NS)).of_type(RRSIG), 0);
    let referral = signed("auth.example.org", TXT);
    assert_eq!(referral.counts()[2], 3, "NS, DS and the signature of the DS: {referral:?}");
    assert_eq!((signed("auth.example.org", DS).of_type(DS), signed("auth.example.org", DS).of_type(RRSIG)), (1, 1));
}

#[test]
fn signatures_expire_or_are_wrong_as_a_test_wants() {
    let signer = Signer::new();
    let apex = "example.org.".parse().unwrap();
    let records = [signer.dnskey(&apex)];
    let rdata = |signer: &Signer| signer.signatures(&apex, &records)[0].data.to_bytes().unwrap();
    let expiration = |signer: &Signer| u32::from_be_bytes(rdata(signer)[8..12].try_into().unwrap());
    assert_eq!(expiration(&signer.clone().expired()), expiration(&signer) - 2 * 86_400);
    assert_eq!(rdata(&signer.forging()).len(), 18 + 13 + 64);
}

#[test]
fn a_daemon_stands_in_the_lab() {
    let mut lab = Lab::new();
    lab.parent(&format!("auth NS ns1.auth\nns1.auth A {DAEMON}"));
    lab.user("example.com", "_acme-challenge CNAME x.auth.example.org.");
    let daemon = Process::start(&lab.settings());
    assert_eq!((daemon.dns(), lab.hints()), (lab.at(DAEMON), format!("{ROOT}:{}", lab.port())));
    assert_eq!(ask(lab.at(DAEMON), &query("auth.example.org", NS)).counts()[1], 1);
    let daemon = Process::start(&lab.settings_at(&["127.0.1.54"]));
    assert_eq!(daemon.dns(), lab.at("127.0.1.54"));
}
