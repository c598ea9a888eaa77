//! Set-ups whose machine, daemon or configuration is broken.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::doctor::Examined;
use crate::harness::lab::{DAEMON, Lab};
use crate::harness::{Home, Launch, Process, Settings};

/// A lab whose parent zone delegates to the daemon as it should.
fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.parent(&format!("auth NS ns1.auth\nns1.auth A {DAEMON}"));
    lab
}

/// What the doctor says of a daemon with these settings.
fn examined(lab: &Lab, settings: &Settings) -> Examined {
    Examined::in_lab(&Process::start(settings), lab, &[])
}

#[test]
fn a_sound_server_has_no_findings() {
    let lab = lab();
    examined(&lab, &lab.settings()).is_sound();
}

#[test]
fn an_api_with_a_certificate_of_a_known_authority_has_no_findings() {
    let lab = lab();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.pem");
    std::fs::write(&root, issued_into(folder.path())).unwrap();
    let settings = with_certificate(lab.settings(), folder.path()).with("acme", &format!("ca-root = {root:?}"));
    examined(&lab, &settings).is_sound();
    let stranger = examined(&lab, &with_certificate(lab.settings(), folder.path()));
    stranger.begins_with("api-certificate-incomplete", "fullchain.pem");
}

/// Writes a certificate and its key into a folder; the authority's own certificate in PEM.
fn issued_into(folder: &Path) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority of the test");
    let root = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["auth.example.org".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1));
    std::fs::write(folder.join("cert.pem"), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    root
}

fn with_certificate(settings: Settings, folder: &Path) -> Settings {
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    settings.with("api", &format!("certificate = {certificate:?}\nkey = {key:?}"))
}

#[test]
fn the_file_of_the_configuration_is_compared_with_the_one_in_use() {
    let lab = lab();
    let settings = lab.settings();
    let daemon = Process::start(&settings);
    let now = |settings: &Settings| {
        daemon.home().write(settings);
        // The command reads the configuration as well, so the old one tells it where the daemon is.
        Examined::in_lab(&daemon, &lab, &[])
    };
    now(&settings.clone().more("# one more line")).begins_with("config-needs-reload", "systemctl reload");
    let restart = now(&settings.clone().with("dns", "nsid = \"other\""));
    restart.begins_with("config-needs-restart", "systemctl restart");
    assert!(restart.finding("config-needs-restart")["answer"].as_str().unwrap().ends_with(": dns"));
    now(&settings).is_sound();
}

#[test]
fn a_port_that_another_program_holds_explains_why_no_daemon_runs() {
    let lab = lab();
    let home = Home::new(&lab.settings());
    let other = UdpSocket::bind(lab.at(DAEMON)).unwrap();
    let examined = Examined::by(&home, &["--hints", &lab.hints()]);
    examined.begins_with("port-taken", &format!("(process {})", std::process::id()));
    assert_eq!(examined.finding("daemon-down")["follows_from"], "port-taken");
    drop(other);
    Examined::by(&home, &["--hints", &lab.hints()]).begins_with("daemon-down", "systemctl start");
}

#[test]
fn an_address_that_no_interface_has_is_found_before_the_start() {
    let lab = lab();
    let home = Home::new(&lab.settings_at(&["192.0.2.7"]));
    let examined = Examined::by(&home, &["--hints", &lab.hints()]);
    examined.begins_with("address-absent", "no interface of this machine has the address 192.0.2.7");
}

#[test]
fn a_nameservers_address_needs_a_listener() {
    let lab = lab();
    let settings = lab.settings().own_records(&format!("ns1 A {DAEMON}\nns1 A 127.0.1.54"));
    let examined = examined(&lab, &settings);
    assert!(examined.finding("address-unserved")["subject"].as_str().unwrap().contains("(127.0.1.54)"));
}

#[test]
fn an_api_in_the_clear_is_found() {
    let lab = lab();
    let open = lab.settings().with("api", "listen = [\"0.0.0.0:0\"]\nregistration = \"closed\"");
    examined(&lab, &open).begins_with("api-plain", "[api.tls]");
    let proxied = open.with("api", "trusted-proxies = [\"192.0.2.1/32\"]\nclient-ip-header = \"X-Forwarded-For\"");
    examined(&lab, &proxied).is_sound();
}

