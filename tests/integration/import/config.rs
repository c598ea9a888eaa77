//! The configuration that is made of acme-dns's.

use std::path::Path;

use txtgate::config::{Certificate, Config, Registration};

use super::source::{Old, VERSION_1, nowhere};

/// Runs the import with this configuration; what it said, and the configuration that was written.
fn made(text: &str, more: impl FnOnce(&Path)) -> (String, String, Config) {
    let (old, home) = (Old::with(VERSION_1), nowhere());
    std::fs::write(old.folder.path().join("config.cfg"), text).unwrap();
    more(old.folder.path());
    let said = old.import_ok(&home, &[]);
    let text = std::fs::read_to_string(home.config()).unwrap();
    (said, text, Config::read(&home.config()).unwrap())
}

/// The example that acme-dns ships, with its comments away and a database of ours.
const SHIPPED: &str = r#"
[general]
listen = "127.0.0.1:53"
protocol = "both"
domain = "auth.example.org"
nsname = "auth.example.org"
nsadmin = "admin.example.org"
records = [
    "auth.example.org. A 198.51.100.1",
    "auth.example.org. NS auth.example.org.",
]
debug = false
[database]
engine = "sqlite3"
connection = "acme-dns.db"
[api]
ip = "0.0.0.0"
disable_registration = false
port = "443"
tls = "letsencryptstaging"
tls_cert_privkey = "/etc/tls/example.org/privkey.pem"
tls_cert_fullchain = "/etc/tls/example.org/fullchain.pem"
acme_cache_dir = "api-certs"
notification_email = ""
corsorigins = [
    "*"
]
use_header = false
header_name = "X-Forwarded-For"
[logconfig]
loglevel = "debug"
logtype = "stdout"
logformat = "text"
"#;

fn addresses(listen: &[std::net::SocketAddr]) -> Vec<String> {
    listen.iter().map(ToString::to_string).collect()
}

#[test]
fn the_shipped_example() {
    let (said, text, config) = made(SHIPPED, |_| {});
    assert_eq!(addresses(&config.dns.listen), ["127.0.0.1:53"]);
    assert_eq!(addresses(&config.api.listen), ["0.0.0.0:443"]);
    assert_eq!(config.api.registration, Registration::Open);
    assert!(matches!(config.api.tls, Some(Certificate::Own(_))) && text.contains("acme-staging-v02"), "{text}");
    assert_eq!(config.api.cors_origins, ["*"]);
    assert_eq!((config.log.level.as_str(), config.zones.len()), ("debug", 1));
    let zone = &config.zones[0];
    assert_eq!((zone.name.to_string(), zone.nameservers.len()), ("auth.example.org".into(), 1));
    assert_eq!(zone.soa.rname.to_string(), "admin.example.org");
    assert!(text.contains("registration = \"open-to-anyone\"") && text.contains("A 198.51.100.1"), "{text}");
    assert!(said.contains("terms-agreed = true") && said.contains("1 things stay behind"), "{said}");
}

#[test]
fn every_listener_that_go_understands() {
    for (listen, protocol, expected) in [
        (":53", "both", vec!["0.0.0.0:53", "[::]:53"]),
        ("[::]:53", "both", vec!["0.0.0.0:53", "[::]:53"]),
        ("0.0.0.0:53", "both4", vec!["0.0.0.0:53"]),
        (":5353", "both6", vec!["[::]:5353"]),
        ("[2001:db8::1]:53", "both", vec!["[2001:db8::1]:53"]),
        ("192.0.2.1:53", "", vec!["192.0.2.1:53"]),
    ] {
        let text =
            SHIPPED.replace("127.0.0.1:53", listen).replace("protocol = \"both\"", &format!("protocol = {protocol:?}"));
        assert_eq!(addresses(&made(&text, |_| {}).2.dns.listen), expected, "{listen} {protocol}");
    }
    let (said, ..) = made(&SHIPPED.replace("protocol = \"both\"", "protocol = \"udp\""), |_| {});
    assert!(said.contains("general.protocol = \"udp\": UDP and TCP"), "{said}");
}

#[test]
fn registration_and_proxies() {
    let closed = SHIPPED.replace("disable_registration = false", "disable_registration = true");
    assert_eq!(made(&closed, |_| {}).2.api.registration, Registration::Closed);
    let local = SHIPPED.replace("\"0.0.0.0\"", "\"127.0.0.1\"");
    assert!(made(&local, |_| {}).1.contains("registration = \"open\"\n"));
    let behind = SHIPPED.replace("use_header = false", "use_header = true").replace("\"0.0.0.0\"", "\"127.0.0.1\"");
    let (said, text, config) = made(&behind, |_| {});
    assert!(text.contains("registration = \"open-to-anyone\""), "a proxy hands on what comes from anywhere: {text}");
    assert_eq!(config.api.client_ip_header.as_deref(), Some("X-Forwarded-For"));
    assert!(said.contains("api.use_header: ") && said.contains("trusted-proxies"), "{said}");
}

