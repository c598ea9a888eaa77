//! What an UPDATE may do (RFC 2136), and what is replied where it may not.

use std::io::{Read, Write};

use hickory_proto::op::ResponseCode::{self, *};

use super::{Site, account_with_key};
use crate::harness::dns::{A, ANY, CAA, Change, NS, Reply, SOA, TXT, ask, framed, option, query, question, wire_name};
use crate::harness::quic::Quic;
use crate::harness::tls::Authority;
use crate::harness::tsig::Key;
use crate::harness::update::{ANY_CLASS, IN, NONE, Update, record, string};
use crate::harness::{Home, Process, Settings, ZONE, value};

impl Site {
    fn update(&self, update: &Update) -> Reply {
        self.key.ask(self.daemon.dns(), &update.bytes())
    }

    #[track_caller]
    fn expect(&self, update: &Update, rcode: ResponseCode) {
        let reply = self.update(update);
        assert_eq!((reply.rcode(), reply.bytes[2] & 0xf8), (rcode, 0xa8), "{update:?}");
    }
}

fn zone() -> Update {
    Update::of(ZONE)
}

#[test]
fn values_come_and_go_over_udp_and_tcp() {
    let site = Site::new();
    let (name, server) = (site.name(), site.daemon.dns());
    site.expect(&zone().add(name, &value(1)), NoError);
    assert_eq!(site.served(), [value(1)], "at once");
    let reply = site.key.ask_udp(server, &zone().add(name, &value(2)).bytes());
    assert_eq!((reply.rcode(), reply.counts()), (NoError, [1, 0, 0, 0]));
    assert_eq!(site.served(), [value(2), value(1)]);
    site.expect(&zone().add(name, &value(1)).id(7), NoError);
    assert_eq!(site.served(), [value(1), value(2)], "adding again is not an error and evicts nothing");
    for id in 1..3 {
        site.expect(&zone().delete(name, &value(2)).id(id), NoError);
        assert_eq!(site.served(), [value(1)], "deleting what is gone is not an error");
    }
    site.expect(&zone().add(name, &value(3)).clear(name, TXT), NoError);
    assert_eq!(site.served(), [""; 0]);
    site.expect(&zone().add(name, &value(4)), NoError);
    site.expect(&zone().clear(name, ANY), NoError);
    assert_eq!(site.served(), [""; 0], "a whole name is its TXT records");
    let metrics = crate::harness::http::get(site.daemon.metrics(), "/metrics").body;
    assert!(metrics.contains("txtgate_updates_total 5\n"), "{metrics}");
    assert!(metrics.contains("txtgate_update_seconds_count 8\n"), "deletions are updates too: {metrics}");
}

/// lego replaces the whole set with its value.
#[test]
fn changes_are_made_in_their_order_and_all_or_none() {
    let site = Site::new();
    let name = site.name();
    site.expect(&zone().add(name, &value(1)).add(name, &value(2)), NoError);
    assert_eq!(site.served(), [value(2), value(1)]);
    site.expect(&zone().clear(name, TXT).add(name, &value(3)), NoError);
    assert_eq!(site.served(), [value(3)]);
    for bad in [
        record(name, A, IN, 60, &[192, 0, 2, 1]),
        record("nobody.auth.example.org", TXT, IN, 60, &string(&value(5))),
        record("www.example.com", TXT, IN, 60, &string(&value(5))),
        record(name, TXT, IN, 60, &string("short")),
        record(name, TXT, 3, 60, &string(&value(5))),
    ] {
        let reply = site.update(&zone().clear(name, TXT).add(name, &value(4)).then(bad.clone()));
        assert_ne!(reply.rcode(), NoError, "{bad:02x?}");
        assert_eq!(site.served(), [value(3)], "{bad:02x?}");
    }
}

