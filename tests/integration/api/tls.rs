//! HTTPS: both versions of HTTP, and certificates that change while in use.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::Signal;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::harness::http::{connect, request};
use crate::harness::tls::{Authority, HOST, alpn, shown};
use crate::harness::{Account, Home, PATIENCE, Process, Settings, until, value};

fn https() -> (Authority, Process, Vec<u8>) {
    https_with("")
}

/// With more lines for `[api]`.
fn https_with(lines: &str) -> (Authority, Process, Vec<u8>) {
    let authority = Authority::new();
    let files = format!("certificate = \"cert.pem\"\nkey = \"key.pem\"\n{lines}");
    let home = Home::new(&Settings::default().with("api", &files));
    let certificate = authority.issue(home.path());
    (authority, home.start(), certificate)
}

#[test]
fn http_1_1_over_tls_with_and_without_alpn() {
    let (authority, daemon, certificate) = https();
    assert!(daemon.lines().iter().any(|line| line.starts_with("api https://")), "{:?}", daemon.lines());
    for (offered, settled) in [(&["http/1.1"][..], Some("http/1.1")), (&[], None)] {
        let mut wire = authority.connect(daemon.api(), offered);
        assert_eq!((shown(&wire), alpn(&wire).as_deref()), (certificate.clone(), settled));
        let registered = wire.exchange(request("POST", "/register", &[], ""));
        assert_eq!(registered.status, 201);
        let account = Account::of(&registered.json());
        assert_eq!(account.update_on(&mut wire, &value(1)).unwrap().status, 200);
    }
}

/// Registers and updates by one HTTP/2 connection.
async fn over_http2(authority: &Authority, daemon: &Process) -> (Vec<u8>, u16, String) {
    let tcp = tokio::net::TcpStream::connect(daemon.api()).await.unwrap();
    let connector = TlsConnector::from(authority.client(&["h2", "http/1.1"]));
    let stream = connector.connect(ServerName::try_from(HOST).unwrap(), tcp).await.unwrap();
    let settled = stream.get_ref().1.alpn_protocol().unwrap().to_vec();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let uri = |path: &str| format!("https://{HOST}{path}");
    let register = Request::post(uri("/register")).body(Full::new(Bytes::from("null\n"))).unwrap();
    let registered = sender.send_request(register).await.unwrap();
    assert_eq!(registered.status(), 201);
    let body = registered.into_body().collect().await.unwrap().to_bytes();
    let account = Account::of(&serde_json::from_slice(&body).unwrap());
    let update = Request::post(uri("//update"))
        .header("x-api-user", &account.username)
        .header("x-api-key", &account.password)
        .body(Full::new(Bytes::from(account.body(&value(1)))))
        .unwrap();
    let updated = sender.send_request(update).await.unwrap();
    let status = updated.status().as_u16();
    let body = updated.into_body().collect().await.unwrap().to_bytes();
    (settled, status, String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn http_2_by_alpn() {
    let (authority, daemon, _) = https();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (settled, status, body) = runtime.block_on(over_http2(&authority, &daemon));
    assert_eq!((settled.as_slice(), status, body), (&b"h2"[..], 200, format!("{{\"txt\": \"{}\"}}", value(1))));
}

#[test]
fn a_certificate_is_exchanged_by_sighup_while_connections_go_on() {
    let (authority, daemon, first) = https();
    let mut old = authority.connect(daemon.api(), &["http/1.1"]);
    let second = authority.issue(daemon.home().path());
    assert_ne!(first, second);
    daemon.signal(Signal::HUP);
    until("the new certificate is shown", || shown(&authority.connect(daemon.api(), &["http/1.1"])) == second);
    assert_eq!(old.exchange(request("GET", "/health", &[], "")).status, 200);
}

#[test]
fn a_certificate_that_cannot_be_used_leaves_the_old_one() {
    let (authority, daemon, first) = https();
    for (file, content) in [("cert.pem", "nonsense"), ("key.pem", "nonsense")] {
        let path = daemon.home().path().join(file);
        let before = std::fs::read(&path).unwrap();
        let complaints = daemon.log().matches("certificate stays as it was").count();
        std::fs::write(&path, content).unwrap();
        daemon.signal(Signal::HUP);
        until("it says so", || daemon.log().matches("certificate stays as it was").count() > complaints);
        assert!(daemon.log().contains(file), "{}", daemon.log());
        assert_eq!(shown(&authority.connect(daemon.api(), &[])), first);
        std::fs::write(&path, before).unwrap();
    }
}

#[test]
fn a_key_of_another_certificate_is_refused_at_start() {
    let authority = Authority::new();
    let home = Home::new(&Settings::default().with("api", "certificate = \"cert.pem\"\nkey = \"key.pem\""));
    authority.issue(home.path());
    let certificate = std::fs::read(home.path().join("cert.pem")).unwrap();
    authority.issue(home.path());
    std::fs::write(home.path().join("cert.pem"), certificate).unwrap();
    let failed = home.try_launch(&Default::default()).err().expect("it must not start");
    assert!(failed.log.contains("cert.pem does not match its key"), "{}", failed.log);
}

#[test]
fn connections_without_a_handshake_are_closed() {
    let (_, daemon, _) = https_with("header-timeout = \"2s\"");
    let mut plain = connect(daemon.api());
    plain.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    let (closed, said) = plain.closes_within(PATIENCE);
    assert!(closed && !said.contains("HTTP"), "{said:?}");
    let mut silent = connect(daemon.api());
    assert!(silent.closes_within(PATIENCE).0);
}
