//! What recursive resolvers elsewhere see of a value that the daemon publishes for the purpose.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use hickory_proto::op::Message;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::doctor::Examined;
use crate::harness::dns::{TXT, ask, query};
use crate::harness::lab::{DAEMON, Lab};
use crate::harness::resolver::Resolver;
use crate::harness::tls::{Authority, HOST};
use crate::harness::{PATIENCE, Process, until};

fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.parent(&format!("auth NS ns1.auth\nns1.auth A {DAEMON}"));
    lab
}

fn asking(daemon: &Process, lab: &Lab, resolvers: &[String]) -> Examined {
    let hints = lab.hints();
    let flags = resolvers.iter().flat_map(|resolver| ["--resolver", resolver.as_str()]);
    let all: Vec<&str> = ["--hints", &hints].into_iter().chain(flags).collect();
    Examined::by(daemon.home(), &all)
}

#[test]
fn resolvers_over_udp_and_tcp_see_the_value_and_it_is_gone_afterwards() {
    let lab = lab();
    let daemon = Process::start(&lab.settings());
    let resolver = Resolver::start(daemon.dns()).address;
    // The daemon itself stands for a resolver over TCP.
    let examined = asking(&daemon, &lab, &[format!("udp:{resolver}"), format!("tcp:{}", daemon.dns())]);
    examined.is_sound();
    let text = examined.report.to_string();
    assert_eq!(text.matches("sees the value").count(), 2, "{text}");
    until("the value is retired", || daemon.home().run_ok(&["txt", "list"]).contains("there are no"));
}

/// The daemon itself stands for a resolver over TLS.
#[test]
fn resolvers_over_tls_and_https_see_the_value_if_their_certificates_are_trusted() {
    let lab = lab();
    let folder = tempfile::tempdir().unwrap();
    let (authority, path) = (Authority::new(), folder.path().display());
    authority.issue(folder.path());
    std::fs::write(folder.path().join("root.pem"), authority.pem()).unwrap();
    let tls = format!("tls-listen = [\"127.0.0.1:0\"]\ncertificate = \"{path}/cert.pem\"\nkey = \"{path}/key.pem\"");
    let settings = lab.settings().with("dns", &tls).with("acme", &format!("ca-root = \"{path}/root.pem\""));
    let daemon = Process::start(&settings);
    let https = https_resolver(folder.path(), daemon.dns());
    let [named, unnamed] = [format!("tls:{}#{HOST}", daemon.dns_tls()), format!("tls:{}#other.test", daemon.dns_tls())];
    let examined = asking(&daemon, &lab, &[named, format!("https://localhost:{}/dns-query", https.port())]);
    examined.is_sound();
    let text = examined.report.to_string();
    assert_eq!(text.matches("sees the value").count(), 2, "{text}");
    let examined = asking(&daemon, &lab, &[unnamed]);
    examined.begins_with("resolver-silent", "certificate");
}

/// A resolver over HTTPS (RFC 8484), which asks the daemon and has the certificate in a folder. Lives as long as the test's
/// process.
fn https_resolver(folder: &Path, daemon: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let chain = vec![CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tls = ServerConnection::new(config.clone()).unwrap();
            _ = answer(StreamOwned::new(tls, stream), daemon);
        }
    });
    address
}

fn answer(mut stream: impl Read + Write, daemon: SocketAddr) -> std::io::Result<()> {
    let (mut bytes, mut part) = (Vec::new(), [0; 2_048]);
    let question = loop {
        let count = stream.read(&mut part)?;
        bytes.extend_from_slice(&part[..count]);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(question) = end.map(|end| &bytes[end + 4..]).filter(|body| Message::from_vec(body).is_ok()) {
            break question.to_vec();
        }
        if count == 0 {
            return Ok(());
        }
    };
    assert!(bytes.starts_with(b"POST /dns-query "), "{}", String::from_utf8_lossy(&bytes));
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(&question, daemon)?;
    let length = socket.recv(&mut part)?;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message";
    write!(stream, "{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(&part[..length])?;
    stream.flush()
}

#[test]
fn a_resolver_that_sees_something_else_fails_or_is_silent_is_told_apart() {
    let lab = lab();
    let daemon = Process::start(&lab.settings());
    let other = Process::start(&crate::harness::Settings::default());
    assert!(ask(other.dns(), &query("auth.example.org", TXT)).is_authoritative());
    let blind = Resolver::start(other.dns()).address;
    let good = Resolver::start(daemon.dns()).address;
    let examined = asking(&daemon, &lab, &[blind.to_string(), good.to_string()]);
    examined.begins_with("resolver-without-value", "1 of 2 resolvers see it");
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let examined = asking(&daemon, &lab, &[silent.local_addr().unwrap().to_string()]);
    examined.begins_with("resolver-silent", "says nothing of the zone");
}
