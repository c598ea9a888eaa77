//! The same messages to NSD, to Knot DNS and to us, over zones with the same content. Where one of them answers otherwise, the
//! reason stands with the class of messages.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RData;
use tempfile::TempDir;

use crate::harness::dns::{A, ANY, CAA, CNAME, Change, NS, PRIVATE, Reply, SOA, TXT, Udp, ask_tcp, query, query_in};
use crate::harness::ports::free_port;
use crate::harness::{Process, Settings, ZONE, skip, until};

/// The records beside the SOA and the NS, in the zones of all three.
const RECORDS: &str = "\
@ CAA 0 issue \"letsencrypt.org\"
deep.down A 192.0.2.3
alias CNAME ns1
alias2 CNAME alias
out CNAME www.example.com.
gone CNAME nothing
mail MX 10 ns1
shop 1 TXT \"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\"
";
/// Ordinary questions, chosen by lot.
const QUESTIONS: usize = 3_000;

/// What a reply says. Options are left out, because each server offers others. So is the OPT record of a format error and
/// of an opcode that is not implemented: the others notice those before they have read the OPT record, which RFC 6891
/// section 7 wants in the reply. Whether an error repeats the question is nobody's rule.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    rcode: ResponseCode,
    is_authoritative: bool,
    is_truncated: bool,
    answers: Vec<String>,
    authorities: Vec<String>,
    edns_version: Option<u8>,
}

impl Verdict {
    fn of(reply: &Reply) -> Self {
        let shown = |records: &[hickory_proto::rr::Record]| {
            let mut shown: Vec<String> = records.iter().map(|record| record.to_string().to_lowercase()).collect();
            shown.sort_unstable();
            shown
        };
        let is_early = matches!(reply.rcode(), ResponseCode::FormErr | ResponseCode::NotImp);
        let edns = reply.message.edns.as_ref().filter(|_| !is_early);
        Self {
            rcode: reply.rcode(),
            is_authoritative: reply.is_authoritative(),
            is_truncated: reply.is_truncated(),
            answers: shown(reply.answers()),
            // Names of servers, whose spelling is the zone file's, and the SOA, whose serial is ours.
            authorities: reply.message.authorities.iter().map(|record| record.record_type().to_string()).collect(),
            edns_version: edns.map(hickory_proto::op::Edns::version),
        }
    }
}

/// Messages of one kind, and why a peer answers some of them otherwise.
struct Class {
    what: &'static str,
    messages: Vec<Vec<u8>>,
    nsd: Option<&'static str>,
    knot: Option<&'static str>,
}

impl Class {
    fn new(what: &'static str, messages: Vec<Vec<u8>>) -> Self {
        Self { what, messages, nsd: None, knot: None }
    }

    fn nsd(self, reason: &'static str) -> Self {
        Self { nsd: Some(reason), ..self }
    }

    fn knot(self, reason: &'static str) -> Self {
        Self { knot: Some(reason), ..self }
    }

    fn both(self, reason: &'static str) -> Self {
        self.nsd(reason).knot(reason)
    }
}

fn shop() -> Vec<u8> {
    query(&format!("shop.{ZONE}"), TXT)
}

fn of_opcode(opcode: u16) -> Vec<u8> {
    query(ZONE, SOA).flags(opcode << 11)
}

fn of_version(version: u8) -> impl Fn(Vec<u8>) -> Vec<u8> {
    move |message| message.opt(1_232, version, 0, &[])
}

/// A header that announces no question.
fn without_question() -> Vec<u8> {
    shop()[..12].to_vec().count(0, 0)
}

fn two_questions() -> Vec<u8> {
    let message = shop().count(0, 2);
    let question = message[12..].to_vec();
    message.and(&question)
}

