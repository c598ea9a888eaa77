//! Converts the configuration of acme-dns: its listeners, its zone and records, its certificate.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use toml::Value;

use crate::cli::error::Result;
use crate::model::name::{Name, ZoneName};
use crate::store::import::Left;
use crate::zone::zonefile::StaticRecords;

use super::certmagic;
use super::old::{General, Old, located, wrong};

/// The defaults of acme-dns's records: names are absolute without a closing dot, and the TTL is an hour.
const HEAD: &str = "$ORIGIN .\n$TTL 3600\n";

const AGREE: &str = "the daemon gets one itself as soon as `terms-agreed = true` stands in [acme], and the API shows a \
     self-signed one until then";
const RENEW: &str = "the newest certificate of its cache is taken, which nobody renews any more; in its place write \
     `mode = \"acme\"` into [api.tls] and `terms-agreed = true` into [acme], and the daemon gets its own";

/// The text of `config.toml`, and the settings of acme-dns that are not in it.
#[derive(Debug)]
pub struct Made {
    pub text: String,
    pub left: Vec<Left>,
}

/// Converts the configuration at `from` into one for the path `to`.
pub fn made(old: &Old, from: &Path, to: &Path) -> Result<Made> {
    let mut maker = Maker { old, from, left: Vec::new(), text: String::new() };
    maker.line(&format!("# Made of {} by `txtgate import acme-dns`.", from.display()));
    maker.places(to);
    maker.log();
    maker.dns()?;
    maker.api()?;
    maker.zone()?;
    for key in old.unknown() {
        maker.left(&key, "acme-dns does not know this key either");
    }
    Ok(Made { text: maker.text, left: maker.left })
}

struct Maker<'a> {
    old: &'a Old,
    from: &'a Path,
    left: Vec<Left>,
    text: String,
}

impl Maker<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn key(&mut self, key: &str, value: impl Into<Value>) {
        // Writing to a `String` never fails.
        _ = writeln!(self.text, "{key} = {}", value.into());
    }

    fn left(&mut self, key: &str, why: &str) {
        self.left.push(Left::new(key, why));
    }

    /// The paths of the unit for a configuration in /etc, and paths beside the configuration otherwise.
    fn places(&mut self, to: &Path) {
        if to.starts_with("/etc") {
            self.key("database", "/var/lib/txtgate/txtgate.db");
            self.key("admin-socket", "/run/txtgate/admin.sock");
        }
    }

    fn log(&mut self) {
        let log = &self.old.logconfig;
        let level = match log.loglevel.as_str() {
            "debug" => "debug",
            "warning" | "warn" => "warn",
            "error" => "error",
            _ => "info",
        };
        let is_json = log.logformat == "json";
        let is_file = log.logtype == "file";
        self.line("\n[log]");
        self.key("level", level);
        self.key("format", if is_json { "json" } else { "text" });
        if is_file {
            self.left("logconfig.logtype = \"file\"", "the log goes to standard error, from where systemd takes it");
        }
    }

    fn dns(&mut self) -> Result<()> {
        let listen = self.old.general.listen.as_str();
        let protocol = self.old.general.protocol.as_str();
        let addresses = addresses(if listen.is_empty() { ":53" } else { listen }, protocol)
            .ok_or_else(|| wrong(self.from, "general.listen", &not_an_address(listen)))?;
        self.line("\n[dns]");
        self.key("listen", list(&addresses));
        if protocol.starts_with("udp") || protocol.starts_with("tcp") {
            let why = "UDP and TCP are both served: what does not fit a datagram needs TCP";
            self.left(&format!("general.protocol = {protocol:?}"), why);
        }
        Ok(())
    }

    fn api(&mut self) -> Result<()> {
        let api = &self.old.api;
        let listen = format!("{}:{}", api.ip, api.port);
        let addresses =
            addresses(&listen, "").ok_or_else(|| wrong(self.from, "api.ip, api.port", &not_an_address(&listen)))?;
        // A proxy passes on requests from anywhere.
        let is_local = !api.use_header && addresses.iter().all(|address| address.ip().is_loopback());
        self.line("\n[api]");
        self.key("listen", list(&addresses));
        let needs_own = self.tls();
        self.key(
            "registration",
            match (api.disable_registration, is_local) {
                (true, _) => "closed",
                (false, true) => "open",
                (false, false) => "open-to-anyone",
            },
        );
        if !api.corsorigins.is_empty() {
            self.key("cors-origins", list(&api.corsorigins));
        }
        if api.use_header {
            let header = if api.header_name.is_empty() { "X-Forwarded-For" } else { &api.header_name };
            self.key("trusted-proxies", list(&["127.0.0.0/8", "::1/128"]));
            self.key("client-ip-header", header);
            let why =
                "acme-dns believed it of everybody; here of proxies on this machine: name yours in `trusted-proxies`";
            self.left("api.use_header", why);
        }
        if !api.notification_email.is_empty() && !needs_own {
            self.left("api.notification_email", "certificate authorities send no such mails any more");
        }
        if api.hsts_enabled {
            self.left("api.hsts_enabled", "the API's clients are no browsers");
        }
        if needs_own {
            self.own_certificate();
        }
        Ok(())
    }

    /// Writes the files of the certificate. Returns whether the daemon has to get one itself.
    fn tls(&mut self) -> bool {
        let api = &self.old.api;
        let files = match api.tls.as_str() {
            "cert" => Some((located(self.from, &api.tls_cert_fullchain), located(self.from, &api.tls_cert_privkey))),
            "letsencrypt" | "letsencryptstaging" => {
                let cache = located(self.from, api.acme_cache_dir.as_deref().unwrap_or(Path::new("api-certs")));
                let Some(found) = certmagic::newest(&cache, &self.old.general.domain, is_staging(&api.tls)) else {
                    let why = format!("there is no certificate in {}; {AGREE}", cache.display());
                    self.left(&format!("api.tls = {:?}", api.tls), &why);
                    return true;
                };
                self.left(&format!("api.tls = {:?}", api.tls), RENEW);
                Some(found)
            }
            "none" | "" => None,
            other => {
                let why = "acme-dns takes that for \"none\" too: the API is plain HTTP";
                self.left(&format!("api.tls = {other:?}"), why);
                None
            }
        };
        if let Some((certificate, key)) = files {
            self.key("certificate", certificate.display().to_string());
            self.key("key", key.display().to_string());
        }
        false
    }

    /// A certificate for the zone's own name, as acme-dns had it.
    fn own_certificate(&mut self) {
        let email = self.old.api.notification_email.as_str();
        let tls = self.old.api.tls.as_str();
        self.line("\n[api.tls]");
        self.key("mode", "acme");
        self.line("\n[acme]");
        if is_staging(tls) {
            self.key("directory", "https://acme-staging-v02.api.letsencrypt.org/directory");
        }
        if !email.is_empty() {
            self.key("contact", list(&[email]));
        }
    }

    fn zone(&mut self) -> Result<()> {
        let general = &self.old.general;
        let zone = self.old.zone().map_err(|error| wrong(self.from, "general.domain", &error))?;
        let (nameservers, lines) = nameservers(general, &zone);
        let names: Vec<Name> = nameservers.iter().filter_map(|name| name.parse().ok()).collect();
        let contact = match general.nsadmin.as_str() {
            "" => format!("hostmaster.{zone}"),
            other => other.trim_end_matches('.').to_owned(),
        };
        let mut snippet = HEAD.to_owned();
        for line in lines {
            let more = format!("{snippet}{line}\n");
            match StaticRecords::parse(&zone, &names, &more) {
                Ok(_) => snippet = more,
                Err(error) => self.left(&format!("general.records: {line:?}"), &error.to_string()),
            }
        }
        self.line("\n[[zone]]");
        self.key("name", zone.to_string());
        self.key("ns", list(&nameservers));
        self.key("contact", contact);
        if snippet.len() > HEAD.len() {
            let text =
                if snippet.contains("'''") { Value::from(snippet).to_string() } else { format!("'''\n{snippet}'''") };
            self.line(&format!("records = {text}"));
        }
        Ok(())
    }
}

