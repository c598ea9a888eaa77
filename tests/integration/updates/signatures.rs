//! Who signed, when, and whether before: RFC 8945's errors, replays, and accounts that may not.

use hickory_proto::op::ResponseCode::*;

use super::{Site, account_with_key, key_of};
use crate::harness::dns::{Change, Reply, SOA, Tcp, Udp, ask_tcp, query};
use crate::harness::tsig::{FUDGE, Key, Seal, Signed, now};
use crate::harness::update::Update;
use crate::harness::{Process, Settings, ZONE, value};

impl Site {
    fn add(&self, number: u64) -> Vec<u8> {
        Update::of(ZONE).add(self.name(), &value(number)).bytes()
    }

    fn exchange(&self, signed: &Signed) -> (Reply, Seal) {
        self.key.exchange(self.daemon.dns(), signed)
    }
}

/// RFC 8945 sections 5.2 and 5.3.2; for queries and UPDATEs, over UDP and TCP.
#[test]
fn each_error_is_told_as_the_rfc_says() {
    let site = Site::new();
    let unknown = Key { name: "11111111-1111-4111-8111-111111111111.".into(), ..site.key.clone() };
    let elsewhere = Key { name: "some.key.example.".into(), ..site.key.clone() };
    let other_secret = Key { secret: b"another secret".into(), ..site.key.clone() };
    let other_algorithm = Key { algorithm: "hmac-sha512".into(), ..site.key.clone() };
    for message in [site.add(1), query(ZONE, SOA), site.add(1).edns(1_232)] {
        for (key, error) in [(&unknown, 17), (&elsewhere, 17), (&other_algorithm, 17), (&other_secret, 16)] {
            let (signed, time) = (key.sign(&message), now());
            let over_udp = key.open(&signed, &Udp::to(site.daemon.dns()).ask(&signed.bytes));
            for (reply, seal) in [over_udp, key.exchange(site.daemon.dns(), &signed)] {
                assert_eq!((reply.rcode(), reply.answers().len()), (NotAuth, 0), "{error}");
                assert_eq!((seal.error, seal.is_signed, &seal.other[..]), (error, false, &[][..]));
                assert!(seal.time.abs_diff(time) < 5);
            }
        }
        for time in [now() - 4_000, now() + 4_000] {
            let (reply, seal) = site.exchange(&site.key.sign_at(&message, time, FUDGE));
            assert_eq!((reply.rcode(), seal.error, seal.is_signed, seal.time), (NotAuth, 18, true, time));
            let ours = seal.other.iter().fold(0, |time, byte| time << 8 | u64::from(*byte));
            assert!(seal.other.len() == 6 && ours.abs_diff(now()) < 60, "our time is told: {seal:?}");
        }
    }
    assert_eq!(site.served(), [""; 0]);
    let metrics = crate::harness::http::get(site.daemon.metrics(), "/metrics").body;
    assert!(metrics.contains("txtgate_dns_unverified_total 30\n"), "{metrics}");
}

#[test]
fn a_tsig_out_of_shape_is_a_format_error_without_one() {
    let site = Site::new();
    let signed = site.key.sign(&site.add(1));
    let start = site.add(1).len();
    let (message, record) = signed.bytes.split_at(start);
    let bent = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = signed.bytes.clone();
        change(&mut bytes);
        bytes
    };
    for (why, bytes) in [
        (
            "twice",
            bent(&|bytes| {
                bytes.extend_from_slice(record);
                bytes[11] += 1;
            }),
        ),
        ("not the last", message.to_vec().and(record).edns(1_232).count(3, 2)),
        ("a MAC of 9 bytes", site.key.with_mac(message, now(), FUDGE, &[0; 9]).bytes.count(3, 1)),
        ("a MAC of 33 bytes", site.key.with_mac(message, now(), FUDGE, &[0; 33]).bytes.count(3, 1)),
        ("cut", bent(&|bytes| bytes.truncate(start + 60))),
        ("class IN", bent(&|bytes| bytes[start + 41] = 1)),
    ] {
        // The header of `message` counts the record already.
        let reply = ask_tcp(site.daemon.dns(), &bytes);
        assert_eq!(reply.rcode(), FormErr, "{why}");
        assert_eq!(reply.counts()[3], u16::from(reply.has_opt()), "{why}");
    }
    assert_eq!(site.served(), [""; 0]);
}

