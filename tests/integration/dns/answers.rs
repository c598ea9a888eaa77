//! Names and types: answers for those that exist, and for those that do not.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RData;

use crate::harness::dns::{
    self, A, AAAA, ANY, CAA, CNAME, Change, NS, PRIVATE, SOA, TXT, ask, query, query_in, question,
};
use crate::harness::{Account, Process, Settings, ZONE, value};

const TYPES: [u16; 9] = [A, NS, CNAME, SOA, TXT, AAAA, CAA, PRIVATE, ANY];

#[test]
fn a_registered_name_without_a_value_is_no_data_for_every_type() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    for rtype in TYPES {
        ask(daemon.dns(), &query(&account.fulldomain, rtype).edns(1_232)).assert_negative(ResponseCode::NoError);
    }
}

#[test]
fn a_published_value_is_the_txt_answer_and_no_data_for_other_types() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    account.publish(daemon.api(), &value(2));
    for rtype in TYPES {
        let reply = ask(daemon.dns(), &query(&account.fulldomain, rtype));
        if !matches!(rtype, TXT | ANY) {
            reply.assert_negative(ResponseCode::NoError);
            continue;
        }
        assert_eq!(reply.txts(), [value(2), value(1)], "newest first");
        assert!(reply.is_authoritative() && reply.message.authorities.is_empty());
        assert_eq!(reply.counts(), [1, 2, 0, 0]);
        assert!(reply.answers().iter().all(|record| record.ttl == 1));
    }
}

/// The whole message, byte by byte.
#[test]
fn an_answer_is_exactly_these_bytes() {
    let daemon = Process::start(&Settings::default().zone("txt-ttl = 5"));
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(7));
    let name = account.fulldomain.to_uppercase();
    let mut expected = vec![0xbe, 0xef, 0x85, 0x00, 0, 1, 0, 1, 0, 0, 0, 1];
    expected.extend(question(&name, TXT, 1));
    expected.extend([0xc0, 0x0c, 0, 16, 0, 1, 0, 0, 0, 5, 0, 44, 43]);
    expected.extend(value(7).as_bytes());
    expected.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
    let query = query(&name, TXT).id(0xbeef).flags(0x0100).edns(4_096);
    assert_eq!(dns::Udp::to(daemon.dns()).ask(&query), expected);
}

#[test]
fn the_case_of_a_question_comes_back_letter_for_letter() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    for (turn, name) in [&account.fulldomain, "NoThInG.AuTh.ExAmPlE.oRg", "aUTH.example.ORG"].into_iter().enumerate() {
        let flip = |(at, c): (usize, char)| if (at + turn) % 3 == 0 { c.to_ascii_uppercase() } else { c };
        let name: String = name.chars().enumerate().map(flip).collect();
        let asked = question(&name, TXT, 1);
        let reply = ask(daemon.dns(), &query(&name, TXT).edns(1_232));
        assert_eq!(reply.bytes[12..12 + asked.len()], asked[..], "{name}");
        // Owners are a pointer to the question, so that they have its case too.
        assert!(reply.answers().is_empty() || reply.bytes[12 + asked.len()..].starts_with(&[0xc0, 0x0c]));
    }
    let upper = ask(daemon.dns(), &query(&account.fulldomain.to_uppercase(), TXT));
    assert_eq!(upper.txts(), [value(1)], "names are compared without case");
}

#[test]
fn an_unknown_name_is_a_name_error_for_every_type() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    for name in ["nothing", "a.b.c", "00000000-0000-4000-8000-000000000000", &format!("x{}", account.subdomain)] {
        for rtype in TYPES {
            ask(daemon.dns(), &query(&format!("{name}.{ZONE}"), rtype)).assert_negative(ResponseCode::NXDomain);
        }
    }
}

#[test]
fn nothing_is_below_a_registered_name() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    for below in ["_acme-challenge", "x", "a.b"] {
        let name = format!("{below}.{}", account.fulldomain);
        ask(daemon.dns(), &query(&name, TXT)).assert_negative(ResponseCode::NXDomain);
    }
}

