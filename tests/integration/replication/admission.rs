//! Who may transfer, and what the others hear.

use hickory_proto::op::ResponseCode::{FormErr, NoError, NotAuth, NotImp, Refused};

use super::client::{AXFR, IXFR, axfr, ixfr, key, signed_transfer, transfer, transfer_on};
use super::{ANYBODY, home_with, open};
use crate::harness::dns::{Change, Reply, SOA, ask, ask_tcp, query};
use crate::harness::tls::Authority;
use crate::harness::tsig::Key;
use crate::harness::update::Update;
use crate::harness::{Account, Home, Process, Settings, ZONE, until, value};

#[test]
fn without_a_secondary_every_transfer_is_refused() {
    let daemon = Process::start(&Settings::default());
    for message in [query(ZONE, AXFR), ixfr(ZONE, 1), query("other.test", AXFR), query(ZONE, IXFR)] {
        for reply in [ask_tcp(daemon.dns(), &message.clone().edns(1_232)), ask(daemon.dns(), &message.edns(1_232))] {
            assert_eq!((reply.rcode(), reply.ede()), (Refused, Some(18)), "{reply:?}");
        }
    }
    assert!(daemon.log().contains("AXFR refused: no `[[secondary]]` names its network"), "{}", daemon.log());
}

#[test]
fn a_secondary_transfers_from_its_network_alone() {
    let lines = "[[secondary]]\nname = \"ns2\"\nnetworks = [\"127.0.0.2/32\"]";
    let daemon = Process::start(&Settings::default().more(lines));
    let refused = ask_tcp(daemon.dns(), &query(ZONE, AXFR));
    assert_eq!(refused.rcode(), Refused);
    let mut stream = from("127.0.0.2", daemon.dns());
    assert!(transfer_on(&mut stream, &query(ZONE, AXFR)).records.len() > 2);
    // The same connection goes on.
    assert!(transfer_on(&mut stream, &query(ZONE, AXFR)).records.len() > 2);
}

fn from(local: &str, server: std::net::SocketAddr) -> std::net::TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::new(local.parse().unwrap(), 0).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    socket.into()
}

#[test]
fn a_secondary_has_its_zones_alone() {
    let more = "[[zone]]\nname = \"other.test\"\nns = [\"ns1.example.org\"]\ncontact = \"a@example.org\"\n";
    let daemon = Process::start(&Settings::default().more(&format!("{more}{ANYBODY}zones = [\"other.test\"]\n")));
    assert_eq!(ask_tcp(daemon.dns(), &query(ZONE, AXFR)).rcode(), Refused);
    assert!(transfer(daemon.dns(), &query("other.test", AXFR)).records.len() > 2);
}

#[test]
fn a_name_that_is_no_zone_is_not_transferred() {
    let daemon = Process::start(&open());
    for name in ["other.test", &format!("ns1.{ZONE}")] {
        assert_eq!(ask_tcp(daemon.dns(), &query(name, AXFR)).rcode(), NotAuth, "{name}");
    }
}

#[test]
fn requests_that_are_no_transfers_are_format_errors() {
    let daemon = Process::start(&open());
    let chaos = crate::harness::dns::query_in(ZONE, AXFR, 3);
    let other_owner = ixfr("other.test", 1);
    let mut with_other_owner = query(ZONE, IXFR).count(2, 1);
    with_other_owner.extend_from_slice(&other_owner[query("other.test", IXFR).len()..]);
    for message in [chaos, query(ZONE, IXFR), with_other_owner, query(ZONE, AXFR).and(&[0])] {
        assert_eq!(ask_tcp(daemon.dns(), &message).rcode(), FormErr, "{message:02x?}");
    }
}

#[test]
fn over_udp_there_is_no_axfr() {
    let daemon = Process::start(&open());
    let reply = ask(daemon.dns(), &query(ZONE, AXFR).edns(1_232));
    assert_eq!((reply.rcode(), reply.ede()), (Refused, Some(18)));
}

#[test]
fn a_key_must_be_the_secondarys() {
    let home = home_with("tsig-key-file = \"ns2.tsig\"");
    let key = key(home.path());
    let daemon = home.start();
    let unsigned = ask_tcp(daemon.dns(), &query(ZONE, AXFR).edns(1_232));
    assert_eq!((unsigned.rcode(), unsigned.ede()), (Refused, Some(18)));
    assert!(signed_transfer(daemon.dns(), &key, &query(ZONE, AXFR)).records.len() > 2);
    assert!(signed_transfer(daemon.dns(), &key, &query(ZONE, AXFR).edns(1_232)).records.len() > 2);
    for (wrong, error) in [
        (Key { secret: vec![1; 32], ..key.clone() }, 16),
        (Key { name: "ns3.example.org".into(), ..key.clone() }, 17),
        (Key { algorithm: "hmac-sha512".into(), ..key.clone() }, 17),
    ] {
        let (reply, seal) = wrong.exchange(daemon.dns(), &wrong.sign(&query(ZONE, AXFR)));
        assert_eq!((reply.rcode(), seal.error, seal.is_signed), (NotAuth, error, false), "{wrong:?}");
    }
    let (reply, seal) = key.exchange(daemon.dns(), &key.sign_at(&query(ZONE, AXFR), 1_000_000, 300));
    assert_eq!((reply.rcode(), seal.error), (NotAuth, 18));
}