/// A MAC may be cut to half (section 5.2.2.1), also by somebody else, and is known again all the same.
#[test]
fn a_message_that_is_sent_again_has_no_effect() {
    let site = Site::new();
    let (server, add) = (site.daemon.dns(), site.add(1));
    let time = now();
    let first = site.key.sign(&add);
    assert_eq!(site.exchange(&first).0.rcode(), NoError);
    let clear = site.key.sign(&Update::of(ZONE).clear(site.name(), 255).id(8).bytes());
    assert_eq!(site.exchange(&clear).0.rcode(), NoError);
    let refused = site.key.sign(&Update::of(ZONE).when(exists(site.name())).add(site.name(), &value(2)).bytes());
    assert_eq!(site.exchange(&refused).0.rcode(), NXRRSet);
    assert_eq!(site.served(), [""; 0]);
    for again in [&first, &first] {
        assert_eq!(site.exchange(again).0.rcode(), NoError, "the client may have missed the reply");
    }
    let over_udp = site.key.open(&first, &Udp::to(server).ask(&first.bytes)).0;
    assert_eq!(over_udp.rcode(), NoError);
    let another_id = Signed { bytes: first.bytes.clone().id(99), ..first.clone() };
    assert_eq!(site.exchange(&another_id).0.rcode(), NoError);
    for length in [16, 31] {
        let cut = cut(&first, length);
        assert_eq!(site.exchange(&cut).0.rcode(), NoError, "cut to {length}");
    }
    assert_eq!(site.served(), [""; 0], "nothing was added again");
    site.key.ask(server, &site.add(3));
    for again in [&clear, &refused] {
        site.exchange(again);
    }
    assert_eq!(site.served(), [value(3)], "nor deleted again");
    if now() == time {
        // The same message in the same second is the same message, whoever sends it.
        assert_eq!(site.key.sign(&add).mac, first.mac);
    }
}

fn exists(name: &str) -> Vec<u8> {
    crate::harness::update::record(name, 16, 255, 0, &[])
}

/// The message with its MAC cut, as anybody can do it who has seen it.
fn cut(signed: &Signed, length: usize) -> Signed {
    let at = signed.bytes.len() - 6 - signed.mac.len();
    let mut bytes = [&signed.bytes[..at + length], &signed.bytes[at + signed.mac.len()..]].concat();
    bytes[at - 1] = length as u8;
    let rdlength = at - 10 - 13 - 1;
    bytes[rdlength] -= (signed.mac.len() - length) as u8;
    Signed { bytes, mac: signed.mac[..length].to_vec() }
}

#[test]
fn only_the_keys_own_account_is_changed_and_only_while_it_may() {
    let site = Site::new();
    let home = site.daemon.home();
    let (other, other_key) = account_with_key(home, "hmac-sha256");
    let reply = other_key.ask(site.daemon.dns(), &site.add(1));
    assert_eq!(reply.rcode(), Refused);
    let own = Update::of(ZONE).add(&other.fulldomain, &value(1)).bytes();
    assert_eq!(other_key.ask(site.daemon.dns(), &own).rcode(), NoError);
    home.run_ok(&["account", "edit", &other.username, "--allowfrom", "192.0.2.0/24"]);
    for message in [&own, &query(ZONE, SOA).edns(1_232)] {
        assert_eq!(other_key.ask(site.daemon.dns(), message).rcode(), Refused, "from another network");
    }
    home.run_ok(&["account", "edit", &other.username, "--allowfrom", "127.0.0.0/8"]);
    assert_eq!(other_key.ask(site.daemon.dns(), &own.clone().id(2)).rcode(), NoError);
    let error = || other_key.exchange(site.daemon.dns(), &other_key.sign(&own)).1.error;
    home.run_ok(&["account", "disable", &other.username]);
    assert_eq!(error(), 17);
    home.run_ok(&["account", "enable", &other.username]);
    assert_eq!(error(), 0);
    let new = key_of(home, &other, "hmac-sha256");
    assert_eq!((error(), new.ask(site.daemon.dns(), &own.clone().id(3)).rcode()), (16, NoError));
    home.run_ok(&["account", "delete", &other.username, "--now"]);
    assert_eq!(new.exchange(site.daemon.dns(), &new.sign(&own)).1.error, 17);
    assert_eq!(site.key.ask(site.daemon.dns(), &site.add(1)).rcode(), NoError);
}

