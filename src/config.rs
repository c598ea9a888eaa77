//! The configuration: `config.toml`, read once into types that hold valid values only.
//!
//! [`File`](file::File) is the shape of the text, and refuses unknown keys; [`Config`] holds the settings of the
//! daemon. An error says where (file, line, column, key), what was found and what to write instead.

pub mod acme;
pub mod certificate;
pub mod error;
pub mod file;
pub mod keyfile;
pub mod method;
pub mod pkcs12;
mod read;
mod zones;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::crypto::cookie::CookieSecrets;
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

/// The settings of the daemon.
#[derive(Clone, Debug)]
pub struct Config {
    pub path: PathBuf,
    /// The SQLite file.
    pub database: PathBuf,
    /// The Unix socket of the operator's commands.
    pub admin_socket: PathBuf,
    pub log: Log,
    pub dns: Dns,
    /// Secrets of DNS cookies that several servers share; `None`: a secret of this process alone.
    pub cookie_secrets: Option<CookieSecrets>,
    pub api: Api,
    pub acme: Acme,
    /// The addresses of `/metrics` and `/ready`.
    pub metrics: Vec<SocketAddr>,
    pub values: ValueLimits,
    /// The recursive resolvers for checks; empty: those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// The zones; at least one, and the first is the default for registrations.
    pub zones: Vec<ZoneSettings>,
    /// The certificates that the daemon gets for other programs.
    pub certificates: Vec<ManagedCertificate>,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// A filter of `tracing`: `info`, or `txtgate=debug`.
    pub level: String,
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
    /// The certificate of DNS over TLS and QUIC; `None` where neither listens.
    pub tls: Option<Certificate>,
    /// UDP threads for each address; at least 1.
    pub threads: usize,
    /// UDP answers a second to one network; 0: no limit.
    pub answers_per_second: u32,
    /// Allows hmac-md5 for TSIG keys.
    pub tsig_md5: bool,
    /// Answers unsigned SOA queries for aliases too, not only those with the TSIG of the alias's account.
    pub open_virtual_zones: bool,
    /// The reply to NSID and `id.server`; empty: none.
    pub nsid: String,
    /// The reply to `version.bind`; empty: none.
    pub version: String,
}

/// The HTTP API.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    pub listen: Vec<SocketAddr>,
    /// The certificate; `None`: plain HTTP.
    pub tls: Option<Certificate>,
    pub registration: Registration,
    /// Proxies whose `client_ip_header` the API believes.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which the proxies name the client.
    pub client_ip_header: Option<String>,
    /// Web origins that may call the API; `*` for all.
    pub cors_origins: Vec<String>,
    /// The age at which the daemon removes accounts that never published; `None`: never.
    pub purge_unused: Option<Duration>,
}

/// The source of a listener's certificate.
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
    /// Clients with one of these secrets, or with an enrolment token.
    Secret(Vec<SecretHash>),
    /// The operator, and clients with an enrolment token.
    Closed,
}

/// How many values an owner holds, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueLimits {
    /// The most live values of an owner; a new value evicts the oldest.
    pub max: usize,
    /// The lifetime of a value.
    pub lifetime: Duration,
    /// The least lifetime of an owner's two newest values.
    pub newest_lifetime: Duration,
    /// Allows persistent authorizations.
    pub persist: bool,
}

/// One zone's settings.
#[derive(Clone, Debug)]
pub struct ZoneSettings {
    /// The apex.
    pub name: ZoneName,
    /// The nameservers; at least one.
    pub nameservers: Vec<Name>,
    /// The SOA without its serial.
    pub soa: Soa,
    /// The TTL of live TXT values, in seconds.
    pub txt_ttl: u32,
    /// The NS set and the records of the zonefile.
    pub statics: StaticRecords,
    /// `None`: the zone is not signed.
    pub dnssec: Option<Dnssec>,
}

impl ZoneSettings {
    /// The longest TTL of the zone, in seconds. That long after a change, no cache holds what was served before.
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

    /// The keys that differ in `other` and that take effect only at a restart: all but the zones, the managed
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