/// The query with a TXT record behind its question, counted in one of the sections.
fn with_record(section: usize) -> Vec<u8> {
    shop().count(section, 1).and(b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x02\x01a")
}

fn cut(length: usize) -> Vec<u8> {
    shop()[..length].to_vec()
}

/// A COOKIE option.
fn cookie(data: &[u8]) -> Vec<u8> {
    [&[0, 10, 0, data.len() as u8][..], data].concat()
}

fn each(values: &[u16], message: impl Fn(u16) -> Vec<u8>) -> Vec<Vec<u8>> {
    values.iter().map(|value| message(*value)).collect()
}

/// Questions as resolvers send them.
fn ordinary() -> Vec<Vec<u8>> {
    let names =
        ["", "shop", "ns1", "mail", "down", "deep.down", "alias", "alias2", "out", "gone", "no", "a.b.no", "*", "*.no"];
    let foreign = ["example.net", "org", "example.org", "xauth.example.org"];
    let types = [A, NS, CNAME, SOA, 12, 15, TXT, 28, 33, 35, 43, 44, 48, 52, 65, 99, 103, CAA, PRIVATE, 65_535];
    let options: [&[u8]; 6] = [
        b"",
        b"\x00\x03\x00\x00",
        b"\x00\x0b\x00\x00",
        b"\x00\x0c\x00\x03\0\0\0",
        b"\xff\x01\x00\x01x",
        b"\x00\x08\x00\x07\x00\x01\x18\x00\x01\x02\x03",
    ];
    let mut state = 0x7065_6572_u64;
    let mut roll = |sides: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % sides
    };
    let mut messages = Vec::new();
    for _ in 0..QUESTIONS {
        let name = match roll(8) {
            0 => foreign[roll(foreign.len())].to_owned(),
            _ => format!("{}.{ZONE}", names[roll(names.len())]),
        };
        let name: String = name.chars().map(|c| if roll(3) == 0 { c.to_ascii_uppercase() } else { c }).collect();
        let message = query(&name, types[roll(types.len())]).flags([0, 0x0100, 0x0110, 0x0600][roll(4)]);
        messages.push(match roll(4) {
            0 => message,
            _ => message.opt(
                [0, 512, 1_232, 4_096, 65_535][roll(5)],
                0,
                [0, 0x8000][roll(2)],
                options[roll(options.len())],
            ),
        });
    }
    messages
}

fn questions() -> Vec<Class> {
    let meta = [41, 128, 249, 250];
    vec![
        Class::new("ordinary questions", ordinary()),
        Class::new("questions for ANY", each(&[ANY], |rtype| query(&format!("shop.{ZONE}"), rtype))),
        Class::new(
            "RRSIG and NSEC in a zone without signatures",
            [46, 47]
                .iter()
                .flat_map(|rtype| {
                    ["shop.", "no.", "alias.", "gone.", ""].map(|label| query(&format!("{label}{ZONE}"), *rtype))
                })
                .collect(),
        )
        .knot(
            "it looks for them beside a CNAME, where signed zones have them (RFC 4034 sections 3 and 4); without \
             signatures the alias is followed",
        ),
        Class::new("MAILB and MAILA", [253, 254].iter().flat_map(|rtype| ["shop.", "no.", "alias.", ""].map(|label| query(&format!("{label}{ZONE}"), *rtype))).collect()),
        Class::new("types that stand in messages only", each(&meta, |rtype| query(ZONE, rtype).edns(1_232)))
            .both("they answer as for any type; RFC 9824 section 3.5 wants FORMERR for NXNAME, and nothing can be at OPT, TKEY or TSIG (RFC 6895 section 3.1)"),
        Class::new("type 0", vec![query(ZONE, 0)])
            .knot("it is reserved (RFC 6895 section 3.1.1), and not implemented for Knot; for NSD and us it is a type that no zone holds"),
        Class::new("transfers over UDP", each(&[251, 252], |rtype| query(ZONE, rtype)))
            .both("an AXFR over UDP is not defined (RFC 5936 section 4.2), and NOTIMP for them; we do not transfer over TCP either, and say REFUSED over both"),
    ]
}

fn classes_and_opcodes() -> Vec<Class> {
    let others: Vec<u16> = (0..16).filter(|opcode| ![0, 4, 5].contains(opcode)).collect();
    vec![
        Class::new("other classes", each(&[0, 2, 4, 254], |class| query_in(ZONE, SOA, class))),
        Class::new("class ANY", vec![query_in(ZONE, SOA, 255)])
            .knot("an answer for all classes is not authoritative (RFC 1035 section 6.2)"),
        Class::new("the server's identity", ["version.bind", "id.server"].map(|name| query_in(name, TXT, 3)).into())
            .both("we tell it only where the configuration does"),
        Class::new("opcodes that nobody implements", each(&others, of_opcode)),
        Class::new("NOTIFY", vec![of_opcode(4)])
            .both("they could be secondaries, and say who may notify them; we are none"),
        Class::new("UPDATE", vec![of_opcode(5)])
            .knot("it says NOTAUTH to who may not; we implement UPDATE only while an account has a TSIG key"),
    ]
}

fn versions() -> Vec<Class> {
    let types = [TXT, 41, 128, 249, 250, 251, 252, 253, 254, ANY];
    let opcodes: Vec<u16> = (1..16).collect();
    let broken = [without_question(), with_record(1), with_record(2)];
    vec![
        Class::new("EDNS version 1 with any type", each(&types, |rtype| of_version(1)(query(ZONE, rtype)))),
        Class::new("EDNS version 255 with any type", each(&types, |rtype| of_version(255)(query(ZONE, rtype)))),
        Class::new(
            "EDNS version 1 in another class",
            each(&[0, 3, 254], |class| of_version(1)(query_in(ZONE, TXT, class))),
        ),
        Class::new("EDNS version 1 with any opcode", each(&opcodes, |opcode| of_version(1)(of_opcode(opcode))))
            .nsd("it looks at the opcode first; RFC 6891 section 6.1.3 knows no exception"),
        Class::new("EDNS version 1 with sections that version 0 forbids", broken.map(of_version(1)).into())
            .nsd("it looks at the sections first; another version may allow them"),
        Class::new("EDNS version 1 with a byte behind it", vec![of_version(1)(shop()).and(b"x")])
            .knot("it looks at the end first; another version may allow it"),
        Class::new("two OPT records, one of version 1", vec![of_version(1)(of_version(0)(shop()))]),
    ]
}

