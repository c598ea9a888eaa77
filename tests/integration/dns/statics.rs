//! Static records: CNAMEs that are followed, long texts, case.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::harness::dns::{A, AAAA, CAA, CNAME, Reply, TXT, ask, query};
use crate::harness::{Process, Settings, ZONE, value};

const RECORDS: &str = "\
Target A 192.0.2.1
alias CNAME TARGET
alias2 CNAME alias
to-shop CNAME shop
out CNAME WWW.Example.COM.
gone CNAME nothing
@ CAA 0 issue \"LetsEncrypt.org\"
mixed TXT \"MiXeD CaSe\"";

fn of(daemon: &Process, name: &str, rtype: u16) -> Reply {
    ask(daemon.dns(), &query(&format!("{name}.{ZONE}"), rtype))
}

fn types(reply: &Reply) -> Vec<RecordType> {
    reply.answers().iter().map(|record| record.record_type()).collect()
}

#[test]
fn a_cname_is_followed_to_static_records() {
    let daemon = Process::start(&Settings::default().records(RECORDS));
    let reply = of(&daemon, "alias2", A);
    assert_eq!(types(&reply), [RecordType::CNAME, RecordType::CNAME, RecordType::A]);
    assert_eq!(reply.addresses(), ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
    let owners: Vec<String> = reply.answers().iter().map(|record| record.name.to_string().to_lowercase()).collect();
    assert_eq!(owners, ["alias2", "alias", "target"].map(|name| format!("{name}.{ZONE}.")));
    assert_eq!(types(&of(&daemon, "alias2", CNAME)), [RecordType::CNAME], "asked for itself it is not followed");
}

#[test]
fn a_cname_is_followed_to_a_live_name() {
    let daemon = Process::start(&Settings::default().records(RECORDS));
    let before = of(&daemon, "to-shop", TXT);
    assert_eq!((before.rcode(), types(&before)), (ResponseCode::NXDomain, vec![RecordType::CNAME]));
    let home = daemon.home();
    home.run_ok(&["account", "create", "example.com", "--subdomain", "shop", "--json"]);
    let empty = of(&daemon, "to-shop", TXT);
    assert_eq!((empty.rcode(), empty.counts()), (ResponseCode::NoError, [1, 1, 1, 0]));
    home.run_ok(&["txt", "publish", "shop", &value(1)]);
    let reply = of(&daemon, "to-shop", TXT);
    assert_eq!(types(&reply), [RecordType::CNAME, RecordType::TXT]);
    assert_eq!(reply.txts(), [value(1)]);
}

#[test]
fn a_cname_out_of_the_zone_ends_there() {
    let daemon = Process::start(&Settings::default().records(RECORDS));
    let reply = of(&daemon, "out", TXT);
    assert_eq!((reply.rcode(), reply.counts()), (ResponseCode::NoError, [1, 1, 0, 0]));
    assert!(reply.is_authoritative());
    assert!(reply.bytes.windows(11).any(|w| w == b"Example\x03COM"), "its case is kept");
    let gone = of(&daemon, "gone", A);
    assert_eq!((gone.rcode(), gone.counts()), (ResponseCode::NXDomain, [1, 1, 1, 0]), "RFC 6604 section 3");
    let no_data = of(&daemon, "alias", AAAA);
    assert_eq!((no_data.rcode(), no_data.counts()), (ResponseCode::NoError, [1, 1, 1, 0]));
}

/// acme-dns lower-cases the whole line.
#[test]
fn static_records_keep_their_case() {
    let daemon = Process::start(&Settings::default().records(RECORDS));
    assert_eq!(of(&daemon, "mixed", TXT).txts(), ["MiXeD CaSe"]);
    let caa = ask(daemon.dns(), &query(ZONE, CAA));
    assert!(caa.bytes.windows(15).any(|window| window == b"LetsEncrypt.org"));
}

#[test]
fn a_long_text_is_several_strings() {
    let [first, second] = ["a".repeat(255), "b".repeat(45)];
    let daemon = Process::start(&Settings::default().records(&format!("long TXT \"{first}\" \"{second}\"")));
    let reply = of(&daemon, "long", TXT);
    assert_eq!(reply.txts(), [format!("{first}{second}")]);
    let rdata = [&[1, 46, 255][..], first.as_bytes(), &[45], second.as_bytes()].concat();
    assert!(reply.bytes.ends_with(&rdata), "RDLENGTH 302, then each string behind its length");
}