#[test]
fn everything_else_is_refused_by_its_code() {
    let site = Site::new();
    let (stranger, _) = account_with_key(site.daemon.home(), "hmac-sha256");
    stranger.publish(site.daemon.api(), &value(9));
    let (name, txt) = (site.name(), string(&value(1)));
    let ok = || record(name, TXT, IN, 60, &txt);
    for (update, rcode) in [
        // Zones.
        (Update::of("example.com").add("example.com", &value(1)), NotAuth),
        (Update::of("org").then(ok()), NotAuth),
        (Update::of(name).then(ok()), NotAuth),
        (Update::of_question(question(ZONE, SOA, 3)).then(ok()), NotAuth),
        (Update::of_question(question(ZONE, TXT, IN)).then(ok()), FormErr),
        (Update::of(&ZONE.to_uppercase()).then(ok()), NoError),
        // Names.
        (zone().add("www.example.com", &value(1)), NotZone),
        (zone().delete("www.example.com", &value(1)), NotZone),
        (zone().add(&stranger.fulldomain, &value(1)), Refused),
        (zone().delete(&stranger.fulldomain, &value(9)), Refused),
        (zone().clear(&stranger.fulldomain, ANY), Refused),
        (zone().add(&format!("x.{name}"), &value(1)), Refused),
        (zone().add(ZONE, &value(1)), Refused),
        (zone().add(&format!("_acme-challenge.{ZONE}"), &value(1)), Refused),
        (zone().add(&format!("ns1.{ZONE}"), &value(1)), Refused),
        (zone().clear(ZONE, ANY), Refused),
        (zone().add(&name.to_uppercase(), &value(1)), NoError),
        // Types.
        (zone().then(record(name, A, IN, 60, &[192, 0, 2, 1])), Refused),
        (zone().then(record(name, CAA, IN, 60, b"\x00\x05issueca.test")), Refused),
        (zone().then(record(name, NS, NONE, 0, &wire_name("ns.test"))), Refused),
        (zone().clear(name, A), Refused),
        // Forms (section 3.4.1.2).
        (zone().then(record(name, ANY, IN, 60, &[])), FormErr),
        (zone().then(record(name, 252, IN, 60, &[])), FormErr),
        (zone().then(record(name, TXT, ANY_CLASS, 60, &[])), FormErr),
        (zone().then(record(name, TXT, ANY_CLASS, 0, &txt)), FormErr),
        (zone().then(record(name, 252, ANY_CLASS, 0, &[])), FormErr),
        (zone().then(record(name, TXT, NONE, 60, &txt)), FormErr),
        (zone().then(record(name, ANY, NONE, 0, &txt)), FormErr),
        (zone().then(record(name, TXT, 4, 60, &txt)), FormErr),
        // A form that is wrong comes before a name that is not allowed.
        (zone().add(&stranger.fulldomain, &value(1)).then(record(name, TXT, 4, 60, &txt)), FormErr),
        (zone().add(&stranger.fulldomain, &value(1)).add("www.example.com", &value(1)), NotZone),
        // Values.
        (zone().then(record(name, TXT, IN, 60, &string("token.thumbprint"))), Refused),
        (zone().then(record(name, TXT, IN, 60, &string(&value(1)[1..]))), Refused),
        (zone().then(record(name, TXT, IN, 60, &[string(&value(1)[..20]), string(&value(1)[20..])].concat())), Refused),
        (zone().then(record(name, TXT, IN, 60, &[])), Refused),
        (zone().then(record(name, TXT, NONE, 0, &string("v=spf1 -all"))), NoError),
    ] {
        site.expect(&update, rcode);
    }
    assert_eq!(site.served(), [value(1)]);
    assert_eq!(crate::harness::dns::txts(site.daemon.dns(), &stranger.fulldomain), [value(9)]);
    // Whose records cannot be told apart is not signed by anybody.
    for bad in [ok()[..40].to_vec(), [&ok()[..], &[0]].concat()] {
        let reply = ask(site.daemon.dns(), &site.key.sign(&zone().then(bad).bytes()).bytes);
        assert_eq!((reply.rcode(), reply.counts()[3]), (FormErr, 0));
    }
}

