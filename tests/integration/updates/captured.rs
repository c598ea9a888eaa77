//! What real clients send, byte for byte as captured from them, signed anew with this run's key and time.

use hickory_proto::op::ResponseCode::*;

use super::{Site, json_of, key_of};
use crate::harness::dns::{Change, Reply, SOA, Tcp, Udp};
use crate::harness::tsig::Key;
use crate::harness::update::{IN, NONE, Update, record, string};
use crate::harness::{Account, Home, Process, Settings, ZONE, value};

const ALIAS: &str = "_acme-challenge.example.com";

/// One line of `captured.txt`.
struct Captured {
    is_tcp: bool,
    is_signed: bool,
    message: Vec<u8>,
    values_after: usize,
}

fn captured_of(client: &str) -> Vec<Captured> {
    let of = |line: &str| {
        let [_, transport, signed, message, values_after] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let byte = |at: usize| u8::from_str_radix(&message[at..at + 2], 16).unwrap();
        let message = (0..message.len()).step_by(2).map(byte).collect();
        let values_after = values_after.parse().unwrap();
        Captured { is_tcp: transport == "tcp", is_signed: signed == "signed", message, values_after }
    };
    let lines = include_str!("captured.txt").lines();
    lines.filter(|line| line.split(' ').next() == Some(client)).map(of).collect()
}

impl Site {
    /// A site whose names are those of the captured requests.
    fn captured(settings: &Settings, algorithm: &str) -> Self {
        let daemon = Process::start(settings);
        let home: &Home = daemon.home();
        let account = json_of(home, &["account", "create", "example.com", "--subdomain", "shop"]);
        let account = Account::of(&account);
        home.run_ok(&["account", "alias", "add", &account.username, ALIAS]);
        let key = key_of(home, &account, algorithm);
        Self { daemon, account, key }
    }

    fn send(&self, captured: &Captured) -> Reply {
        let server = self.daemon.dns();
        let signed = self.key.sign(&captured.message);
        let bytes = if captured.is_signed { &signed.bytes } else { &captured.message };
        let reply = if captured.is_tcp {
            let mut stream = Tcp::to(server);
            stream.send(bytes);
            stream.receive()
        } else {
            Udp::to(server).ask(bytes)
        };
        if captured.is_signed { self.key.open(&signed, &reply).0 } else { Reply::of(reply) }
    }

    /// Sends all that a client sent, and hands each reply to `look`.
    fn replay(&self, client: &str, look: impl Fn(usize, &Reply)) {
        let all = captured_of(client);
        assert!(all.len() > 5, "{client}");
        for (number, captured) in all.iter().enumerate() {
            let reply = self.send(captured);
            assert_eq!(reply.rcode(), NoError, "{client} {number}");
            assert_eq!(self.served().len(), captured.values_after, "{client} {number}");
            look(number, &reply);
        }
    }
}

/// It walks up from the name until there is a SOA in the answer.
#[test]
fn lego() {
    let site = Site::captured(&Settings::default(), "hmac-sha1");
    site.replay("lego-4.9.1", |number, reply| match number {
        0 => reply.assert_negative(NoError),
        1 => assert_eq!((reply.of_type(SOA), reply.is_authoritative()), (1, true)),
        _ => {}
    });
}

fn has_own_soa(reply: &Reply) {
    let is_update = reply.bytes[2] & 0x78 == 0x28;
    assert!(is_update || (reply.of_type(SOA) == 1 && reply.is_authoritative()), "{reply:?}");
}

#[test]
fn certbot_and_nsupdate_over_a_virtual_zone() {
    let site = Site::captured(&Settings::default(), "hmac-sha512");
    for client in ["certbot-2.1.0", "nsupdate-9.18"] {
        site.replay(client, |_, reply| has_own_soa(reply));
    }
}

/// Without `dns_rfc2136_sign_query`, and with its default algorithm.
#[test]
fn certbot_5_where_the_configuration_allows_what_it_does() {
    let settings = Settings::default().with("dns", "tsig-md5 = true\nopen-virtual-zones = true");
    Site::captured(&settings, "hmac-md5").replay("certbot-5.8.0", |_, reply| has_own_soa(reply));
}

/// Built from the source of these clients, not captured: Caddy's libdns, cert-manager, acme.sh, uacme's script.
#[test]
fn clients_that_are_known_from_their_source() {
    let site = Site::captured(&Settings::default(), "hmac-sha256");
    let name = site.name().to_owned();
    let add = |ttl| record(&name, 16, IN, ttl, &string(&value(1)));
    let delete = || record(&name, 16, NONE, 0, &string(&value(1)));
    let alias = || Update::of(ALIAS);
    for (client, updates) in [
        ("Caddy", [Update::of(ZONE).then(add(0)), Update::of(ZONE).then(delete())]),
        ("cert-manager", [Update::of(ZONE).then(add(60)), Update::of(ZONE).then(delete())]),
        ("acme.sh", [alias().add(ALIAS, &value(1)), alias().clear(ALIAS, 16)]),
        ("uacme", [alias().add(ALIAS, &value(1)), alias().clear(ALIAS, 255)]),
    ] {
        for (number, update) in updates.iter().enumerate() {
            let id = client.len() as u16 * 256 + number as u16;
            let message = update.bytes().id(id);
            let (server, key): (_, &Key) = (site.daemon.dns(), &site.key);
            let reply =
                if client == "cert-manager" { key.ask_udp(server, &message) } else { key.ask(server, &message) };
            assert_eq!((reply.rcode(), site.served().len()), (NoError, 1 - number), "{client}");
        }
    }
}

/// From its source: win-acme looks for no zone, but sends the UPDATE to longer and longer ones until none is refused.
#[test]
fn win_acme_finds_the_zone_by_trying() {
    let site = Site::captured(&Settings::default(), "hmac-sha256");
    let tried = ["example.com", ALIAS].map(|zone| {
        let update = Update::of(zone).then(record(ALIAS, 16, IN, 60, &string(&value(1))));
        site.key.ask(site.daemon.dns(), &update.bytes()).rcode()
    });
    assert_eq!((tried, site.served().len()), ([NotAuth, NoError], 1));
}
