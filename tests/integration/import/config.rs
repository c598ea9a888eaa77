//! The configuration that is made of acme-dns's.

use std::path::Path;

use txtgate::config::{Certificate, Config, Registration};

use crate::harness::Home;

use super::source::{Old, VERSION_1, nowhere};

/// Runs the import with this configuration; what it said, and the configuration that was written.
fn made(text: &str, more: impl FnOnce(&Path)) -> (String, String, Config) {
    let (old, home) = (Old::with(VERSION_1), nowhere());
    std::fs::write(old.folder.path().join("config.cfg"), text).unwrap();
    more(old.folder.path());
    let output = old.import(&home, &[]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // 3: something has to be done before the switch.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{out}{err}");
    let text = std::fs::read_to_string(home.config()).unwrap();
    (out.into_owned(), text, Config::read(&home.config()).unwrap())
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
fn what_is_no_configuration_of_acme_dns_is_refused_with_what_to_do() {
    let (old, home) = (Old::with(VERSION_1), nowhere());
    for (from, to, said) in [
        ("domain = \"auth.example.org\"", "", "general.domain"),
        ("\"sqlite3\"", "\"mysql\"", "database.engine"),
        ("[general]", "[general", "config.cfg:2: \"[general\" is not TOML"),
    ] {
        std::fs::write(old.folder.path().join("config.cfg"), SHIPPED.replace(from, to)).unwrap();
        let found = old.import_err(&home, 2);
        assert!(found.contains(said), "{to}: {found}");
    }
    assert!(!home.config().exists() && !home.database().exists());
}

/// Accounts that an import has moved in, whatever its exit code.
fn moved_in(old: &Old, home: &Home) -> bool {
    let sql = rusqlite::Connection::open(home.database()).unwrap();
    sql.query_row("SELECT COUNT(*) FROM accounts", [], |row| row.get::<_, i64>(0)).unwrap() == 1 && old.path().exists()
}

fn import_of(text: &str) -> (String, Option<i32>, Home) {
    let (old, home) = (Old::with(VERSION_1), nowhere());
    old.add(1, "[]", [("", 0), ("", 0)]);
    std::fs::write(old.folder.path().join("config.cfg"), text).unwrap();
    let output = old.import(&home, &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(moved_in(&old, &home), "{said}");
    (said, output.status.code(), home)
}

#[test]
fn no_setting_keeps_the_accounts_from_moving_in() {
    for (from, to, left) in [
        ("127.0.0.1:53", "dns.example.org:53", "general.listen = \"dns.example.org:53\""),
        ("port = \"443\"", "port = \"https\"", "api.ip, api.port"),
        ("ip = \"0.0.0.0\"", "ip = \"host.example.org\"", "api.ip, api.port"),
        ("nsadmin = \"admin.example.org\"", "nsadmin = \"no one\"", "general.nsadmin"),
        ("nsname = \"auth.example.org\"", "nsname = \"no name\"", "general.nsname"),
        ("debug = false", "debug = false\nrecords2 = 5", "general.records2"),
        ("disable_registration = false", "disable_registration = [1]", "api.disable_registration: its value"),
        ("[logconfig]", "[custom_ca]\nurl = \"https://ca.test/dir\"\n[logconfig]", "custom_ca: "),
        ("corsorigins = [\n    \"*\"", "corsorigins = [\n    \"panel\"", "api.corsorigins: \"panel\""),
        ("header_name = \"X-Forwarded-For\"", "header_name = \"a b\"\nuse_header = true", "api.header_name"),
        ("tls = \"letsencryptstaging\"", "tls = \"cert\"", "api.tls_cert_fullchain"),
        ("loglevel = \"debug\"", "loglevel = {}", "logconfig.loglevel"),
    ] {
        let mut text = SHIPPED.replace(from, to);
        if to.contains("use_header") {
            text = text.replace("use_header = false\n", "");
        }
        assert_ne!(text, SHIPPED, "{from}");
        let (said, code, home) = import_of(&text);
        assert!(said.contains(left) && matches!(code, Some(0 | 3)), "{to}: {said}");
        assert!(Config::read(&home.config()).is_ok(), "{to}: {said}");
    }
}

#[test]
fn keys_in_any_case_and_numbers_for_texts_are_read() {
    let text = SHIPPED.replace("port = \"443\"", "Port = 8443").replace("[general]", "[General]");
    let (said, _, home) = import_of(&text);
    assert_eq!(addresses(&Config::read(&home.config()).unwrap().api.listen), ["0.0.0.0:8443"], "{said}");
}

#[test]
fn a_zone_whose_address_only_the_parent_has_moves_in() {
    let without = SHIPPED.replace("    \"auth.example.org. A 198.51.100.1\",\n", "");
    let here = without.replace("127.0.0.1:53", "198.51.100.7:53").replace("letsencryptstaging", "none");
    let (said, code, home) = import_of(&here);
    let text = std::fs::read_to_string(home.config()).unwrap();
    assert!(text.contains("auth.example.org A 198.51.100.7"), "the address that it listens on: {text}");
    assert!(code == Some(0) && said.contains("general.records has no address of auth.example.org"), "{said}");
    let none = SHIPPED.find("records = [").unwrap()..SHIPPED.find("debug = false").unwrap();
    let mut text = SHIPPED.replace("letsencryptstaging", "none");
    text.replace_range(none.start..none.end, "");
    let text = text.replace("letsencryptstaging", "none");
    let (said, code, home) = import_of(&text);
    let written = std::fs::read_to_string(home.config()).unwrap();
    // A machine with a public address has one that is taken.
    if code == Some(3) {
        assert!(said.starts_with("BEFORE THE SWITCH: the daemon does not start before `records`"), "{said}");
        assert!(said.trim_end().lines().last().unwrap().contains("write the one that the parent zone has"), "{said}");
        let error = Config::read(&home.config()).unwrap_err().to_string();
        assert!(error.contains("zone[0].ns: auth.example.org is in the zone and has no address"), "{error}");
        assert!(!said.contains("config.toml:"), "no line of a file that nobody has typed: {said}");
        let line = "; auth.example.org A <its address, as the parent zone has it>";
        let mended = written.replace(line, "auth.example.org A 198.51.100.1");
        std::fs::write(home.config(), mended).unwrap();
    }
    Config::read(&home.config()).unwrap();
}

#[test]
fn an_api_without_a_certificate_is_told_first_and_last_and_by_the_exit_code() {
    let (said, code, _) = import_of(SHIPPED);
    let lines: Vec<&str> = said.trim_end().lines().collect();
    assert_eq!(code, Some(3));
    for line in [lines[0], lines[lines.len() - 1]] {
        assert!(line.contains("self-signed") && line.contains("terms-agreed = true"), "{line}");
    }
    assert_eq!(import_of(&SHIPPED.replace("letsencryptstaging", "none")).1, Some(0));
}

#[test]
fn origins_with_a_wildcard_move_in() {
    let text =
        SHIPPED.replace("    \"*\"\n", "    \"https://*.example.org\", \"http://localhost:*\", \"https://a.test/\"\n");
    let (_, _, config) = made(&text, |_| {});
    assert_eq!(config.api.cors_origins, ["https://*.example.org", "http://localhost:*", "https://a.test"]);
}