/// The texts that tell people what to do, where the client speaks EDNS (RFC 8914).
#[test]
fn a_refusal_says_why() {
    let site = Site::of(&Settings::default().records("www A 192.0.2.1"));
    let name = site.name();
    for (update, rcode, code, text) in [
        (Update::of("example.com").add("example.com", &value(1)), NotAuth, 20, "not in a zone of this server"),
        (Update::of_question(question(ZONE, TXT, IN)), FormErr, 0, "the zone section must have the type SOA"),
        (zone().when(record(name, TXT, 3, 0, &[])), FormErr, 0, "a prerequisite has a wrong"),
        (zone().when(record("example.com", TXT, NONE, 0, &[])), NotZone, 0, "outside the zone of the UPDATE"),
        (zone().then(record(name, TXT, 4, 60, &[])), FormErr, 0, "an update has a wrong"),
        (zone().add("example.com", &value(1)), NotZone, 0, "outside the zone of the UPDATE"),
        (zone().then(record(name, TXT, IN, 60, &string("short"))), Refused, 0, "43 base64url"),
        (zone().clear(name, A), Refused, 0, "only TXT"),
        (zone().add(ZONE, &value(1)), Refused, 18, "not a name of this account"),
        (zone().add(&format!("www.{ZONE}"), &value(1)), Refused, 18, "not a name of this account"),
    ] {
        let reply = site.key.ask(site.daemon.dns(), &update.bytes().edns(1_232));
        let extended = option(&reply.bytes, 15).expect("an extended error");
        let said = String::from_utf8_lossy(&extended[2..]);
        assert_eq!((reply.rcode(), reply.ede()), (rcode, Some(code)), "{said}");
        assert!(said.contains(text), "{said}");
        assert!(!site.update(&update).has_opt());
    }
    let reply = site.key.ask(site.daemon.dns(), &zone().bytes().opt(1_232, 1, 0, &[]));
    assert_eq!(u16::from(reply.rcode()), 16, "BADVERS");
}

/// RFC 2136 section 2.4, each kind of prerequisite where it holds and where it does not.
#[test]
fn prerequisites_are_looked_at_first() {
    let site = Site::of(&Settings::default().records("www A 192.0.2.1\nwww A 192.0.2.2\ndeep.down A 192.0.2.3"));
    let name = site.name();
    let (www, nowhere) = (format!("www.{ZONE}"), format!("nowhere.{ZONE}"));
    let used = |name: &str, class| record(name, ANY, class, 0, &[]);
    let set = |name: &str, rtype, class| record(name, rtype, class, 0, &[]);
    let exact = |name: &str, txt: &str| record(name, TXT, IN, 0, &string(txt));
    site.expect(&zone().when(used(name, ANY_CLASS)), NXDomain);
    site.expect(&zone().when(used(name, NONE)).when(set(name, TXT, NONE)).add(name, &value(1)), NoError);
    site.expect(&zone().when(used(name, NONE)).clear(name, TXT), YXDomain);
    site.expect(&zone().when(set(name, TXT, NONE)).clear(name, TXT), YXRRSet);
    site.expect(&zone().when(exact(name, &value(2))).clear(name, TXT), NXRRSet);
    site.expect(&zone().when(exact(name, "no value")).clear(name, TXT), NXRRSet);
    site.expect(&zone().when(exact(name, &value(1))).when(exact(name, &value(2))).clear(name, TXT), NXRRSet);
    assert_eq!(site.served(), [value(1)]);
    let address = |last| record(&www, A, IN, 0, &[192, 0, 2, last]);
    for (what, holds) in [
        (zone().when(used(&www, ANY_CLASS)).when(used(name, ANY_CLASS)).when(used(ZONE, ANY_CLASS)), NoError),
        (zone().when(used(&nowhere, NONE)).when(used(&format!("down.{ZONE}"), NONE)), NoError),
        (zone().when(used(&nowhere, ANY_CLASS)), NXDomain),
        (zone().when(used(&www, NONE)), YXDomain),
        (zone().when(set(ZONE, SOA, ANY_CLASS)).when(set(ZONE, NS, ANY_CLASS)).when(set(&www, A, ANY_CLASS)), NoError),
        (zone().when(set(name, TXT, ANY_CLASS)).when(set(name, A, NONE)).when(set(&www, TXT, NONE)), NoError),
        (zone().when(set(&www, TXT, ANY_CLASS)), NXRRSet),
        (zone().when(set(&nowhere, TXT, ANY_CLASS)), NXRRSet),
        (zone().when(set(&www, A, NONE)), YXRRSet),
        (zone().when(address(1)).when(address(2)), NoError),
        (zone().when(address(2)).when(address(1)).when(exact(name, &value(1))), NoError),
        (zone().when(address(1)), NXRRSet),
        (zone().when(address(1)).when(address(2)).when(address(3)), NXRRSet),
        (zone().when(used("example.com", NONE)), NotZone),
        (zone().when(record(name, TXT, ANY_CLASS, 1, &[])), FormErr),
        (zone().when(record(name, TXT, NONE, 0, &string("x"))), FormErr),
        (zone().when(record(name, TXT, IN, 1, &string("x"))), FormErr),
        (zone().when(record(name, ANY, IN, 0, &[])), FormErr),
        (zone().when(record(name, TXT, 3, 0, &[])), FormErr),
    ] {
        site.expect(&what, holds);
    }
    site.expect(&zone().when(exact(&name.to_uppercase(), &value(1))).add(name, &value(2)), NoError);
    let both = zone().when(exact(name, &value(1))).when(exact(name, &value(2)));
    site.expect(&both.clear(name, TXT).id(7), NoError);
    assert_eq!(site.served(), [""; 0]);
}

