//! The configuration: the shipped file tells the truth, and mistakes are named where they stand.

mod check;
mod environment;
mod which;

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use toml::Table;
use txtgate::config::file::{self, File};

use crate::harness::{Home, Settings};

const SHIPPED: &str = include_str!("../../config.toml");

/// The shipped file with its commented-out keys switched on.
fn all_keys() -> Table {
    let is_key = |line: &str| {
        let is_one = |rest: &str| rest.starts_with("[[") || rest.split_once(" = ").is_some_and(|(key, _)| is_name(key));
        line.strip_prefix("# ").is_some_and(is_one)
    };
    let lines = SHIPPED.lines().map(|line| if is_key(line) { &line[2..] } else { line });
    lines.collect::<Vec<_>>().join("\n").parse().expect("TOML with every key")
}

fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn parsed<T: DeserializeOwned>(text: &str) -> T {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_shipped_file_holds_the_built_in_defaults() {
    let shipped: File = parsed(SHIPPED);
    assert_eq!(File { zone: Vec::new(), ..shipped.clone() }, File::default());
    let [zone] = &shipped.zone[..] else { panic!("one zone: {:?}", shipped.zone) };
    let least = format!("name = {:?}\nns = {:?}\ncontact = {:?}", zone.name, zone.ns, zone.contact);
    let least: file::Zone = parsed(&least);
    assert_eq!(file::Zone { records: String::new(), ..zone.clone() }, least);
}

#[test]
fn commented_keys_are_real_ones() {
    let switched_on: File = all_keys().try_into().expect("keys that the daemon knows");
    let api = &switched_on.api;
    assert!(api.certificate.is_some() && api.key.is_some() && api.client_ip_header.is_some());
    assert!(api.registration_secrets_file.is_some() && api.url.is_some());
    let acme = &switched_on.acme;
    assert!(acme.profile.is_some() && acme.persist_lifetime.is_some());
    assert!(acme.ca_root.is_some() && acme.eab_kid.is_some() && acme.eab_key_file.is_some());
}

/// In a folder of root's they could be read by nobody: the service's user exists only while it runs.
#[test]
fn examples_of_private_files_lie_where_the_service_owns_them() {
    let unit = include_str!("../../systemd/txtgate.service");
    assert!(unit.contains("\nDynamicUser=yes\n") && unit.contains("\nStateDirectory=txtgate\n"));
    let file: File = all_keys().try_into().unwrap();
    let (secrets, key) = (&file.api.registration_secrets_file, &file.zone[0].dnssec_key);
    let private = [&file.dns.cookie_secret_file, secrets, key, &file.certificate[0].pkcs12_password_file];
    let private = private.into_iter().chain([&file.notify.webhook_secret_file, &file.secondary[0].tsig_key_file]);
    for path in private.map(|path| path.as_ref().expect("an example")) {
        assert!(path.starts_with("/var/lib/txtgate/"), "{}", path.display());
    }
}

/// The other way round: no key that the daemon knows is missing.
#[test]
fn every_key_stands_in_the_shipped_file() {
    let found = all_keys();
    let file: File = found.clone().try_into().unwrap();
    let known = Table::try_from(&file).unwrap();
    assert_eq!(keys("", &found), keys("", &known));
    // What an Option leaves out when it is None would be missing on both sides.
    let source = concat!(
        include_str!("../../src/config/file.rs"),
        include_str!("../../src/config/file/api.rs"),
        include_str!("../../src/config/file/certificate.rs"),
        include_str!("../../src/config/file/console.rs"),
        include_str!("../../src/config/file/dnstap.rs"),
        include_str!("../../src/config/file/query_log.rs"),
        include_str!("../../src/config/file/notify.rs"),
        include_str!("../../src/config/file/secondary.rs"),
    );
    let members = source.lines().filter(|line| line.starts_with("    pub "));
    let fields = members.filter(|line| !line.starts_with("    pub fn ")).count();
    // One entry for each array of tables, one for each other table and value.
    assert_eq!(keys("", &found).len(), fields, "as many keys as the file's types have fields");
}

fn keys(prefix: &str, table: &Table) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            toml::Value::Table(inner) => out.extend(keys(&format!("{name}."), inner)),
            toml::Value::Array(items) => {
                let tables = items.iter().filter_map(toml::Value::as_table);
                out.extend(tables.flat_map(|inner| keys(&format!("{name}."), inner)));
            }
            _ => {}
        }
        out.insert(name);
    }
    out
}