#[test]
fn the_apis_certificate_is_examined_as_clients_see_it() {
    let lab = lab();
    let folder = tempfile::tempdir().unwrap();
    for (begin, end, code, part) in [
        (2020, 2021, "api-certificate-expired", "expired at 2021-01-01"),
        (2090, 2091, "api-certificate-not-yet-valid", "clock"),
        (2020, 2090, "api-certificate-self-signed", "mode"),
    ] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["auth.example.org".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(begin, 1, 1), date_time_ymd(end, 1, 1));
        std::fs::write(folder.path().join("cert.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        examined(&lab, &with_certificate(lab.settings(), folder.path())).begins_with(code, part);
    }
    let daemon = Process::start(&with_certificate(lab.settings(), folder.path()));
    std::fs::write(folder.path().join("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    Examined::in_lab(&daemon, &lab, &[]).begins_with("api-certificate-unusable", "does not match its key");
}

#[test]
fn the_apis_certificate_is_for_the_host_that_clients_use() {
    let lab = lab();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.pem");
    std::fs::write(&root, issued_into(folder.path())).unwrap();
    let known = with_certificate(lab.settings(), folder.path()).with("acme", &format!("ca-root = {root:?}"));
    for (url, part) in [("https://api.example.org", "and not for api.example.org"), ("https://192.0.2.1", "192.0.2.1")]
    {
        let wrong = examined(&lab, &known.clone().with("api", &format!("url = {url:?}")));
        wrong.begins_with("api-certificate-other-host", part);
    }
    examined(&lab, &known.clone().with("api", "url = \"https://auth.example.org/\"")).is_sound();
    // Without a URL, clients are told the zone's name where the API listens on every address.
    let open = known.with("api", "listen = [\"0.0.0.0:0\"]\nregistration = \"closed\"");
    examined(&lab, &open).is_sound();
    write_chain(folder.path(), "api.example.org", 2090);
    examined(&lab, &open).begins_with("api-url-not-in-certificate", "set `url` in [api]");
    write_chain(folder.path(), "auth.example.org", 2021);
    examined(&lab, &open).begins_with("api-certificate-chain-expired", "expired at 2021-01-01");
}

/// Writes a certificate for a host with that of its issuer, which ends in this year, and the root's as `root.pem`.
fn write_chain(folder: &Path, host: &str, end: i32) {
    let authority = |name: &str, end| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(end, 1, 1));
        (params, KeyPair::generate().unwrap())
    };
    let ((root, root_key), (between, between_key)) = (authority("a root", 2090), authority("one between", end));
    std::fs::write(folder.join("root.pem"), root.self_signed(&root_key).unwrap().pem()).unwrap();
    let issuer = between.signed_by(&between_key, &Issuer::new(root, root_key)).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1));
    let own = params.signed_by(&key, &Issuer::new(between, between_key)).unwrap().pem();
    std::fs::write(folder.join("cert.pem"), format!("{own}{issuer}")).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

#[test]
fn a_ca_is_asked_where_it_is_used_and_its_clock_believed() {
    let lab = lab();
    let nobody = "directory = \"http://127.0.0.1:1/dir\"";
    let home = Home::new(&lab.settings().with("acme", nobody));
    let unused = home.start();
    Examined::in_lab(&unused, &lab, &[]).is_sound();
    // The folder of accounts, which the first order makes.
    std::fs::create_dir(home.path().join("acme")).unwrap();
    Examined::in_lab(&unused, &lab, &[]).begins_with("ca-unreachable", "http://127.0.0.1:1/dir");
    drop(unused);
    let late = server("Date: Sat, 01 Jan 2000 00:00:00 GMT", "{}");
    home.write(&lab.settings().with("acme", &format!("directory = \"http://{late}/dir\"")));
    Examined::in_lab(&home.start(), &lab, &[]).begins_with("ca-no-directory", "[acme]");
    let url = "http://127.0.0.1:1/x";
    let directory = format!(r#"{{"newNonce": "{url}", "newAccount": "{url}", "newOrder": "{url}"}}"#);
    let late = server("Date: Sat, 01 Jan 2000 00:00:00 GMT", &directory);
    home.write(&lab.settings().with("acme", &format!("directory = \"http://{late}/dir\"")));
    Examined::in_lab(&home.start(), &lab, &[]).begins_with("clock-wrong", "timedatectl");
}

/// An HTTP server with one reply.
fn server(header: &str, body: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let reply =
        format!("HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            _ = stream.read(&mut [0; 4_096]);
            _ = stream.write_all(reply.as_bytes());
        }
    });
    address
}

#[test]
fn a_database_that_is_gone_is_the_first_finding() {
    let lab = lab();
    let daemon = Process::start(&lab.settings());
    std::fs::remove_file(daemon.home().database()).unwrap();
    Examined::in_lab(&daemon, &lab, &[]).begins_with("database-unhealthy", "docs/operations.md");
}

#[test]
fn a_low_limit_of_descriptors_is_found() {
    let lab = lab();
    let daemon = Home::new(&lab.settings()).launch(&Launch::descriptors(512));
    Examined::in_lab(&daemon, &lab, &[]).begins_with("few-descriptors", "LimitNOFILE");
}
