//! What `watch` and the metrics tell of a message is what was sent, whichever transport carried it.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use crate::harness::dns::{A, AAAA, CAA, Change, NS, Reply, SOA, TXT, Tcp, Udp, ask_tcp, framed, option, query};
use crate::harness::http::get;
use crate::harness::quic::{Link, Quic};
use crate::harness::tls::Authority;
use crate::harness::tsig::{FUDGE, Key, Signed, now};
use crate::harness::update::{IN, Update, record};
use crate::harness::{Account, Home, Process, Settings, Watch, ZONE, skip, value};

/// More TXT values than fit a datagram.
const MANY: u64 = 40;
/// A COOKIE option: a client cookie, and a server cookie of this server's form that it never made.
const BAD_COOKIE: &[u8] = b"\x00\x0a\x00\x18clientck\x01\x00\x00\x00\x65\x00\x00\x00notsigned";

/// One client of each transport.
struct Client<'q> {
    udp: Udp,
    tcp: Tcp,
    tls: StreamOwned<ClientConnection, TcpStream>,
    quic: Link<'q>,
}

impl Client<'_> {
    fn ask(&mut self, transport: &str, message: &[u8]) -> Vec<u8> {
        match transport {
            "udp" => self.udp.ask(message),
            "tcp" => {
                self.tcp.send(message);
                self.tcp.receive()
            }
            "tls" => {
                self.tls.write_all(&framed(message)).unwrap();
                let mut length = [0; 2];
                self.tls.read_exact(&mut length).unwrap();
                let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
                self.tls.read_exact(&mut reply).unwrap();
                reply
            }
            _ => self.quic.ask(message),
        }
    }
}

struct Site {
    daemon: Process,
    account: Account,
    key: Key,
    /// An account that is not for use from here, and its key.
    elsewhere: (Account, Key),
    watch: Watch,
}

fn account(home: &Home, arguments: &[&str]) -> (Account, Key) {
    let account = Account::of(&json_of(home, &[&["account", "create"], arguments].concat()));
    let key = Key::of(&json_of(home, &["account", "tsig", "create", &account.username]));
    (account, key)
}

impl Site {
    fn start(home: &Home) -> Self {
        let daemon = home.start();
        let (account, key) = account(home, &["example.com"]);
        let elsewhere = self::account(home, &["example.net", "--allowfrom", "192.0.2.0/24"]);
        (0..MANY).for_each(|number| account.publish(daemon.api(), &value(number)));
        let watch = Watch::over(home, ZONE);
        watch.first(|| _ = Udp::to(daemon.dns()).ask(&query(ZONE, SOA)));
        Self { daemon, account, key, elsewhere, watch }
    }

    fn client<'q>(&self, authority: &Authority, quic: &'q Quic) -> Client<'q> {
        Client {
            udp: Udp::to(self.daemon.dns()),
            tcp: Tcp::to(self.daemon.dns()),
            tls: authority.connect(self.daemon.dns_tls(), &["dot"]).0,
            quic: quic.connect(self.daemon.dns_quic()),
        }
    }

    /// The event of a message of this opcode and type; what holds of every event is checked.
    fn event(&self, transport: &str, opcode: &str, rtype: &str, reply: &[u8]) -> Value {
        let wanted = [("transport", transport), ("opcode", opcode), ("type", rtype)];
        let event = self.watch.find(|event| wanted.iter().all(|(key, value)| event[key] == *value));
        let expected = [("source", json!("127.0.0.1")), ("outcome", json!("sent")), ("size", json!(reply.len()))];
        expected.into_iter().for_each(|(key, value)| assert_eq!(event[key], value, "{key}: {event}"));
        assert_eq!(event["truncated"], json!(reply[2] & 2 != 0), "{event}");
        event
    }

    /// The event of an UPDATE that is signed and refused.
    fn refused(&self, client: &mut Client<'_>, transport: &str, key: &Key, update: &Update) -> (Reply, Value) {
        let signed: Signed = key.sign(&update.clone().id(0).bytes().edns(1_232));
        let bytes = client.ask(transport, &signed.bytes);
        let (reply, seal) = key.open(&signed, &bytes);
        assert!(seal.is_signed, "{seal:?}");
        let event = self.event(transport, "UPDATE", "SOA", &bytes);
        assert_eq!(
            (&event["key"], &event["key_error"]),
            (&json!(key.name.trim_end_matches('.')), &Value::Null),
            "{event}"
        );
        (reply, event)
    }
}

