//! The configuration: `config.toml`, parsed once at the border into types that cannot be wrong.
//!
//! [`File`](file::File) is the text's shape, strict about unknown keys; [`Config`] is what the daemon runs on. An
//! error says where (file, line, column, key), what was found and what to write instead.

pub mod acme;
pub mod certificate;
pub mod error;
pub mod file;
pub mod keyfile;
pub mod method;
pub mod pkcs12;
mod read;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::crypto::cookie::Secrets;
use crate::model::name::{Name, ZoneName};
use crate::model::secret::SecretHash;
use crate::zone::soa::Soa;
use crate::zone::zonefile::StaticRecords;

pub use acme::{Acme, ExternalAccount, OwnCertificate};
pub use certificate::ManagedCertificate;
pub use error::ConfigError;
pub use file::{KeyType, LogFormat, UntilIssued};
pub use method::Method;

pub use crate::net::tls::TlsFiles;
pub use crate::zone::signing::Dnssec;

/// What the daemon runs on.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// The SQLite file.
    pub database: PathBuf,
    /// The operator's Unix socket.
    pub admin_socket: PathBuf,
    /// The log's level and form.
    pub log: Log,
    /// The DNS listeners.
    pub dns: Dns,
    /// Secrets for DNS cookies that other servers have as well; `None`: one of this process.
    pub cookie_secrets: Option<Secrets>,
    /// The HTTP API.
    pub api: Api,
    /// The daemon as a CA's client.
    pub acme: Acme,
    /// Where `/metrics` and `/ready` are served.
    pub metrics: Vec<SocketAddr>,
    /// How many values an owner holds, and for how long.
    pub values: ValueLimits,
    /// The recursive resolvers that are asked for checks; none: those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// The zones; at least one, and the first is the default for registrations.
    pub zones: Vec<ZoneSettings>,
    /// Certificates that the daemon gets for other programs.
    pub certificates: Vec<ManagedCertificate>,
}

/// The log.
#[derive(Clone, Debug)]
pub struct Log {
    /// A directive as `tracing` reads it: `info`, or `txtgate=debug`.
    pub level: String,
    /// Text or JSON.
    pub format: LogFormat,
}

/// The DNS listeners.
#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    /// UDP and TCP addresses.
    pub listen: Vec<SocketAddr>,
    /// Addresses of DNS over TLS.
    pub tls_listen: Vec<SocketAddr>,
    /// Addresses of DNS over QUIC.
    pub quic_listen: Vec<SocketAddr>,
    /// The certificate of DNS over TLS and QUIC; there where one of them listens.
    pub tls: Option<Certificate>,
    /// UDP threads for each address; at least 1.
    pub threads: usize,
    /// Answers to one network over UDP; 0: no limit.
    pub answers_per_second: u32,
    /// Whether TSIG keys may be of hmac-md5.
    pub tsig_md5: bool,
    /// Whether anybody hears the SOA of an alias, and not only who signs with its account's TSIG key.
    pub open_virtual_zones: bool,
    /// The server's name as it tells it; empty: it does not.
    pub nsid: String,
    /// The version as it tells it; empty: it does not.
    pub version: String,
}

/// The HTTP API.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// Its addresses.
    pub listen: Vec<SocketAddr>,
    /// The certificate; plain HTTP without.
    pub tls: Option<Certificate>,
    /// Who may register.
    pub registration: Registration,
    /// Proxies whose header is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The one header in which they name the client.
    pub client_ip_header: Option<String>,
    /// Web origins that may call the API; `*` for all.
    pub cors_origins: Vec<String>,
    /// Accounts that never published are removed after this time; `None`: never.
    pub purge_unused: Option<Duration>,
}

/// Where a listener's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Files that somebody else renews.
    Files(TlsFiles),
    /// A CA, through the daemon's own ACME client.
    Own(OwnCertificate),
}

/// Who may register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Anybody who reaches the API.
    Open,
    /// Whoever shows one of these secrets.
    Secret(Vec<SecretHash>),
    /// Nobody but the operator, and whoever has an enrolment token of his.
    Closed,
}

/// How many values an owner holds, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueLimits {
    /// Live values per owner; the oldest drops.
    pub max: usize,
    /// How long a value lives.
    pub lifetime: Duration,
    /// How long an owner's two newest values live at least.
    pub newest_lifetime: Duration,
    /// Whether persistent authorizations are published and served.
    pub persist: bool,
}

/// One zone's settings.
#[derive(Clone, Debug)]
pub struct ZoneSettings {
    /// The apex.
    pub name: ZoneName,
    /// The nameservers; at least one.
    pub nameservers: Vec<Name>,
    /// The SOA but for its serial.
    pub soa: Soa,
    /// Seconds that live TXT values may be kept.
    pub txt_ttl: u32,
    /// The NS set and the records of the zonefile.
    pub statics: StaticRecords,
    /// How it is signed, if it is.
    pub dnssec: Option<Dnssec>,
}

impl ZoneSettings {
    /// The longest that a resolver may keep anything of the zone: what was served before a change is in no cache any
    /// more when so much time has passed.
    pub fn longest_ttl(&self) -> u32 {
        let own = [self.soa.negative_ttl, self.txt_ttl, self.dnssec.as_ref().map_or(0, |dnssec| dnssec.dnskey_ttl)];
        own.into_iter().chain(self.statics.longest_ttl()).max().unwrap_or(0)
    }
}

impl Config {
    /// The first of `./config.toml` and `/etc/txtgate/config.toml` that exists; the former where neither does.
    pub fn default_path() -> PathBuf {
        let candidates = ["config.toml", "/etc/txtgate/config.toml"].map(PathBuf::from);
        candidates.iter().find(|path| path.exists()).unwrap_or(&candidates[0]).clone()
    }

    /// The keys that another reading changes and that a running daemon does not take over: all but the zones, managed
    /// certificates and the log's level.
    pub fn needing_restart(&self, other: &Self) -> Vec<&'static str> {
        let changed = [
            ("database", self.database != other.database),
            ("admin-socket", self.admin_socket != other.admin_socket),
            ("log.format", self.log.format != other.log.format),
            ("dns", self.dns != other.dns),
            ("dns.cookie-secret-file", self.cookie_secrets.is_some() != other.cookie_secrets.is_some()),
            ("api", self.api != other.api),
            ("acme", self.acme != other.acme),
            ("metrics", self.metrics != other.metrics),
            ("values", self.values != other.values),
            ("resolvers", self.resolvers != other.resolvers),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
    }
}