/// The NS set of the zone, beginning with the SOA's own name if it is in the set, and the records without that set.
/// acme-dns has the two apart, and serves no NS that is not among the records.
fn nameservers<'a>(general: &'a General, zone: &ZoneName) -> (Vec<String>, Vec<&'a str>) {
    let mut nameservers: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for line in general.records.iter().map(|line| line.trim()).filter(|line| !line.is_empty()) {
        match nameserver(line, zone) {
            Some(name) if nameservers.contains(&name) => {}
            Some(name) => nameservers.push(name),
            None => lines.push(line),
        }
    }
    let own = general.nsname.trim_end_matches('.').to_ascii_lowercase();
    match nameservers.iter().position(|name| *name == own) {
        Some(at) => nameservers.swap(0, at),
        None if nameservers.is_empty() => nameservers.push(if own.is_empty() { zone.to_string() } else { own }),
        None => {}
    }
    (nameservers, lines)
}

/// The target of `auth.example.org. 3600 IN NS ns1.example.org.` at the apex.
fn nameserver(line: &str, zone: &ZoneName) -> Option<String> {
    let mut words = line.split_whitespace();
    let owner: Name = words.next()?.parse().ok()?;
    let rest: Vec<&str> = words
        .skip_while(|word| word.eq_ignore_ascii_case("IN") || word.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    match rest.as_slice() {
        [rtype, target] if rtype.eq_ignore_ascii_case("NS") && owner == *zone.apex() => {
            target.parse::<Name>().ok().map(|name| name.to_string())
        }
        _ => None,
    }
}

fn is_staging(tls: &str) -> bool {
    tls == "letsencryptstaging"
}

/// The addresses that Go listens on: `:53` and `[::]:53` are all addresses of both families, unless the protocol ends in
/// a family.
fn addresses(listen: &str, protocol: &str) -> Option<Vec<SocketAddr>> {
    let (host, port) = listen.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let hosts = match host.trim_start_matches('[').trim_end_matches(']') {
        "" | "::" => any.to_vec(),
        "localhost" => vec![Ipv4Addr::LOCALHOST.into()],
        other => vec![other.parse().ok()?],
    };
    let fits = |ip: &IpAddr| !(protocol.ends_with('4') && ip.is_ipv6() || protocol.ends_with('6') && ip.is_ipv4());
    let found: Vec<SocketAddr> = hosts.into_iter().filter(fits).map(|ip| SocketAddr::new(ip, port)).collect();
    (!found.is_empty()).then_some(found)
}

fn not_an_address(text: &str) -> String {
    format!(
        "{text:?} is no address and port; write one like \"192.0.2.1:53\" there, or a configuration of your own with --output"
    )
}

fn list(items: &[impl ToString]) -> Value {
    Value::Array(items.iter().map(|item| Value::String(item.to_string())).collect())
}