fn malformed() -> Vec<Class> {
    vec![
        Class::new("no question", vec![without_question()]),
        Class::new("no question, with EDNS", vec![without_question().edns(1_232)])
            .nsd("it says NOERROR; without a cookie nothing is asked for (RFC 7873 section 5.4)"),
        Class::new("no question, and a cookie", vec![without_question().opt(1_232, 0, 0, &cookie(b"clientck"))])
            .knot("its cookies are off; the question for one has no other question (RFC 7873 section 5.4)"),
        Class::new("two questions", vec![two_questions(), two_questions().edns(1_232)])
            .knot("it does not reply; RFC 9619 section 4 wants FORMERR"),
        Class::new("records in the answer or authority section", vec![with_record(1), with_record(2)])
            .knot("it ignores them; no query has any but IXFR (RFC 1035 section 4.1)"),
        Class::new(
            "records that are announced and not there",
            each(&[1, 2, 3], |section| shop().count(section.into(), 1)),
        ),
        Class::new("an additional record that means nothing", vec![with_record(3)])
            .nsd("it says FORMERR; the meaning of such records is open (RFC 1035 section 4.1), so they are ignored"),
        Class::new("a byte behind the message", vec![shop().and(b"x"), shop().edns(1_232).and(b"x")])
            .nsd("it ignores what follows; the counts say that nothing does"),
    ]
}

fn malformed_records() -> Vec<Class> {
    vec![
        Class::new("two OPT records", vec![shop().edns(1_232).edns(1_232)]),
        Class::new(
            "an OPT record with an owner",
            vec![shop().count(3, 1).and(b"\x01a\x00\x00\x29\x04\xd0\0\0\0\0\0\0")],
        )
        .knot("it ignores the owner, which must be the root (RFC 6891 section 6.1.2)"),
        Class::new("an option that is cut off", vec![shop().opt(1_232, 0, 0, b"\x00\x0a\x00\x09ab")]),
        Class::new("a cookie of a wrong length", vec![shop().opt(1_232, 0, 0, &cookie(b"abc"))]).both(
            "their cookies are off, and the option then means nothing to them; RFC 7873 section 5.2.2 wants FORMERR",
        ),
        Class::new("a question that is cut off", [12, 13, 20, 38].map(cut).into())
            .knot("it does not reply to a message without a whole question"),
        Class::new(
            "a question's name with a pointer or a reserved label",
            vec![cut(12).and(b"\xc0\x0c\0\x10\0\x01"), cut(12).and(&[0x40; 70])],
        )
        .knot("it does not reply to a message without a whole question"),
        Class::new("responses", each(&[0x8000, 0x8400], |flags| shop().flags(flags))),
        Class::new("less than a header", [0, 2, 11].map(cut).into()),
        Class::new("flags that queries do not use", each(&[0x0600, 0x00f0, 0x0780], |flags| shop().flags(flags))),
        Class::new("a response code in a query", vec![shop().flags(0x0005)])
            .nsd("it says FORMERR; the code has no meaning in a query (RFC 1035 section 4.1.1)"),
    ]
}

/// A server that somebody else has written. Dropping it ends it.
struct Peer {
    child: Child,
    address: SocketAddr,
}

