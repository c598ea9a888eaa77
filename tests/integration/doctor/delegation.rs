//! Delegations in a private root: each broken one and the finding that it must begin with, and sound ones without any.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::Examined;
use crate::harness::lab::{DAEMON, Lab, PARENT, ROOT, TLD, USER, parent, root, zone_at};
use crate::harness::nameserver::{Fault, Zone};
use crate::harness::signer::{Signer, record};
use crate::harness::{Process, ZONE};
use set_up::{
    AND_SECOND, RIGHT, SECOND, copy_of, copy_with, delegated, signed, signed_home, signed_lab,
    signed_lab_without_parent, two, with_second,
};

mod set_up;

/// How many set-ups run at once: most of their time is waiting for servers that do not answer.
const AT_ONCE: usize = 8;

/// A set-up: nameservers and a daemon.
type SetUp = fn() -> (Lab, Process);

/// Runs something for each set-up, some at a time, and reports all failures together.
fn each(set_ups: &[(&str, SetUp)], judge: impl Fn(usize, &Lab, &Process) + Sync) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let work = || {
        while let Some((place, (name, set_up))) = {
            let place = next.fetch_add(1, Ordering::SeqCst);
            set_ups.get(place).map(|set_up| (place, set_up))
        } {
            let run = || {
                let (lab, daemon) = set_up();
                judge(place, &lab, &daemon);
            };
            if catch_unwind(AssertUnwindSafe(run)).is_err() {
                failures.lock().unwrap().push(*name);
            }
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| _ = scope.spawn(work)));
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{failures:?}");
}

/// A set-up, the code of its first finding, and a part of what is found or what to do.
type Broken = (&'static str, &'static str, SetUp);

