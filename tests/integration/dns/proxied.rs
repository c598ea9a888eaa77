//! The PROXY protocol, version 2, on DNS over TCP and TLS.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use crate::harness::dns::{Change, Reply, SOA, TXT, Tcp, framed, query};
use crate::harness::tls::{Authority, HOST};
use crate::harness::{Account, GRACE, Home, PATIENCE, Process, Settings, Watch, ZONE, until};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const VERSION_1: &[u8] = b"PROXY TCP4 192.0.2.9 127.0.0.1 40000 53\r\n";

/// A header of version 2 for a client over IPv4, with a TLV that means nothing to us.
fn header(client: [u8; 4]) -> Vec<u8> {
    let addresses = [&client[..], &[127, 0, 0, 1, 0x9c, 0x40, 0, 53]].concat();
    [SIGNATURE, &[0x21, 0x11, 0, 17], &addresses, &[0x04, 0, 2, 7, 7]].concat()
}

/// The header of a proxy's own health check.
fn local() -> Vec<u8> {
    [SIGNATURE, &[0x20, 0, 0, 0]].concat()
}

fn behind(proxies: &str) -> Settings {
    let header = format!("trusted-proxies = [\"{proxies}\"]\nregistration = \"open-to-anyone\"");
    Settings::default().with("dns", "proxy-protocol = true").with("api", &header)
}

/// A connection from one of the loopback addresses.
fn connect_from(local: &str, server: SocketAddr) -> Tcp {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let local: IpAddr = local.parse().unwrap();
    socket.bind(&SocketAddr::new(local, 0).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Tcp(stream)
}

fn soa() -> Vec<u8> {
    query(ZONE, SOA)
}

#[test]
fn the_client_of_a_proxy_is_who_the_header_names() {
    let daemon = Process::start(&behind("127.0.0.2/32"));
    let account = Account::register(daemon.api());
    let watch = Watch::over(daemon.home(), &account.subdomain);
    let question = query(&account.fulldomain, TXT);
    let seen = watch.first(|| {
        let mut stream = connect_from("127.0.0.2", daemon.dns());
        // In one segment, as proxies send it; and another query behind the first.
        stream.0.write_all(&[header([192, 0, 2, 9]), framed(&question), framed(&soa())].concat()).unwrap();
        Reply::of(stream.receive());
        assert_eq!(Reply::of(stream.receive()).of_type(SOA), 1);
    });
    assert_eq!(seen["source"], "192.0.2.9");
    let mut check = connect_from("127.0.0.2", daemon.dns());
    check.0.write_all(&[local(), framed(&soa())].concat()).unwrap();
    assert_eq!(Reply::of(check.receive()).of_type(SOA), 1, "a health check");
    let mut direct = connect_from("127.0.0.3", daemon.dns());
    direct.send(&soa());
    assert_eq!(Reply::of(direct.receive()).of_type(SOA), 1, "others need no header");
}

#[test]
fn a_proxy_without_a_header_and_a_header_without_a_proxy_are_closed_and_logged() {
    let daemon = Process::start(&behind("127.0.0.2/32"));
    for bytes in [framed(&soa()), [VERSION_1, &framed(&soa())].concat(), [SIGNATURE, &[0x22, 0, 0, 0]].concat()] {
        let mut stream = connect_from("127.0.0.2", daemon.dns());
        stream.0.write_all(&bytes).unwrap();
        assert!(stream.closes_within(GRACE), "{bytes:02x?}");
    }
    for header in [header([192, 0, 2, 9]), VERSION_1.to_vec(), header([192, 0, 2, 9])] {
        let mut stream = connect_from("127.0.0.3", daemon.dns());
        stream.0.write_all(&[header, framed(&soa())].concat()).unwrap();
        assert!(stream.closes_within(GRACE));
    }
    let lines = |words: &str| daemon.log().lines().filter(|line| line.contains(words)).count();
    until("the log says so", || lines("arrived unasked") > 0);
    assert_eq!((lines("arrived unasked"), lines("from a trusted proxy was closed")), (1, 1), "{}", daemon.log());
    let log = daemon.log();
    assert!(log.contains("127.0.0.3") && log.contains("trusted-proxies") && log.contains("send-proxy-v2"), "{log}");
}

#[test]
fn version_1_is_refused_by_its_name() {
    let daemon = Process::start(&behind("127.0.0.0/8"));
    let mut stream = Tcp::to(daemon.dns());
    stream.0.write_all(VERSION_1).unwrap();
    assert!(stream.closes_within(GRACE));
    until("the log says so", || daemon.log().contains("PROXY protocol version 1; txtgate reads version 2 only"));
}

/// Nobody has said that there is a proxy.
#[test]
fn a_header_that_nobody_asked_for_is_logged_on_tcp_and_on_tls() {
    let authority = Authority::new();
    for what in ["DNS over TCP", "DNS over TLS"] {
        // A daemon for each, since the log is silent for a minute after the first line.
        let lines = "tls-listen = [\"127.0.0.1:0\"]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"";
        let home = Home::new(&Settings::default().with("dns", lines));
        authority.issue(home.path());
        let daemon = home.start();
        let server = if what == "DNS over TCP" { daemon.dns() } else { daemon.dns_tls() };
        let mut stream = Tcp::to(server);
        stream.0.write_all(&[header([192, 0, 2, 9]), framed(&soa())].concat()).unwrap();
        assert!(stream.closes_within(GRACE), "{what}");
        until("the log says so", || daemon.log().contains(&format!("{what}: a PROXY protocol header arrived unasked")));
        let mut plain = Tcp::to(daemon.dns());
        plain.send(&soa());
        assert_eq!(Reply::of(plain.receive()).of_type(SOA), 1, "others go on");
    }
}

/// The header comes before the handshake.
#[test]
fn over_tls_the_header_comes_before_the_handshake() {
    let tls = "tls-listen = [\"127.0.0.1:0\"]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"";
    let home = Home::new(&behind("127.0.0.2/32").with("dns", tls));
    let authority = Authority::new();
    authority.issue(home.path());
    let daemon = home.start();
    let mut stream = connect_from("127.0.0.2", daemon.dns_tls()).0;
    stream.write_all(&header([192, 0, 2, 9])).unwrap();
    let client = ClientConnection::new(authority.client(&["dot"]), ServerName::try_from(HOST).unwrap()).unwrap();
    let mut tls = StreamOwned::new(client, stream);
    tls.write_all(&framed(&soa().id(7))).unwrap();
    let mut reply = [0; 12];
    tls.read_exact(&mut reply).unwrap();
    assert_eq!((reply[3], reply[9]), (7, 1));
}
