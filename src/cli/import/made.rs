//! Converts the configuration of acme-dns: its listeners, its zone and records, its certificate.

mod zone;

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use toml::Value;

use crate::cli::error::Result;
use crate::config::Config;
use crate::model::name::ZoneName;
use crate::store::import::Left;

use super::certmagic;
use super::old::{Old, located};

/// The paths of the unit.
const PLACES: [(&str, &str); 2] =
    [("database", "/var/lib/txtgate/txtgate.db"), ("admin-socket", "/run/txtgate/admin.sock")];

const UNKNOWN: &str = "acme-dns does not know this key either; if it names another CA, write that CA's URL as `directory` into \
     [acme], and its private root as `ca-root`";
const AGREE: &str = "the daemon gets one itself as soon as `terms-agreed = true` stands in [acme], and the API shows a \
     self-signed one until then";
const RENEW: &str = "the newest certificate of its cache is taken, which nobody renews any more; in its place write \
     `mode = \"acme\"` into [api.tls] and `terms-agreed = true` into [acme], and the daemon gets its own";

/// An address for documentation (RFC 5737), with which a configuration can be read whose nameserver has none yet.
const NO_ADDRESS: &str = "192.0.2.1";

/// The text of `config.toml`, and the settings of acme-dns that are not in it.
#[derive(Debug)]
pub struct Made {
    pub text: String,
    /// The same, with an address for each nameserver: the accounts move in although the daemon could not serve yet.
    pub readable: String,
    pub left: Vec<Left>,
    /// What has to be done before txtgate takes acme-dns's place.
    pub urgent: Vec<String>,
}

/// Converts the configuration at `from` into one for the path `to`.
pub fn made(old: &Old, from: &Path, to: &Path) -> Result<Made> {
    let mut maker = Maker { old, from, left: Vec::new(), urgent: Vec::new(), text: String::new(), missing: Vec::new() };
    maker.line(&format!("# Made of {} by `txtgate import acme-dns`.", from.display()));
    maker.places(to);
    maker.log();
    maker.dns();
    maker.api();
    maker.zone()?;
    for key in &old.unread {
        maker.left(key, "its value is of another kind than acme-dns reads; if it mattered, write it by hand");
    }
    for key in &old.unknown {
        maker.left(key, UNKNOWN);
    }
    let Maker { text, left, urgent, missing, .. } = maker;
    let readable = missing
        .iter()
        .fold(text.clone(), |text, name| text.replace(&address_line(name), &format!("{name} A {NO_ADDRESS}")));
    Ok(Made { text, readable, left, urgent })
}

/// A configuration in which nothing but the zone is set, for the accounts to move in where no other can be made.
pub fn least(zone: &ZoneName, to: &Path) -> String {
    let places = PLACES.iter().filter(|_| to.starts_with("/etc")).map(|(key, path)| format!("{key} = {path:?}\n"));
    let zone = format!("[[zone]]\nname = \"{zone}\"\nns = [\"ns.invalid\"]\ncontact = \"hostmaster.{zone}\"\n");
    places.collect::<String>() + &zone
}

/// The line that stands for the address of a nameserver until somebody knows it.
fn address_line(name: &str) -> String {
    format!("; {name} A <its address, as the parent zone has it>")
}