#[test]
fn a_challenge_zone_takes_updates_at_its_apex_and_below() {
    let apex = "_acme-challenge.example.com";
    let zone = format!("[[zone]]\nname = \"{apex}\"\nns = [\"ns1.{ZONE}\"]\ncontact = \"a@example.com\"\n");
    let daemon = Process::start(&Settings::default().more(&zone));
    let account = super::json_of(daemon.home(), &["account", "create", "example.com", "--zone", apex]);
    let account = crate::harness::Account::of(&account);
    let key = super::key_of(daemon.home(), &account, "hmac-sha256");
    let label = format!("_ujmmovf2vn55tgye.{apex}");
    let update = Update::of(apex).when(record(apex, ANY, ANY_CLASS, 0, &[])).when(record(apex, TXT, NONE, 0, &[]));
    let update = update.add(apex, &value(1)).add(&label, &value(2));
    assert_eq!(key.ask(daemon.dns(), &update.bytes()).rcode(), NoError);
    let served = |name: &str| crate::harness::dns::txts(daemon.dns(), name);
    assert_eq!((served(apex), served(&label)), (vec![value(1)], vec![value(2)]));
    let cleared = Update::of(apex).clear(apex, ANY).delete(&label, &value(2)).id(9);
    assert_eq!(key.ask(daemon.dns(), &cleared.bytes()).rcode(), NoError);
    assert_eq!((served(apex), served(&label)), (vec![], vec![]));
    assert_eq!(ask(daemon.dns(), &query(apex, SOA)).of_type(SOA), 1, "the zone's own records stay");
}

/// A signed query is answered as ever, and the reply is signed, whatever it says.
#[test]
fn replies_to_signed_queries_are_signed() {
    let site = Site::new();
    site.account.publish(site.daemon.api(), &value(1));
    let ask = |message: &[u8]| site.key.ask_udp(site.daemon.dns(), message);
    let reply = ask(&query(site.name(), TXT));
    assert_eq!((reply.txts(), reply.is_authoritative()), (vec![value(1)], true));
    ask(&query(site.name(), SOA)).assert_negative(NoError);
    ask(&query(&format!("nowhere.{ZONE}"), SOA).edns(1_232)).assert_negative(NXDomain);
    for (message, rcode) in [
        (query("example.com", SOA), Refused),
        (query(ZONE, 252), Refused),
        (query(ZONE, SOA).flags(0x2000), NotImp),
        (query(ZONE, SOA).and(&record(ZONE, TXT, IN, 0, &[])).count(1, 1), FormErr),
    ] {
        assert_eq!(ask(&message).rcode(), rcode);
    }
    for number in 2..40 {
        site.account.publish(site.daemon.api(), &value(number));
    }
    let reply = ask(&query(site.name(), TXT).edns(1_232));
    assert!(reply.is_truncated() && reply.answers().is_empty());
    assert_eq!(site.key.ask(site.daemon.dns(), &query(site.name(), TXT)).txts().len(), 39);
}