#[test]
fn the_key_of_a_secondary_changes_nothing() {
    let home = home_with("tsig-key-file = \"ns2.tsig\"");
    let key = key(home.path());
    let daemon = home.start();
    let account = Account::register(daemon.api());
    let update = Update::of(ZONE).add(&account.fulldomain, &value(1)).bytes();
    assert_eq!(key.ask(daemon.dns(), &update).rcode(), Refused);
    let reply = key.ask(daemon.dns(), &query(ZONE, SOA));
    assert_eq!((reply.rcode(), reply.of_type(SOA)), (NoError, 1));
    let notify = query(ZONE, SOA).flags(0x2400);
    assert_eq!(key.ask(daemon.dns(), &notify).rcode(), NotImp);
}

#[test]
fn the_key_of_an_account_transfers_nothing_where_a_secondary_has_one() {
    let home = home_with("tsig-key-file = \"ns2.tsig\"");
    key(home.path());
    let daemon = home.start();
    let account = Account::register(daemon.api());
    let made = home.run_ok(&["account", "tsig", "create", &account.username, "--json"]);
    let own = Key::of(&serde_json::from_str(&made).unwrap());
    assert_eq!(own.ask(daemon.dns(), &query(ZONE, AXFR)).rcode(), Refused);
}

#[test]
fn a_reload_admits_and_refuses() {
    let home = Home::new(&Settings::default());
    let daemon = home.start();
    assert_eq!(ask_tcp(daemon.dns(), &query(ZONE, AXFR)).rcode(), Refused);
    home.write(&open());
    daemon.signal(rustix::process::Signal::HUP);
    until("the secondary is admitted", || ask_tcp(daemon.dns(), &query(ZONE, AXFR)).rcode() == NoError);
    home.write(&Settings::default());
    daemon.signal(rustix::process::Signal::HUP);
    until("the secondary is refused", || ask_tcp(daemon.dns(), &query(ZONE, AXFR)).rcode() == Refused);
}

#[test]
fn a_signed_zone_is_transferred_only_without_its_signatures() {
    let settings = |zone: &str| open().zone(&format!("dnssec-key = \"zone.key\"\n{zone}"));
    let home = Home::new(&settings(""));
    home.run_ok(&["dnssec", "init", ZONE]);
    let daemon = home.start();
    let refused = ask_tcp(daemon.dns(), &query(ZONE, AXFR).edns(1_232));
    assert_eq!((refused.rcode(), refused.ede()), (Refused, Some(0)));
    until("the reason is logged", || daemon.log().contains("set `transfer = \"unsigned\"`"));
    home.write(&settings("transfer = \"unsigned\""));
    daemon.signal(rustix::process::Signal::HUP);
    until("the zone is transferred", || ask_tcp(daemon.dns(), &query(ZONE, AXFR)).rcode() == NoError);
    let zone = axfr(daemon.dns()).zone();
    assert!(zone.iter().all(|record| !["DNSKEY", "RRSIG", "NSEC", "CDS"].iter().any(|rtype| record.contains(rtype))));
    assert_eq!(zone.len(), 3, "SOA, NS and an address: {zone:?}");
}

#[test]
fn over_tls_a_transfer_needs_the_token_of_dns() {
    let settings = |lines: &str| {
        let tls = "tls-listen = [\"127.0.0.1:0\"]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"";
        Settings::default().with("dns", tls).more(&format!("{ANYBODY}{lines}\n"))
    };
    let home = Home::new(&settings("tls-only = true"));
    let authority = Authority::new();
    authority.issue(home.path());
    let daemon = home.start();
    let plain = ask_tcp(daemon.dns(), &query(ZONE, AXFR).edns(1_232));
    assert_eq!((plain.rcode(), plain.ede()), (Refused, Some(18)));
    let mut with_token = authority.connect(daemon.dns_tls(), &["dot"]).0;
    assert!(transfer_on(&mut with_token, &query(ZONE, AXFR)).records.len() > 2);
    assert!(transfer_on(&mut with_token, &ixfr(ZONE, 1)).records.len() > 2);
    let mut without = Connection(authority.connect(daemon.dns_tls(), &[]).0);
    let reply = without.ask(&query(ZONE, AXFR).edns(1_232));
    assert_eq!((reply.rcode(), reply.ede()), (Refused, Some(18)));
    // Other queries need no token.
    assert_eq!(without.ask(&query(ZONE, SOA)).rcode(), NoError);
    let old = authority.connect_tls12(daemon.dns_tls(), &["dot"]);
    assert_eq!(Connection(old.0).ask(&query(ZONE, AXFR)).rcode(), Refused);
}

/// One query at a time over any connection.
struct Connection<S>(S);

impl<S: std::io::Read + std::io::Write> Connection<S> {
    fn ask(&mut self, message: &[u8]) -> Reply {
        self.0.write_all(&crate::harness::dns::framed(message)).unwrap();
        let mut length = [0; 2];
        self.0.read_exact(&mut length).unwrap();
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        self.0.read_exact(&mut reply).unwrap();
        Reply::of(reply)
    }
}

#[test]
fn transfers_are_counted_and_watched() {
    let daemon = Process::start(&open());
    let serial = axfr(daemon.dns()).serial();
    transfer(daemon.dns(), &ixfr(ZONE, serial));
    ask(daemon.dns(), &query(ZONE, AXFR));
    let metrics = crate::harness::http::get(daemon.metrics(), "/metrics").body;
    for (kind, result) in [("AXFR", "whole"), ("IXFR", "soa"), ("AXFR", "refused")] {
        let line = format!("txtgate_transfers_total{{kind=\"{kind}\",result=\"{result}\"}} 1\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    assert!(metrics.contains("txtgate_transfer_seconds_count 2\n"), "{metrics}");
    let log = daemon.log();
    assert!(log.contains("AXFR sent") && log.contains("secondary=\"ns2\""), "{log}");
}