const ABOVE: &[Broken] = &[
    ("root-unreachable", "--hints", || {
        let mut lab = Lab::empty();
        lab.parent(RIGHT);
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("domain-missing", "the domain is not registered", || {
        let mut lab = Lab::empty();
        lab.serve(ROOT, vec![root("")], &[]);
        lab.serve(TLD, vec![Zone::new("org.", "@ NS ns\nns A 127.0.1.2")], &[]);
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("parent-unreachable", "the zone example.org", || {
        let lab = Lab::new();
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("parent-unreachable", "no answer within", || {
        let mut lab = Lab::new();
        lab.serve(PARENT, vec![], &[Fault::Silent]);
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("root-unreachable", "no answer within", || {
        let mut lab = Lab::empty();
        lab.serve(ROOT, vec![], &[Fault::Silent]);
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("parent-fails", "Server Failure", || {
        let mut lab = Lab::new();
        lab.serve(PARENT, vec![], &[Fault::Rcode(ResponseCode::ServFail)]);
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("parent-changes-case", "127.0.1.3", || {
        let mut lab = Lab::new();
        lab.serve(PARENT, vec![parent(RIGHT)], &[Fault::LowerCase]);
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("parent-server-down", "127.0.1.5", || {
        let mut lab = Lab::empty();
        lab.serve(ROOT, vec![root("")], &[]);
        let two = format!("@ NS ns\nns A {TLD}\nexample NS ns.example\nexample NS ns2.example\n");
        let glue = format!("ns.example A {PARENT}\nns2.example A 127.0.1.5\n");
        lab.serve(TLD, vec![Zone::new("org.", &format!("{two}{glue}"))], &[]);
        lab.parent(RIGHT);
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("parent-servers-differ", "127.0.1.5", || {
        let mut lab = Lab::empty();
        lab.serve(ROOT, vec![root("")], &[]);
        let two = format!("@ NS ns\nns A {TLD}\nexample NS ns.example\nexample NS ns2.example\n");
        let glue = format!("ns.example A {PARENT}\nns2.example A 127.0.1.5\n");
        lab.serve(TLD, vec![Zone::new("org.", &format!("{two}{glue}"))], &[]);
        lab.parent(RIGHT);
        lab.serve("127.0.1.5", vec![parent("")], &[]);
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("chain-expired", "the zone example.org", || {
        let lab = signed_lab(|signer| parent(RIGHT).signed(&signer.clone().expired()));
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("chain-not-yet-valid", "date -u", || {
        let lab = signed_lab(|signer| parent(RIGHT).signed(&signer.clone().early()));
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("chain-broken", "is wrong", || {
        let lab = signed_lab(|signer| parent(RIGHT).signed(&signer.clone().forging()));
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("chain-broken", "the keys of example.org are", || {
        let lab = signed_lab(|_| parent(RIGHT).signed(&Signer::new()));
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
];

const PARENT_RECORDS: &[Broken] = &[
    (
        "not-delegated",
        "add to the zone example.org: `auth.example.org. NS ns1.auth.example.org.`, `ns1.auth.example.org. A 127.0.1.53`",
        || delegated(""),
    ),
    ("cname-instead-of-ns", "remove `auth.example.org. CNAME acme.example.net.`", || {
        delegated("auth CNAME acme.example.net.")
    }),
    ("zone-at-parent", "delete the zone auth.example.org at the DNS provider of example.org", || {
        let mut lab = Lab::new();
        lab.serve(PARENT, vec![parent(RIGHT), zone_at(ZONE, PARENT, "")], &[]);
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("delegated-elsewhere", "remove from the zone example.org: `auth.example.org. NS ns.other.example.org.`", || {
        let (mut lab, daemon) = delegated(&format!("auth NS ns.other\nns.other A {SECOND}"));
        lab.serve(SECOND, vec![], &[]);
        (lab, daemon)
    }),
    ("ns-left-over", "remove `auth.example.org. NS ns2.example.org.` from the zone example.org", || {
        let (mut lab, daemon) = delegated(&format!("{RIGHT}{AND_SECOND}"));
        lab.serve(SECOND, vec![], &[]);
        (lab, daemon)
    }),
    ("ns-only-at-parent", "ns2.example.org", || {
        let (mut lab, daemon) = delegated(&format!("{RIGHT}{AND_SECOND}"));
        lab.serve(SECOND, vec![copy_of(&daemon, 0)], &[]);
        (lab, daemon)
    }),
    ("ns-only-here", "add to the zone example.org: `auth.example.org. NS ns2.example.org.`", || two(RIGHT)),
    ("ns-is-cname", "CNAME to ns.example.org", || {
        let mut lab = Lab::new();
        lab.parent("auth NS acme\nacme CNAME ns\n");
        let daemon = Process::start(&lab.settings().nameservers(&["acme.example.org"]));
        (lab, daemon)
    }),
    ("ns-does-not-exist", "remove `auth.example.org. NS ns2.example.org.`", || two(&format!("{RIGHT}auth NS ns2\n"))),
    ("ns-name-unanswered", "use a name in another zone", || {
        let mut lab = Lab::new();
        lab.parent(&format!("{RIGHT}auth NS ns.example.net.\n"));
        let settings = lab.settings().nameservers(&["ns1.auth.example.org", "ns.example.net"]);
        let daemon = Process::start(&settings);
        (lab, daemon)
    }),
    ("ns-without-address", "add an A record for ns2.example.org", || {
        two(&format!("{RIGHT}auth NS ns2\nns2 TXT no-address\n"))
    }),
    ("glue-missing", "add to the zone example.org: `ns1.auth.example.org. A 127.0.1.53`", || {
        delegated("auth NS ns1.auth\n")
    }),
    ("glue-wrong", "`ns1.auth.example.org. A 127.0.1.99` by `ns1.auth.example.org. A 127.0.1.53`", || {
        delegated("auth NS ns1.auth\nns1.auth A 127.0.1.99\n")
    }),
    ("glue-differs", "`ns1.auth.example.org. A 127.0.1.54` by `ns1.auth.example.org. A 127.0.1.53`", || {
        let mut lab = Lab::new();
        lab.parent("auth NS ns1.auth\nns1.auth A 127.0.1.54\n");
        let settings = lab.settings_at(&[DAEMON, "127.0.1.54"]).own_records("ns1 A 127.0.1.53");
        let daemon = Process::start(&settings);
        (lab, daemon)
    }),
    ("glue-incomplete", "add to the zone example.org: `ns1.auth.example.org. AAAA ::1`", || {
        let mut lab = Lab::new();
        lab.parent(RIGHT);
        let daemon = Process::start(&lab.settings_at(&[DAEMON, "::1"]));
        (lab, daemon)
    }),
    ("address-private", "replace 192.168.0.53", || {
        let mut lab = Lab::new();
        lab.parent("auth NS ns1.auth\nns1.auth A 192.168.0.53\n");
        let daemon = Process::start(&lab.settings().own_records("ns1 A 192.168.0.53"));
        (lab, daemon)
    }),
];

const NAMESERVERS: &[Broken] = &[
    ("nameserver-dead", SECOND, || two(&format!("{RIGHT}{AND_SECOND}"))),
    ("nameserver-dead", "no answer within", || with_second(&[Fault::Silent])),
    ("ipv6-dead", "remove the AAAA record of ns2.example.org", || {
        let (mut lab, daemon) = two(&format!("{RIGHT}{AND_SECOND}ns2 AAAA ::1\n"));
        lab.serve(SECOND, vec![copy_of(&daemon, 0)], &[]);
        (lab, daemon)
    }),
    ("tcp-closed", "open TCP port 53 of 127.0.1.60", || with_second(&[Fault::TcpClosed])),
    ("udp-closed", "open UDP port 53 of 127.0.1.60", || with_second(&[Fault::UdpClosed])),
    ("nameserver-refuses", "add the zone auth.example.org to the server at 127.0.1.60", || {
        with_second(&[Fault::Rcode(ResponseCode::Refused)])
    }),
    ("nameserver-fails", "127.0.1.60 answers Server Failure", || with_second(&[Fault::Rcode(ResponseCode::ServFail)])),
    ("not-authoritative", "127.0.1.60 answers without the AA bit", || with_second(&[Fault::NoAuthority])),
    ("case-changed", SECOND, || with_second(&[Fault::LowerCase])),
    ("edns-dropped", SECOND, || with_second(&[Fault::DropsEdns])),
    ("edns-refused", SECOND, || with_second(&[Fault::KnowsNoEdns])),
    ("large-answers-lost", "datagrams of up to 1,232 bytes", || {
        let (mut lab, signer) = signed_lab_without_parent();
        let (home, ds) = signed_home(&lab.settings().nameservers(&["ns1.auth.example.org", "ns2.example.org"]));
        let other = Signer::new();
        let delegation = parent(&format!("{RIGHT}{AND_SECOND}{ds}")).with(other.ds("auth.example.org."));
        lab.serve(PARENT, vec![delegation.signed(&signer)], &[]);
        let daemon = home.start();
        lab.serve(SECOND, vec![copy_of(&daemon, 0).signed(&other)], &[Fault::DropsLarger(150)]);
        (lab, daemon)
    }),
    ("apex-ns-differs", "ns.other.example.net", || {
        let (mut lab, daemon) = two(&format!("{RIGHT}{AND_SECOND}"));
        lab.serve(SECOND, vec![copy_with(&daemon, 0, "ns.other.example.net.")], &[]);
        (lab, daemon)
    }),
    ("secondary-behind", "NOTIFY", || {
        let (mut lab, daemon) = two(&format!("{RIGHT}{AND_SECOND}"));
        lab.serve(SECOND, vec![copy_of(&daemon, 1)], &[]);
        (lab, daemon)
    }),
    ("serial-ahead", "another primary", || {
        let (mut lab, daemon) = two(&format!("{RIGHT}{AND_SECOND}"));
        lab.serve(SECOND, vec![copy_of(&daemon, 0u32.wrapping_sub(9))], &[]);
        (lab, daemon)
    }),
    ("another-zone", "make the server at 127.0.1.60 a secondary", || {
        let (mut lab, daemon) = two(&format!("{RIGHT}{AND_SECOND}"));
        lab.serve(SECOND, vec![zone_at(ZONE, SECOND, "")], &[]);
        (lab, daemon)
    }),
    ("ds-without-signing", "remove the DS records of auth.example.org", || {
        let lab = signed_lab(|signer| parent(RIGHT).with(Signer::new().ds("auth.example.org.")).signed(signer));
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("ds-mismatch", "`txtgate dnssec status auth.example.org`", || {
        let (mut lab, signer) = signed_lab_without_parent();
        let (home, _) = signed_home(&lab.settings());
        let other = Signer::new().ds("auth.example.org.");
        lab.serve(PARENT, vec![parent(RIGHT).with(other).signed(&signer)], &[]);
        (lab, home.start())
    }),
    ("ds-algorithm", "digest type 3", || {
        let (mut lab, signer) = signed_lab_without_parent();
        let (home, _) = signed_home(&lab.settings());
        let apex = format!("{ZONE}.").parse().unwrap();
        let gost = record(&apex, RecordType::DS, [&[1, 2, 13, 3][..], &[7; 32]].concat());
        lab.serve(PARENT, vec![parent(RIGHT).with(gost).signed(&signer)], &[]);
        (lab, home.start())
    }),
    ("ds-missing", "add the DS record that it prints to the zone example.org", || signed(|_| String::new())),
    ("nameserver-other-keys", "shows no DNSKEY record", || {
        let (mut lab, signer) = signed_lab_without_parent();
        let (home, ds) = signed_home(&lab.settings().nameservers(&["ns1.auth.example.org", "ns2.example.org"]));
        lab.serve(PARENT, vec![parent(&format!("{RIGHT}{AND_SECOND}{ds}")).signed(&signer)], &[]);
        let daemon = home.start();
        lab.serve(SECOND, vec![copy_of(&daemon, 0)], &[]);
        (lab, daemon)
    }),
];

fn all_begin_right(broken: &[Broken]) {
    let set_ups: Vec<(&str, SetUp)> = broken.iter().map(|(code, _, set_up)| (*code, *set_up)).collect();
    each(&set_ups, |place, lab, daemon| {
        let (code, part, _) = broken[place];
        Examined::in_lab(daemon, lab, &[]).begins_with(code, part);
    });
}

#[test]
fn what_is_broken_above_the_parent_zone_is_the_first_finding() {
    all_begin_right(ABOVE);
}

#[test]
fn what_is_wrong_in_the_parent_zone_is_the_first_finding() {
    all_begin_right(PARENT_RECORDS);
}

#[test]
fn what_is_wrong_with_one_nameserver_is_the_first_finding() {
    all_begin_right(NAMESERVERS);
}

/// What needs more than one machine: a network without a route, a router of one's own, and a zone whose nameservers fail
/// between two questions.
const WITHOUT_SET_UP: [&str; 3] = ["no-route", "nameserver-unreachable-from-inside", "chain-unknown"];

#[test]
fn every_finding_about_a_delegation_has_a_set_up() {
    let page = include_str!("../../../docs/doctor.md");
    let section = page.split("\n## ").find(|section| section.starts_with("Delegation\n")).unwrap();
    let rows = section.lines().filter_map(|line| line.split('|').nth(2)?.trim().strip_prefix('`')?.strip_suffix('`'));
    let set_ups = || ABOVE.iter().chain(PARENT_RECORDS).chain(NAMESERVERS).map(|(code, ..)| *code);
    let missing: Vec<&str> =
        rows.filter(|code| !set_ups().any(|other| other == *code) && !WITHOUT_SET_UP.contains(code)).collect();
    assert!(missing.is_empty() && set_ups().count() > 40, "{missing:?}");
}

const SOUND: &[(&str, SetUp)] = &[
    ("one nameserver", || delegated(RIGHT)),
    ("a secondary", || with_second(&[])),
    ("a signed zone", || signed(str::to_owned)),
    ("a signed parent without a DS", || {
        let lab = signed_lab(|signer| parent(RIGHT).signed(signer));
        let daemon = Process::start(&lab.settings());
        (lab, daemon)
    }),
    ("IPv4 and IPv6", || {
        let mut lab = Lab::new();
        lab.parent(&format!("{RIGHT}ns1.auth AAAA ::1\n"));
        let daemon = Process::start(&lab.settings_at(&[DAEMON, "::1"]));
        (lab, daemon)
    }),
    ("a nameserver in another domain, without glue", || {
        let mut lab = Lab::new();
        lab.parent("auth NS acme.example.net.\n");
        lab.serve(USER, vec![zone_at("example.net", USER, &format!("acme A {DAEMON}"))], &[]);
        let daemon = Process::start(&lab.settings().nameservers(&["acme.example.net"]).own_records(""));
        (lab, daemon)
    }),
    ("a nameserver in the parent zone", || {
        let mut lab = Lab::new();
        lab.parent(&format!("auth NS acme\nacme A {DAEMON}\n"));
        let daemon = Process::start(&lab.settings().nameservers(&["acme.example.org"]).own_records(""));
        (lab, daemon)
    }),
    ("a parent whose nameserver is a secondary of the zone", || {
        let mut lab = Lab::new();
        let settings = lab.settings().nameservers(&["ns1.auth.example.org", "ns.example.org"]);
        let daemon = Process::start(&settings);
        let copy = copy_with(&daemon, 0, "ns.example.org.");
        lab.serve(PARENT, vec![parent(&format!("{RIGHT}auth NS ns\n")), copy], &[]);
        (lab, daemon)
    }),
];

#[test]
fn sound_delegations_have_no_findings() {
    each(SOUND, |_, lab, daemon| Examined::in_lab(daemon, lab, &[]).is_sound());
}