impl Drop for Peer {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn run(command: &str, arguments: &[&str], config: &Path) -> Option<Child> {
    let mut command = Command::new(command);
    command.args(arguments).arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().ok()
}

fn nsd(folder: &Path) -> Option<Peer> {
    let address = free_port();
    let root = folder.display();
    let text = format!(
        "server:\n ip-address: {}@{}\n zonesdir: \"{root}\"\n database: \"\"\n pidfile: \"\"\n username: \"\"\n \
         xfrdir: \"{root}\"\n xfrdfile: \"\"\n zonelistfile: \"{root}/zones.list\"\n server-count: 1\n rrl-ratelimit: 0\n \
         minimal-responses: yes\n\
         remote-control:\n control-enable: no\nzone:\n name: {ZONE}\n zonefile: zone\n",
        address.ip(),
        address.port()
    );
    let config = folder.join("nsd.conf");
    std::fs::write(&config, text).unwrap();
    Some(Peer { child: run("/usr/sbin/nsd", &["-d", "-c"], &config)?, address })
}

fn knot(folder: &Path) -> Option<Peer> {
    let address = free_port();
    let root = folder.display();
    let text = format!(
        "server:\n    rundir: \"{root}\"\n    listen: {}@{}\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\ndatabase:\n    storage: \"{root}/knot\"\nzone:\n  - domain: {ZONE}\n    storage: \"{root}\"\n    \
         file: zone\n    zonefile-sync: -1\n    journal-content: none\n",
        address.ip(),
        address.port()
    );
    std::fs::create_dir(folder.join("knot")).unwrap();
    let config = folder.join("knot.conf");
    std::fs::write(&config, text).unwrap();
    Some(Peer { child: run("/usr/sbin/knotd", &["-c"], &config)?, address })
}

/// How often a message is sent before it counts as one that a server does not answer: where tests flood the loopback, the
/// kernel drops packets.
const ATTEMPTS: usize = 3;

/// The reply of a server, if there is one: what comes before the reply to a question that has one for sure.
fn reply(server: SocketAddr, message: &[u8]) -> Option<Verdict> {
    const LAST: u16 = 0x7e57;
    let attempt = |_| {
        // A socket of its own, so that nothing late from the attempt before is taken for the reply.
        let udp = Udp::to(server);
        udp.send(message);
        let first = udp.ask(&query(ZONE, SOA).id(LAST));
        (first[..2] != LAST.to_be_bytes()).then(|| Verdict::of(&Reply::of(first)))
    };
    (0..ATTEMPTS).find_map(attempt)
}

/// The zone as we have it, with our serial.
fn zonefile(serial: u32) -> String {
    format!(
        "$ORIGIN {ZONE}.\n$TTL 3600\n@ 10 SOA ns1 hostmaster.example.org. {serial} 14400 3600 604800 10\n@ NS ns1\nns1 A 127.0.0.1\n{RECORDS}"
    )
}

/// What differs: messages on which we and the peer do not agree without a reason, and reasons for which nothing differs.
fn differences(
    classes: &[Class],
    peer: SocketAddr,
    ours: SocketAddr,
    reason: impl Fn(&Class) -> Option<&'static str>,
) -> Vec<String> {
    let mut found = Vec::new();
    for class in classes {
        let mut has_differed = false;
        for message in &class.messages {
            let (theirs, ours) = (reply(peer, message), reply(ours, message));
            has_differed |= theirs != ours;
            if theirs != ours && reason(class).is_none() {
                found.push(format!("{}: {message:02x?}\n  theirs {theirs:?}\n  ours   {ours:?}", class.what));
            }
        }
        if !has_differed && reason(class).is_some() {
            found.push(format!("{}: no difference, and a reason for one", class.what));
        }
    }
    found
}

#[test]
fn nsd_and_knot_answer_the_same_but_where_there_is_a_reason() {
    let folder = TempDir::new().unwrap();
    let daemon = Process::start(&Settings::default().with("dns", "answers-per-second = 0").records(RECORDS));
    let serial = match &ask_tcp(daemon.dns(), &query(ZONE, SOA)).answers()[0].data {
        RData::SOA(soa) => soa.serial,
        other => panic!("{other:?}"),
    };
    std::fs::write(folder.path().join("zone"), zonefile(serial)).unwrap();
    let mut failures = Vec::new();
    let classes: Vec<Class> = [questions(), classes_and_opcodes(), versions(), malformed(), malformed_records()]
        .into_iter()
        .flatten()
        .collect();
    for (name, start, reason) in [
        ("nsd", nsd as fn(&Path) -> Option<Peer>, (|class| class.nsd) as fn(&Class) -> Option<&'static str>),
        ("knot", knot, |class| class.knot),
    ] {
        let Some(peer) = start(folder.path()) else {
            skip(&format!("comparison with {name}"), "it is not installed");
            continue;
        };
        let udp = Udp::to(peer.address);
        until("the peer answers", || {
            udp.try_send(&query(ZONE, SOA)) && udp.receive_within(std::time::Duration::from_millis(200)).is_some()
        });
        drop(udp);
        let found = differences(&classes, peer.address, daemon.dns(), reason);
        failures.extend(found.iter().map(|difference| format!("{name}: {difference}")));
        // The longest query that a stream carries, most of it padding.
        let long = shop().opt(1_232, 0, 0, &[&[0, 12, 0xea, 0x60][..], &[0; 0xea60]].concat());
        assert!(long.len() > 60_000);
        let [theirs, ours] = [peer.address, daemon.dns()].map(|server| Verdict::of(&ask_tcp(server, &long)));
        assert_eq!(theirs, ours, "{name}, {} bytes", long.len());
    }
    let some = &failures[..failures.len().min(10)];
    assert!(failures.is_empty(), "{} differences, such as\n{}", failures.len(), some.join("\n"));
}