#[test]
fn the_shipped_file_is_right() {
    let home = Home::new(&Settings::default());
    std::fs::write(home.config(), SHIPPED).unwrap();
    let said = home.run_ok(&["config", "check"]);
    for part in ["is right", "127.0.0.1:5300", "http://127.0.0.1:5380", "auth.example.org", "txtgate.db"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

/// Each mistake: what is found in the file's text, what the message must say, at the place of `at` (line, column).
#[test]
fn mistakes_are_named_with_file_line_and_column() {
    let home = Home::new(&Settings::default());
    for (from, to, at, parts) in [
        ("level = \"info\"", "level = info", "info", &["config.toml"][..]),
        ("threads = 0", "thread = 0", "thread = 0", &["dns.thread: there is no such key", "did you mean `threads`?"]),
        ("threads = 0", "threads = -1", "-1", &["dns.threads"]),
        ("threads = 0", "threads = 9999", "9999", &["dns.threads", "256"]),
        ("\"127.0.0.1:5300\"", "\"127.0.0.1\"", "\"127.0.0.1\"", &["dns.listen", "address:port"]),
        ("tls-listen = []", "tls-listen = [\"[::]:853\"]", "[\"[::]:853\"]", &["dns.tls-listen", "certificate"]),
        (
            "quic-listen = []",
            "quic-listen = [\"[::]:853\"]",
            "[\"[::]:853\"]",
            &["dns.quic-listen", "QUIC", "certificate"],
        ),
        ("quic-listen = []", "quic-listen = [\"[::]:53\"]", "\"[::]:53\"", &["dns.quic-listen", "853"]),
        ("quic-listen = []", "quic-listen = [\"127.0.0.1:5300\"]", "\"127.0.0.1:5300\"", &["dns.quic-listen", "853"]),
        ("level = \"info\"", "level = \"x=y=z\"", "\"x=y=z\"", &["log.level", "trace"]),
        ("registration = \"open\"", "registration = \"opne\"", "\"opne\"", &["api.registration", "open-to-anyone"]),
        ("registration = \"open\"", "registration = \"secret\"", "\"secret\"", &["api.registration", "txtgate secret"]),
        ("\"127.0.0.1:5380\"", "\"0.0.0.0:5380\"", "\"open\"", &["api.registration", "0.0.0.0:5380", "open-to-anyone"]),
        ("# url = \"https://", "url = \"http://", "\"http://", &["api.url", "only this machine"]),
        ("registration-secrets = []", "registration-secrets = [\"plain\"]", "\"plain\"", &["api.registration-secrets"]),
        ("trusted-proxies = []", "trusted-proxies = [\"10.0.0.1\"]", "[\"10.0.0.1\"]", &["client-ip-header"]),
        ("cors-origins = []", "cors-origins = [\"panel\"]", "\"panel\"", &["api.cors-origins", "https://host"]),
        ("max-values = 100", "max-values = 1", "1 ", &["values.max-values", "from 2"]),
        ("lifetime = \"24h\"", "lifetime = \"24\"", "\"24\"", &["values.lifetime", "24h"]),
        ("name = \"auth.example.org\"", "name = \"auth..org\"", "\"auth..org\"", &["zone[0].name"]),
        ("negative-ttl = 10", "negative-ttl = 9999", "9999", &["zone[0].negative-ttl", "3600"]),
        ("ns1 A 127.0.0.1", "ns1 A 127.0.0.1\n; ok\nwww A 1.2.3", "www A", &["zone[0].records"]),
        ("ns1 A 127.0.0.1", "www A 127.0.0.1", "[\"ns1.auth", &["zone[0].ns", "ns1.auth.example.org", "no address"]),
    ] {
        let text = SHIPPED.replacen(from, to, 1);
        assert_ne!(text, SHIPPED, "{from}");
        std::fs::write(home.config(), &text).unwrap();
        let (code, said) = home.run_err(&["config", "check"]);
        assert_eq!(code, Some(2), "{to}: {said}");
        let start = text.find(to).unwrap();
        let offset = text[start..].find(at).map_or_else(|| text.find(at).unwrap(), |found| start + found);
        let line = 1 + text[..offset].matches('\n').count();
        let place = format!("{}:{line}:", home.config().display());
        assert!(said.contains(&place), "{place} in {said}");
        // Inside of a text of several lines the line is all that is known.
        if !to.contains(" A ") {
            let column = offset - text[..offset].rfind('\n').map_or(0, |at| at + 1) + 1;
            assert!(said.contains(&format!("{place}{column}:")), "{place}{column} in {said}");
        }
        parts.iter().for_each(|part| assert!(said.contains(part), "{part:?} in {said}"));
        let (serve, same) = home.run_err(&["serve"]);
        assert_eq!((serve, same), (Some(2), said), "serve says the same");
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let home = Home::new(&Settings::default());
    std::fs::remove_file(home.config()).unwrap();
    let (code, said) = home.run_err(&["config", "check"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("config.toml") && said.contains("--config"), "{said}");
}