#[test]
fn keys_survive_a_restart_and_a_lost_master_secret_is_told() {
    let site = Site::new();
    let home = site.daemon.home().clone();
    let (name, key) = (site.name().to_owned(), site.key.clone());
    let secret = std::fs::read_to_string(home.path().join("txtgate.db.tsig")).unwrap();
    let database = std::fs::read(home.database()).unwrap();
    let wal = std::fs::read(home.path().join("txtgate.db-wal")).unwrap();
    for hidden in [secret.lines().last().unwrap().as_bytes(), &key.secret] {
        let holds = |file: &[u8]| file.windows(hidden.len()).any(|window| window == hidden);
        assert!(!holds(&database) && !holds(&wal), "nothing to sign with is in the database");
    }
    let log = site.daemon.terminate().2;
    assert!(!log.contains(secret.lines().last().unwrap()));
    let daemon = home.start();
    let update = |number| Update::of(ZONE).add(&name, &value(number)).bytes();
    assert_eq!(key.ask(daemon.dns(), &update(1)).rcode(), NoError);
    assert!(daemon.terminate().0.success());
    std::fs::remove_file(home.path().join("txtgate.db.tsig")).unwrap();
    let daemon = home.start();
    assert!(daemon.log().contains("TSIG keys cannot be used"), "{}", daemon.log());
    assert_eq!(key.exchange(daemon.dns(), &key.sign(&update(2))).1.error, 17);
    assert_eq!(crate::harness::dns::txts(daemon.dns(), &name), [value(1)], "and everything else goes on");
}

/// So that nobody has anything to gain by having replies sent to somebody else.
#[test]
fn a_reply_to_a_wrong_signature_is_no_longer_than_the_message() {
    let site = Site::new();
    let other = Key { secret: b"x".into(), ..site.key.clone() };
    for message in [site.add(1), query(ZONE, SOA)] {
        for key in [&other, &Key { name: "a.very.long.name.of.a.key.that.nobody.has.".into(), ..other.clone() }] {
            let signed = key.sign(&message);
            let reply = Udp::to(site.daemon.dns()).ask(&signed.bytes);
            assert!(reply.len() <= signed.bytes.len(), "{} for {}", reply.len(), signed.bytes.len());
        }
    }
}

#[test]
fn an_update_is_answered_from_the_address_that_was_asked() {
    let site = Site::of(&Settings::default().with("dns", "listen = [\"0.0.0.0:0\"]"));
    for (number, address) in [[127, 0, 0, 1], [127, 0, 0, 2]].into_iter().enumerate() {
        let server = (address, site.daemon.dns().port()).into();
        // A connected socket takes nothing from any other address.
        let reply = site.key.ask_udp(server, &site.add(number as u64));
        assert_eq!((reply.rcode(), site.served().len()), (NoError, number + 1));
    }
}

/// Updates of one connection are answered in order, between its queries.
#[test]
fn a_connection_may_mix_updates_and_queries() {
    let site = Site::new();
    let mut stream = Tcp::to(site.daemon.dns());
    let messages: Vec<Signed> = (0..20)
        .map(|number| match number % 2 {
            0 => site.key.sign(&Update::of(ZONE).add(site.name(), &value(number)).id(number as u16).bytes()),
            _ => site.key.sign(&query(site.name(), 16).id(number as u16)),
        })
        .collect();
    messages.iter().for_each(|message| stream.send(&message.bytes));
    for (number, message) in messages.iter().enumerate() {
        let (reply, _) = site.key.open(message, &stream.receive());
        assert_eq!(reply.bytes[..2], (number as u16).to_be_bytes());
        if number % 2 == 1 {
            assert_eq!(reply.txts().first(), Some(&value(number as u64 - 1)), "what was acknowledged is served");
        }
    }
}

#[test]
fn md5_needs_the_configurations_word() {
    let daemon = Process::start(&Settings::default());
    let (account, _) = account_with_key(daemon.home(), "hmac-sha256");
    let (code, said) =
        daemon.home().run_err(&["account", "tsig", "create", &account.username, "--algorithm", "hmac-md5"]);
    assert!(code == Some(2) && said.contains("tsig-md5"), "{said}");
    let printed = daemon.home().run_ok(&["account", "tsig", "create", &account.username]);
    assert!(printed.starts_with(&format!("key \"{}.\" {{", account.username)), "{printed}");
}
