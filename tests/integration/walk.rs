//! From the root to the value: a user's zone that points here once, and what a CA's resolver finds by it.

use std::net::UdpSocket;

use hickory_proto::op::ResponseCode;
use ring::digest::{SHA256, digest};

use crate::harness::dns::{A, CAA, TXT};
use crate::harness::internet::Internet;
use crate::harness::{Account, Process, Settings, ZONE, value};

const CHALLENGE: &str = "_acme-challenge.example.com";

/// org, com and net, example.org, which delegates the daemon's zone, and nothing yet of the users'.
fn internet(daemon: &Process) -> Internet {
    let tlds = ["org", "com", "net"].map(|tld| format!("{tld} NS ns.{tld}.\nns.{tld} A 198.51.100.2\n"));
    let mut internet = Internet::new(&tlds.concat());
    let delegated = |name: &str, at: &str| format!("@ NS ns\n{name} NS ns.{name}\nns.{name} A {at}");
    internet.serve(
        "198.51.100.2",
        &[
            ("org.", &delegated("example", "198.51.100.3")),
            ("com.", &delegated("example", "198.51.100.4")),
            ("net.", &delegated("example", "198.51.100.5")),
        ],
    );
    internet.serve(
        "198.51.100.3",
        &[("example.org.", "@ NS ns\nns A 198.51.100.3\nauth NS ns1.auth\nns1.auth A 127.0.0.1")],
    );
    internet.route("127.0.0.1", daemon.dns());
    internet
}

/// A user's zone, with one CNAME.
fn user(alias: &str, target: &str) -> String {
    format!("@ NS ns\nns A 198.51.100.4\nwww A 198.51.100.80\n{alias} CNAME {target}.")
}

#[test]
fn a_value_is_found_from_the_root_as_soon_as_it_is_published() {
    let daemon = Process::start(&Settings::default());
    let mut internet = internet(&daemon);
    let (account, other) = (Account::register(daemon.api()), Account::register(daemon.api()));
    internet.serve("198.51.100.4", &[("example.com.", &user("_acme-challenge", &account.fulldomain))]);
    internet.serve("198.51.100.5", &[("example.net.", &user("_acme-challenge", &other.fulldomain))]);
    let before = internet.walk(CHALLENGE, TXT);
    assert_eq!((before.rcode, before.records.len()), (ResponseCode::NoError, 0), "nothing that is remembered for long");
    for number in 1..=61 {
        account.publish(daemon.api(), &value(number));
    }
    let found = internet.walk(CHALLENGE, TXT);
    assert_eq!(found.txts(), (1..=61).rev().map(value).collect::<Vec<_>>(), "also where they fit no datagram");
    let way =
        ["198.51.100.1", "198.51.100.2", "198.51.100.4", "198.51.100.1", "198.51.100.2", "198.51.100.3", "127.0.0.1"];
    assert_eq!(found.servers(), way, "root, com, the user's, and for what stands there root, org, the parent, here");
    assert!(internet.walk("_acme-challenge.example.net", TXT).txts().is_empty(), "each name has its own values");
    other.publish(daemon.api(), &value(99));
    assert_eq!(internet.walk("_acme-challenge.example.net", TXT).txts(), [value(99)]);
    for rtype in [A, CAA] {
        let nothing = internet.walk(CHALLENGE, rtype);
        assert_eq!((nothing.rcode, nothing.records.len()), (ResponseCode::NoError, 0));
    }
}

/// The label of an ACME account (draft-ietf-acme-dns-account-label section 4).
fn account_label(url: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = digest(&SHA256, url.as_bytes());
    let bits: Vec<u8> =
        hash.as_ref()[..10].iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let number = |five: &[u8]| five.iter().fold(0, |number, bit| number << 1 | usize::from(*bit));
    let letters = bits.chunks(5).map(|five| char::from(ALPHABET[number(five)]));
    std::iter::once('_').chain(letters).collect()
}

#[test]
fn dns_account_01_works_by_a_cname_as_it_is() {
    let url = "https://example.com/acme/acct/ExampleAccount";
    assert_eq!(account_label(url), "_ujmmovf2vn55tgye", "the draft's own example");
    let daemon = Process::start(&Settings::default());
    let mut internet = internet(&daemon);
    let (first, second) = (Account::register(daemon.api()), Account::register(daemon.api()));
    let labels = [account_label(url), account_label("https://ca.test/acme/acct/2")];
    let zone = user(&format!("{}._acme-challenge", labels[0]), &first.fulldomain)
        + &format!("\n{}._acme-challenge CNAME {}.", labels[1], second.fulldomain);
    internet.serve("198.51.100.4", &[("example.com.", &zone)]);
    first.publish(daemon.api(), &value(1));
    second.publish(daemon.api(), &value(2));
    for (label, number) in labels.iter().zip(1..) {
        assert_eq!(internet.walk(&format!("{label}.{CHALLENGE}"), TXT).txts(), [value(number)]);
    }
    let shared = internet.walk(CHALLENGE, TXT);
    assert!(shared.records.is_empty(), "two accounts of a CA need not share one name: {shared:?}");
}