fn json_of(home: &Home, arguments: &[&str]) -> Value {
    serde_json::from_str(&home.run_ok(&[arguments, &["--json"]].concat())).unwrap()
}

#[test]
fn what_is_observed_is_what_was_sent_over_every_transport() {
    let free = "[\"127.0.0.1:0\"]";
    let lines = format!("tls-listen = {free}\nquic-listen = {free}\ncertificate = \"cert.pem\"\nkey = \"key.pem\"");
    let home = Home::new(&Settings::default().with("dns", &lines));
    let authority = Authority::new();
    authority.issue(home.path());
    let site = Site::start(&home);
    let quic = Quic::trusting(&authority);
    let mut client = site.client(&authority, &quic);
    for transport in ["udp", "tcp", "tls", "quic"] {
        truncation_is_observed(&site, &mut client, transport);
        a_bad_cookie_is_observed(&site, &mut client, transport);
        malformed_messages_are_observed(&site, &mut client, transport);
        rejected_signatures_are_observed(&site, &mut client, transport);
        refusals_are_observed(&site, &mut client, transport);
    }
}

fn truncation_is_observed(site: &Site, client: &mut Client<'_>, transport: &str) {
    let reply = client.ask(transport, &query(&site.account.fulldomain, TXT).id(0));
    let event = site.event(transport, "QUERY", "TXT", &reply);
    assert_eq!(event["truncated"], json!(transport == "udp"), "{event}");
    let values: Vec<_> = if transport == "udp" { Vec::new() } else { (0..MANY).rev().map(value).collect() };
    assert_eq!((&event["values"], &event["rcode"]), (&json!(values), &json!("NOERROR")), "{transport}");
}

fn a_bad_cookie_is_observed(site: &Site, client: &mut Client<'_>, transport: &str) {
    let reply = client.ask(transport, &query(&site.account.fulldomain, A).id(0).opt(1_232, 0, 0x8000, BAD_COOKIE));
    let event = site.event(transport, "QUERY", "A", &reply);
    let learnt = option(&reply, 10).expect("a new server cookie");
    assert_ne!(learnt[8..], BAD_COOKIE[12..]);
    let seen = (&event["cookie"], &event["edns_size"], &event["dnssec_ok"]);
    assert_eq!(seen, (&json!("invalid"), &json!(1_232), &json!(true)), "{event}");
}

fn malformed_messages_are_observed(site: &Site, client: &mut Client<'_>, transport: &str) {
    let name = &site.account.fulldomain;
    let mut notify = query(name, 15).id(0).edns(1_232);
    notify[2] |= 4 << 3;
    for (message, opcode, rtype, rcode, cookie) in [
        ([query(name, CAA).id(0), vec![0]].concat(), "QUERY", "CAA", "FORMERR", "absent"),
        (notify, "NOTIFY", "MX", "NOTIMP", "absent"),
        (query(name, 33).id(0).opt(1_232, 1, 0, &[]), "QUERY", "SRV", "BADVERS", "absent"),
        (query(name, AAAA).id(0).opt(1_232, 0, 0, b"\x00\x0a\x00\x03bad"), "QUERY", "AAAA", "FORMERR", "malformed"),
    ] {
        let reply = client.ask(transport, &message);
        let event = site.event(transport, opcode, rtype, &reply);
        assert_eq!((&event["rcode"], &event["cookie"]), (&json!(rcode), &json!(cookie)), "{event}");
        assert_eq!(event["name"], json!(name.trim_end_matches('.')), "{event}");
    }
}

fn rejected_signatures_are_observed(site: &Site, client: &mut Client<'_>, transport: &str) {
    let name = &site.account.fulldomain;
    let update = Update::of(ZONE).add(name, &value(98)).id(0).bytes();
    let forged = Key { secret: b"another".to_vec(), ..site.key.clone() };
    let unknown = Key { name: "unknown.example.".into(), ..site.key.clone() };
    for (signed, error) in [
        (forged.sign(&update), "BADSIG"),
        (unknown.sign(&update), "BADKEY"),
        (site.key.sign_at(&update, now() - 3_600, FUDGE), "BADTIME"),
    ] {
        let reply = client.ask(transport, &signed.bytes);
        let event = site.event(transport, "UPDATE", "SOA", &reply);
        assert_eq!((&event["rcode"], &event["key_error"]), (&json!("NOTAUTH"), &json!(error)), "{event}");
        assert_eq!(event["updated"], json!([name.trim_end_matches('.')]), "{event}");
    }
}