/// Just as large as what fits with the signature, and one byte of name less room for it.
#[test]
fn a_signature_has_room_in_a_datagram() {
    let site = Site::new();
    for number in 0..10 {
        site.account.publish(site.daemon.api(), &value(number));
        let signed = site.key.sign(&query(site.name(), TXT));
        let bytes = crate::harness::dns::Udp::to(site.daemon.dns()).ask(&signed.bytes);
        let (reply, _) = site.key.open(&signed, &bytes);
        assert!(bytes.len() <= 512, "{}", bytes.len());
        assert_eq!(reply.txts().is_empty(), reply.is_truncated());
    }
}

#[test]
fn without_a_key_anywhere_there_are_no_updates() {
    let daemon = Process::start(&Settings::default());
    let update = zone().add(&format!("shop.{ZONE}"), &value(1)).bytes();
    assert_eq!(ask(daemon.dns(), &update).rcode(), NotImp);
    let (account, key) = account_with_key(daemon.home(), "hmac-sha256");
    let reply = ask(daemon.dns(), &update.clone().edns(1_232));
    assert_eq!((reply.rcode(), reply.ede()), (Refused, Some(18)));
    let own = zone().add(&account.fulldomain, &value(1)).bytes();
    assert_eq!(key.ask(daemon.dns(), &own).rcode(), NoError);
    daemon.home().run_ok(&["account", "tsig", "delete", &account.username]);
    assert_eq!(ask(daemon.dns(), &update).rcode(), NotImp);
    let (reply, seal) = key.exchange(daemon.dns(), &key.sign(&own));
    assert_eq!((reply.rcode(), seal.error, seal.is_signed), (NotAuth, 17, false));
}

#[test]
fn updates_come_over_tls_and_quic_too() {
    let listen =
        "listen = [\"127.0.0.1:0\"]\nthreads = 2\ntls-listen = [\"127.0.0.1:0\"]\nquic-listen = [\"127.0.0.1:0\"]";
    let settings = Settings::default().with("dns", &format!("{listen}\ncertificate = \"cert.pem\"\nkey = \"key.pem\""));
    let (authority, home) = (Authority::new(), Home::new(&settings));
    authority.issue(home.path());
    let daemon = home.start();
    let (account, key) = account_with_key(&home, "hmac-sha256");
    let update = |number| key.sign(&zone().add(&account.fulldomain, &value(number)).id(0).bytes());
    let signed = update(1);
    let mut tls = authority.connect(daemon.dns_tls(), &["dot"]).0;
    tls.write_all(&framed(&signed.bytes)).unwrap();
    let mut length = [0; 2];
    tls.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    tls.read_exact(&mut reply).unwrap();
    assert_eq!(key.open(&signed, &reply).0.rcode(), NoError);
    let (signed, quic) = (update(2), Quic::trusting(&authority));
    let reply = quic.connect(daemon.dns_quic()).ask(&signed.bytes);
    assert_eq!(key.open(&signed, &reply).0.rcode(), NoError);
    assert_eq!(crate::harness::dns::txts(daemon.dns(), &account.fulldomain), [value(2), value(1)]);
}

#[test]
fn every_algorithm_works() {
    let daemon = Process::start(&Settings::default().with("dns", "tsig-md5 = true"));
    for algorithm in ["hmac-md5", "hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512"] {
        let (account, key): (_, Key) = account_with_key(daemon.home(), algorithm);
        let update = zone().add(&account.fulldomain, &value(1)).bytes();
        assert_eq!(key.ask_udp(daemon.dns(), &update).rcode(), NoError, "{algorithm}");
        assert_eq!(crate::harness::dns::txts(daemon.dns(), &account.fulldomain), [value(1)], "{algorithm}");
    }
}