#[test]
fn certificates() {
    let own = SHIPPED.replace("letsencryptstaging", "cert");
    let (_, text, config) = made(&own, |_| {});
    assert!(
        config.api.tls.is_some() && text.contains("certificate = \"/etc/tls/example.org/fullchain.pem\""),
        "{text}"
    );
    let own = SHIPPED.replace("letsencryptstaging", "letsencrypt");
    let (said, text, config) = made(&own, |folder| {
        let kinds = ["acme-v02.api.letsencrypt.org-directory", "acme-staging-v02.api.letsencrypt.org-directory"];
        for kind in kinds {
            let folder = folder.join("api-certs/certificates").join(kind).join("auth.example.org");
            std::fs::create_dir_all(&folder).unwrap();
            for suffix in ["crt", "key", "json"] {
                std::fs::write(folder.join(format!("auth.example.org.{suffix}")), "x").unwrap();
            }
        }
    });
    let chain = "api-certs/certificates/acme-v02.api.letsencrypt.org-directory/auth.example.org/auth.example.org.crt";
    assert!(config.api.tls.is_some() && text.contains(chain), "{text}");
    assert!(said.contains("nobody renews any more"), "{said}");
}

#[test]
fn records_are_read_as_acme_dns_reads_them() {
    let records = r#"
    "auth.example.org A 198.51.100.1",
    "auth.example.org. 300 IN NS ns1.example.org",
    "auth.example.org. NS auth.example.org.",
    "auth.example.org. NS auth.example.org.",
    "auth.example.org. TXT \"MiXeD\"",
    "www.auth.example.org CNAME auth.example.org",
    "elsewhere.example.org. A 198.51.100.2",
    "auth.example.org. A nonsense",
    "#;
    let text = SHIPPED.split("records = [").next().unwrap().to_owned()
        + &format!("records = [{records}]\n")
        + SHIPPED.split("],\n").next().map(|_| "").unwrap()
        + &SHIPPED[SHIPPED.find("debug = false").unwrap()..];
    let (said, text, config) = made(&text, |_| {});
    let zone = &config.zones[0];
    let nameservers: Vec<String> = zone.nameservers.iter().map(ToString::to_string).collect();
    assert_eq!(nameservers, ["auth.example.org", "ns1.example.org"], "the SOA's own name first");
    let at = |name: &str| zone.statics.at(name.parse::<txtgate::model::name::Name>().unwrap().as_ref()).map(<[_]>::len);
    assert_eq!((at("auth.example.org"), at("www.auth.example.org")), (Some(3), Some(1)), "NS, A, TXT; CNAME");
    assert!(text.contains("MiXeD"), "{text}");
    for left in ["elsewhere.example.org. A 198.51.100.2", "auth.example.org. A nonsense"] {
        assert!(said.lines().any(|line| line.contains("general.records") && line.contains(left)), "{said}");
    }
}

#[test]
fn what_says_nothing_here_is_named() {
    let text = SHIPPED
        .replace(
            "notification_email = \"\"",
            "notification_email = \"a@example.org\"\nhsts_enabled = true\nhsts_max_age = 5",
        )
        .replace("logtype = \"stdout\"", "logtype = \"file\"\nlogfile = \"x\"\nnonsense = 1");
    let (said, text, _) = made(&text, |_| {});
    for key in ["api.hsts_enabled", "logconfig.logtype", "logconfig.nonsense"] {
        assert!(said.contains(&format!("  - {key}")), "{key} in {said}");
    }
    assert!(text.contains("contact = [\"a@example.org\"]"), "{text}");
    assert!(!said.contains("hsts_max_age") && !said.contains("logfile"), "{said}");
}

#[test]
fn a_configuration_that_cannot_work_is_refused_with_what_to_do() {
    let (old, home) = (Old::with(VERSION_1), nowhere());
    for (from, to, said) in [
        ("\"auth.example.org. A 198.51.100.1\",", "", "has no address"),
        ("127.0.0.1:53", "dns.example.org:53", "general.listen"),
        ("domain = \"auth.example.org\"", "", "general.domain"),
        ("\"sqlite3\"", "\"mysql\"", "database.engine"),
        ("[general]", "[general", "config.cfg:"),
    ] {
        std::fs::write(old.folder.path().join("config.cfg"), SHIPPED.replace(from, to)).unwrap();
        let found = old.import_err(&home, 2);
        assert!(found.contains(said), "{to}: {found}");
    }
    assert!(!home.config().exists() && !home.database().exists());
}