fn refusals_are_observed(site: &Site, client: &mut Client<'_>, transport: &str) {
    let reply = client.ask(transport, &query(ZONE, 252).id(0).edns(1_232));
    let event = site.event(transport, "QUERY", "AXFR", &reply);
    assert_eq!((&event["rcode"], &event["ede"]["code"]), (&json!("REFUSED"), &json!(18)), "{event}");
    let unsigned = Update::of(ZONE).add(&site.account.fulldomain, &value(99)).id(0).bytes();
    let reply = client.ask(transport, &unsigned);
    let event = site.event(transport, "UPDATE", "SOA", &reply);
    assert_eq!((&event["rcode"], &event["ede"], &event["key"]), (&json!("REFUSED"), &Value::Null, &Value::Null));
    for (update, rcode, text) in [
        (Update::of(ZONE).add(ZONE, &value(1)), "REFUSED", "not a name of this account"),
        (Update::of(ZONE).add("www.example.com", &value(1)), "NOTZONE", "a name lies outside the zone of the UPDATE"),
        (
            Update::of(ZONE).then(record(ZONE, TXT, 4, 60, &[])),
            "FORMERR",
            "an update has a wrong class, type, TTL or data",
        ),
        (
            Update::of(ZONE).when(record(ZONE, TXT, IN, 1, &[])),
            "FORMERR",
            "a prerequisite has a wrong class, type, TTL or data",
        ),
    ] {
        let (reply, event) = site.refused(client, transport, &site.key, &update);
        assert_eq!((&event["rcode"], &event["ede"]["text"]), (&json!(rcode), &json!(text)), "{event}");
        assert_eq!(reply.ede(), event["ede"]["code"].as_u64().map(|code| code as u16));
    }
    let (account, key) = &site.elsewhere;
    let update = Update::of(ZONE).add(&account.fulldomain, &value(1));
    let (_, event) = site.refused(client, transport, key, &update);
    let text = &event["ede"]["text"];
    assert_eq!((&event["rcode"], text), (&json!("REFUSED"), &json!("the account is not for use from this network")));
}

/// An address of this machine that is not of its loopback, whose clients have no limit.
fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Sends nothing: the kernel only looks for a route.
    socket.connect("198.51.100.1:53").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_loopback())
}

#[test]
fn replies_over_the_rate_limit_are_observed_and_counted_as_they_were_sent() {
    let Some(address) = outward_address() else {
        return skip("rate limits in `watch`", "this machine has no address beside those of its loopback");
    };
    let lines = format!("listen = [\"{address}:0\"]\nanswers-per-second = 1");
    let home = Home::new(&Settings::default().with("dns", &lines));
    let daemon = home.start();
    let watch = Watch::over(&home, ZONE);
    watch.first(|| _ = ask_tcp(daemon.dns(), &query(ZONE, SOA)));
    let udp = Udp::from(&address.to_string(), daemon.dns());
    // How many replies are within the limit depends on the time that passes, so the first one past it is waited for.
    let slipped = loop {
        let reply = udp.ask(&query(ZONE, NS).edns(1_232));
        let event = watch.find(|event| event["type"] == "NS");
        assert_eq!(event["size"], json!(reply.len()), "{event}");
        if Reply::of(reply).is_truncated() {
            break event;
        }
        assert_eq!((&event["outcome"], &event["limited"]), (&json!("sent"), &json!(false)), "{event}");
    };
    assert_eq!((&slipped["outcome"], &slipped["limited"]), (&json!("slipped"), &json!(true)), "{slipped}");
    assert_eq!((&slipped["truncated"], &slipped["source"]), (&json!(true), &json!(address.to_string())), "{slipped}");
    let dropped = loop {
        udp.send(&query(ZONE, 252).edns(1_232));
        let event = watch.find(|event| event["type"] == "AXFR");
        if event["outcome"] != "sent" {
            break event;
        }
        assert_eq!(event["size"], json!(udp.receive().len()), "{event}");
    };
    assert_eq!((&dropped["outcome"], &dropped["size"]), (&json!("dropped"), &json!(0)), "{dropped}");
    assert_eq!((&dropped["rcode"], &dropped["ede"]), (&json!("REFUSED"), &Value::Null), "{dropped}");
    assert_eq!(udp.receive_within(Duration::from_millis(100)), None);
    let metrics = get(daemon.metrics(), "/metrics").body;
    for became in ["truncated", "dropped"] {
        let series = format!("txtgate_dns_limited_total{{became=\"{became}\"}} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&series)).expect("a counter");
        assert!(count.parse::<u64>().unwrap() > 0, "{series}");
    }
}