#[test]
fn a_wrong_cname_finds_nothing() {
    let daemon = Process::start(&Settings::default());
    let mut internet = internet(&daemon);
    let (account, silent) = (Account::register(daemon.api()), Account::register(daemon.api()));
    account.publish(daemon.api(), &value(1));
    let targets = [
        (format!("x{}", account.fulldomain), ResponseCode::NXDomain),
        (format!("_acme-challenge.{}", account.fulldomain), ResponseCode::NXDomain),
        (silent.fulldomain, ResponseCode::NoError),
        (ZONE.to_owned(), ResponseCode::NoError),
        ("www.example.com".to_owned(), ResponseCode::NoError),
        (format!("{}.example.com", account.subdomain), ResponseCode::NXDomain),
    ];
    for (target, rcode) in targets {
        internet.serve("198.51.100.4", &[("example.com.", &user("_acme-challenge", &target))]);
        let found = internet.walk(CHALLENGE, TXT);
        assert_eq!((found.rcode, found.txts()), (rcode, Vec::new()), "{target}");
    }
    internet.serve("198.51.100.4", &[("example.com.", &user("_acme-challenge", &account.fulldomain))]);
    assert_eq!(internet.walk(CHALLENGE, TXT).txts(), [value(1)], "the right one does");
}

#[test]
fn a_dead_second_nameserver_does_not_matter() {
    let daemon = Process::start(&Settings::default());
    let mut internet = internet(&daemon);
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    // One that nobody has, one that says nothing, and one that knows nothing of the zone.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    internet.route("198.51.100.6", silent.local_addr().unwrap());
    internet.serve("198.51.100.7", &[("elsewhere.test.", "@ NS ns")]);
    let parent = "@ NS ns\nns A 198.51.100.3\nauth NS ns1.auth\nns1.auth A 127.0.0.1\n\
                  auth NS ns2.auth\nns2.auth A 198.51.100.9\nauth NS ns3.auth\nns3.auth A 198.51.100.6\n\
                  auth NS ns4.auth\nns4.auth A 198.51.100.7";
    internet.serve("198.51.100.3", &[("example.org.", parent)]);
    internet.serve("198.51.100.4", &[("example.com.", &user("_acme-challenge", &account.fulldomain))]);
    let walks: Vec<_> = (0..4).map(|_| internet.walk(CHALLENGE, TXT)).collect();
    assert!(walks.iter().all(|found| found.txts() == [value(1)]), "{walks:?}");
    assert_eq!(walks.iter().filter(|found| found.met_a_dead_one()).count(), 3, "whichever is asked first: {walks:?}");
}

/// Each too long for one character-string, and the three of them for a datagram.
#[test]
fn persistent_authorizations_are_found_by_their_cname() {
    let daemon = Process::start(&Settings::default().with("values", "persist = true"));
    let mut internet = internet(&daemon);
    let account = Account::register(daemon.api());
    internet.serve("198.51.100.4", &[("example.com.", &user("_validation-persist", &account.fulldomain))]);
    let name = "_validation-persist.example.com";
    let texts =
        [1, 2, 3].map(|number| format!("ca{number}.example; accounturi=urn:{}; policy=wildcard", "x".repeat(440)));
    for (text, count) in texts.iter().zip(1..) {
        daemon.home().run_ok(&["persist", "publish", &account.subdomain, text]);
        let expected: Vec<String> = texts[..count].iter().rev().cloned().collect();
        assert_eq!(internet.walk(name, TXT).txts(), expected);
    }
}

#[test]
fn a_challenge_that_is_delegated_by_ns_is_found_too() {
    let zone = format!("[[zone]]\nname = \"{CHALLENGE}\"\nns = [\"ns1.{ZONE}\"]\ncontact = \"a@example.com\"");
    let daemon = Process::start(&Settings::default().more(&zone));
    let mut internet = internet(&daemon);
    let created = daemon.home().run_ok(&["account", "create", "example.com", "--zone", CHALLENGE, "--json"]);
    let account = Account::of(&serde_json::from_str(&created).unwrap());
    // The nameserver's address is to be found by its own name: there can be no glue for it here.
    let user = format!("@ NS ns\nns A 198.51.100.4\n_acme-challenge NS ns1.{ZONE}.");
    internet.serve("198.51.100.4", &[("example.com.", &user)]);
    assert_eq!(internet.walk(CHALLENGE, TXT).rcode, ResponseCode::NoError);
    account.publish(daemon.api(), &value(1));
    assert_eq!(internet.walk(CHALLENGE, TXT).txts(), [value(1)]);
    assert_eq!(internet.walk(&format!("x.{CHALLENGE}"), TXT).rcode, ResponseCode::NXDomain);
}