struct Maker<'a> {
    old: &'a Old,
    from: &'a Path,
    left: Vec<Left>,
    urgent: Vec<String>,
    text: String,
    /// Nameservers whose addresses are not known.
    missing: Vec<String>,
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
            PLACES.iter().for_each(|(key, path)| self.key(key, *path));
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

    fn dns(&mut self) {
        let listen = self.old.general.listen.as_str();
        let protocol = self.old.general.protocol.as_str();
        let found = addresses(if listen.is_empty() { ":53" } else { listen }, protocol);
        let addresses = found.unwrap_or_else(|| self.everywhere("general.listen", listen, "53"));
        self.line("\n[dns]");
        self.key("listen", list(&addresses));
        if protocol.starts_with("udp") || protocol.starts_with("tcp") {
            let why = "UDP and TCP are both served: what does not fit a datagram needs TCP";
            self.left(&format!("general.protocol = {protocol:?}"), why);
        }
    }

    /// All addresses on a port, in the place of a setting that names none.
    fn everywhere(&mut self, key: &str, found: &str, port: &str) -> Vec<SocketAddr> {
        let all = addresses(&format!(":{port}"), "").unwrap_or_default();
        let why =
            format!("that is not an address and port; write one into `listen`, which has all addresses on port {port}");
        self.left(&format!("{key} = {found:?}"), &why);
        all
    }

    fn api(&mut self) {
        let api = &self.old.api;
        let has_tls = !matches!(api.tls.as_str(), "" | "none");
        let listen = format!("{}:{}", api.ip, api.port);
        let port = if has_tls { "443" } else { "80" };
        let found = addresses(&listen, "");
        let addresses = found.unwrap_or_else(|| self.everywhere("api.ip, api.port", &listen, port));
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
        self.origins();
        if api.use_header {
            self.header();
        }
        if !api.notification_email.is_empty() && !needs_own {
            self.left("api.notification_email", "certificate authorities send no such mails any more");
        }
        if api.hsts_enabled {
            self.left("api.hsts_enabled", "the API's clients are not browsers");
        }
        if needs_own {
            self.own_certificate();
        }
    }

    fn origins(&mut self) {
        let (fit, unfit): (Vec<_>, Vec<_>) = self
            .old
            .api
            .corsorigins
            .iter()
            .map(|origin| origin.trim_end_matches('/'))
            .partition(|origin| is_origin(origin));
        if !fit.is_empty() {
            self.key("cors-origins", list(&fit));
        }
        for origin in unfit {
            let why = "that is not a web origin; write one like \"https://panel.example.org\" into `cors-origins`";
            self.left(&format!("api.corsorigins: {origin:?}"), why);
        }
    }

    fn header(&mut self) {
        let name = self.old.api.header_name.as_str();
        let is_name = name.parse::<axum::http::HeaderName>().is_ok();
        if !is_name && !name.is_empty() {
            self.left(
                &format!("api.header_name = {name:?}"),
                "that is not the name of a header; X-Forwarded-For is taken",
            );
        }
        self.key("trusted-proxies", list(&["127.0.0.0/8", "::1/128"]));
        self.key("client-ip-header", if is_name { name } else { "X-Forwarded-For" });
        let why = "acme-dns believed it of everybody; here of proxies on this machine: name yours in `trusted-proxies`";
        self.left("api.use_header", why);
    }

    /// Writes the files of the certificate. Returns whether the daemon has to get one itself.
    fn tls(&mut self) -> bool {
        let api = &self.old.api;
        // Forks that know other CAs have keys for them.
        let is_of_fork = self.old.unknown.iter().any(|key| key.starts_with("api."));
        let files = match api.tls.as_str() {
            "cert" => Some(self.certificate_files()),
            "letsencrypt" | "letsencryptstaging" => {
                let cache = located(self.from, api.acme_cache_dir.as_deref().unwrap_or(Path::new("api-certs")));
                let Some(found) = certmagic::newest(&cache, &self.old.general.domain, is_staging(&api.tls)) else {
                    let why = format!("there is no certificate in {}; {AGREE}", cache.display());
                    self.without_certificate(&why);
                    return true;
                };
                self.left(&format!("api.tls = {:?}", api.tls), RENEW);
                Some(found)
            }
            "none" | "" => None,
            _ if is_of_fork => {
                self.without_certificate(&format!("the CA is to be named as `directory` in [acme]; {AGREE}"));
                return true;
            }
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

    fn certificate_files(&mut self) -> (PathBuf, PathBuf) {
        let api = &self.old.api;
        let certificate = located(self.from, &api.tls_cert_fullchain);
        let key = located(self.from, &api.tls_cert_privkey);
        for (name, path) in [("api.tls_cert_fullchain", &certificate), ("api.tls_cert_privkey", &key)] {
            if !path.exists() {
                let why = format!("there is no {}; the daemon starts once it is there", path.display());
                self.left(name, &why);
            }
        }
        (certificate, key)
    }

    /// Clients refuse a self-signed certificate, so that nothing would be renewed: that must not be found out by accident.
    fn without_certificate(&mut self, why: &str) {
        self.left(&format!("api.tls = {:?}", self.old.api.tls), why);
        self.urgent.push(
            "the API would show a self-signed certificate, which clients refuse: read the CA's terms (`txtgate acme \
             directory` prints where they are) and write `terms-agreed = true` into [acme] of the configuration"
                .into(),
        );
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
}

fn is_origin(origin: &str) -> bool {
    let text = format!("[api]\ncors-origins = [{}]\n", Value::from(origin));
    match Config::parse(Path::new("config.toml"), &text) {
        Ok(_) => true,
        Err(error) => !error.problems().iter().any(|problem| problem.starts_with("api.cors-origins")),
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

fn list(items: &[impl ToString]) -> Value {
    Value::Array(items.iter().map(|item| Value::String(item.to_string())).collect())
}