#[test]
fn the_apex_has_its_soa_ns_and_static_records() {
    let settings = Settings::default().records("@ A 192.0.2.53\n@ TXT \"Hello\"");
    let daemon = Process::start(&settings);
    let of = |rtype| ask(daemon.dns(), &query(ZONE, rtype));
    assert_eq!((of(SOA).of_type(SOA), of(SOA).is_authoritative()), (1, true));
    let RData::NS(ns) = &of(NS).answers()[0].data.clone() else { panic!("an NS") };
    assert_eq!(ns.0.to_string(), format!("ns1.{ZONE}."));
    assert_eq!(of(A).addresses(), ["192.0.2.53".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(of(TXT).txts(), ["Hello"]);
    for rtype in [AAAA, CAA, CNAME, PRIVATE] {
        of(rtype).assert_negative(ResponseCode::NoError);
    }
    assert_eq!(of(ANY).answers().len(), 1, "ANY gets one record set (RFC 8482)");
}

#[test]
fn the_negative_ttl_is_the_configured_one_in_both_places() {
    let daemon = Process::start(&Settings::default().zone("negative-ttl = 7"));
    let reply = ask(daemon.dns(), &query(&format!("nothing.{ZONE}"), TXT));
    reply.assert_negative(ResponseCode::NXDomain);
    assert_eq!(reply.message.authorities[0].ttl, 7);
}

#[test]
fn an_empty_non_terminal_exists() {
    let daemon = Process::start(&Settings::default().records("deep.down.here A 192.0.2.1"));
    for name in ["down.here", "here"] {
        for rtype in TYPES {
            ask(daemon.dns(), &query(&format!("{name}.{ZONE}"), rtype)).assert_negative(ResponseCode::NoError);
        }
    }
    ask(daemon.dns(), &query(&format!("up.here.{ZONE}"), A)).assert_negative(ResponseCode::NXDomain);
}

#[test]
fn the_zones_own_challenge_name_exists() {
    let daemon = Process::start(&Settings::default());
    ask(daemon.dns(), &query(&format!("_acme-challenge.{ZONE}"), TXT)).assert_negative(ResponseCode::NoError);
}

#[test]
fn a_name_out_of_zone_is_refused_without_authority() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    let foreign = format!("{}.example.com", account.subdomain);
    for name in [&foreign, "example.org", "org", "", "xauth.example.org", "auth.example.org.example.com"] {
        for rtype in [TXT, SOA, ANY] {
            let reply = ask(daemon.dns(), &query(name, rtype).edns(1_232));
            assert_eq!((reply.rcode(), reply.ede()), (ResponseCode::Refused, Some(20)), "{name}");
            assert_eq!((reply.is_authoritative(), reply.counts()), (false, [1, 0, 0, 1]), "{name}");
        }
    }
}

#[test]
fn other_classes_are_refused_and_any_is_answered() {
    let daemon = Process::start(&Settings::default());
    for (name, class) in [(ZONE, 3), (ZONE, 4), ("version.bind", 3), (ZONE, 254)] {
        let reply = ask(daemon.dns(), &query_in(name, SOA, class));
        assert_eq!((reply.rcode(), reply.is_authoritative()), (ResponseCode::Refused, false), "class {class}");
        assert_eq!(reply.counts(), [1, 0, 0, 0]);
    }
    let any = ask(daemon.dns(), &query_in(ZONE, SOA, 255));
    assert_eq!((any.rcode(), any.of_type(SOA)), (ResponseCode::NoError, 1));
}

#[test]
fn the_serial_rises_with_each_change_and_never_falls() {
    let daemon = Process::start(&Settings::default());
    let serial = |server| match &ask(server, &query(ZONE, SOA)).answers()[0].data {
        RData::SOA(soa) => soa.serial,
        other => panic!("{other:?}"),
    };
    let mut last = serial(daemon.dns());
    let account = Account::register(daemon.api());
    for number in 0..5 {
        account.publish(daemon.api(), &value(number));
        let now = serial(daemon.dns());
        assert!(now > last, "{now} after {last}");
        last = now;
    }
    let home = daemon.home().clone();
    daemon.kill();
    assert!(serial(home.start().dns()) > last, "also over a restart");
}
