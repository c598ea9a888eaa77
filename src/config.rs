//! The configuration: `config.toml`, read once into types that hold valid values only.
//!
//! `syntax` makes a `tree` of the text, over which [`environment`] lays its variables; `shape` reads the tree into a
//! [`File`](file::File), and `read` the file into the settings of the daemon, [`Config`]. Each step collects mistakes
//! with their places, so that one run shows them all.

pub mod acme;
mod api;
pub mod certificate;
mod console;
mod dns;
pub mod environment;
pub mod error;
pub mod file;
pub mod keyfile;
pub mod keys;
mod lookups;
pub mod method;
pub mod notify;
pub mod pkcs12;
mod query_log;
mod read;
mod retirement;
pub mod secondary;
mod shape;
pub mod source;
mod syntax;
mod tree;
mod zones;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderName;
use ipnet::IpNet;

use crate::crypto::cookie::CookieSecrets;
use crate::model::admin_token::AdminScope;
use crate::model::name::{Name, ZoneName};
use crate::model::secret::SecretHash;
use crate::model::url::Url;
use crate::net::dns_client::{Detours, Upstream};
use crate::net::dnstap::DnstapSettings;
use crate::zone::soa::Soa;
use crate::zone::zonefile::StaticRecords;

pub use acme::{Acme, ExternalAccount, OwnCertificate};
pub use certificate::{DeployHook, ManagedCertificate};
pub use error::ConfigError;
pub use file::{KeyType, LogFormat, UntilIssued, UpdateWait, ZoneTransfer};
pub use method::Method;
pub use notify::Notify;
pub use query_log::{QueryFileLimits, QueryLogSettings};
pub use read::Places;
pub use secondary::{SecondarySettings, TransferKey};

pub use crate::net::tls::TlsFiles;
pub use crate::zone::signing::Dnssec;

/// The settings of the daemon.
#[derive(Clone, Debug)]
pub struct Config {
    pub path: PathBuf,
    /// Environment variables that look like keys and are none.
    pub notes: Vec<String>,
    /// The SQLite file.
    pub database: PathBuf,
    /// The Unix socket of the operator's commands.
    pub admin_socket: PathBuf,
    pub log: Log,
    pub dns: Dns,
    /// Secrets of DNS cookies that several servers share; `None`: a secret of this process alone.
    pub cookie_secrets: Option<CookieSecrets>,
    /// Where copies of all DNS messages go; `None`: nowhere.
    pub dnstap: Option<DnstapSettings>,
    pub api: Api,
    pub admin: Admin,
    pub console: Console,
    pub acme: Acme,
    /// The addresses of `/metrics` and `/ready`.
    pub metrics: Vec<SocketAddr>,
    pub notify: Notify,
    pub values: ValueLimits,
    /// `None`: values live as long as their lifetime.
    pub retire_fetched: Option<RetireFetched>,
    pub doctor: Doctor,
    pub query_log: QueryLogSettings,
    /// The recursive resolvers for checks; empty: those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// Where nameservers are asked that this machine cannot reach at their own addresses.
    pub detours: Detours,
    pub updates: Updates,
    /// The zones; at least one, and the first is the default for registrations.
    pub zones: Vec<ZoneSettings>,
    /// Who may transfer zones; usually nobody.
    pub secondaries: Vec<SecondarySettings>,
    /// The zone that lists the others for secondaries; `None`: there is none.
    pub catalog: Option<ZoneName>,
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
    /// The proxies that begin each connection over TCP and TLS with a PROXY header; usually none.
    pub proxies: Vec<IpNet>,
    /// UDP threads for each address; at least 1.
    pub threads: usize,
    /// UDP answers a second to one network; 0: no limit.
    pub answers_per_second: u32,
    /// How long a connection may stay open without a complete query.
    pub idle_timeout: Duration,
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
    /// Addresses of HTTP, or of HTTPS with a certificate.
    pub listen: Vec<SocketAddr>,
    /// Unix sockets, of HTTP.
    pub sockets: Vec<PathBuf>,
    /// The URL at which clients reach it, if that does not follow from `listen`.
    pub url: Option<Url>,
    /// The certificate; `None`: plain HTTP.
    pub tls: Option<Certificate>,
    pub registration: Registration,
    /// Proxies that say who their clients are.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether it believes it of everybody on a Unix socket.
    pub trusts_sockets: bool,
    /// The header in which the proxies name the client.
    pub client_ip_header: Option<String>,
    /// Whether the proxies begin each connection with a PROXY header.
    pub proxy_protocol: bool,
    /// Web origins that may call the API; `*` for all.
    pub cors_origins: Vec<String>,
    /// The age at which the daemon removes accounts that never published; `None`: never.
    pub purge_unused: Option<Duration>,
    /// The limit for a TLS handshake, and for the arrival of a request's header.
    pub header_timeout: Duration,
    /// The limit for the arrival of a request's body.
    pub body_timeout: Duration,
}

/// The examinations that the daemon makes of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doctor {
    /// Whether it makes one at each start.
    pub at_start: bool,
    /// Whether it makes one a day.
    pub daily: bool,
    /// Recursive resolvers elsewhere whose view is compared; empty: nobody is asked.
    pub resolvers: Vec<Upstream>,
}

/// The operator's API over the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    pub listen: Vec<SocketAddr>,
    /// The certificate; `None`: plain HTTP, on loopback alone.
    pub tls: Option<Certificate>,
}

/// The web console.
#[derive(Clone, Debug, PartialEq)]
pub struct Console {
    /// With no Unix sockets either, there is no console.
    pub listen: Vec<SocketAddr>,
    /// Unix sockets for a proxy.
    pub sockets: Vec<PathBuf>,
    /// Names and addresses of the console in browsers, beside those of the listeners; in lower case.
    pub hosts: Vec<String>,
    /// The certificate; `None`: plain HTTP, on loopback alone.
    pub tls: Option<Certificate>,
    /// The users of the proxy; `None`: a proxy signs nobody in.
    pub proxy_users: Option<ProxyUsers>,
}

/// How a proxy on the console's Unix sockets names the users that it has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyUsers {
    /// The header with the user's name.
    pub header: HeaderName,
    /// What the users may do.
    pub scope: AdminScope,
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

/// When values that networks have fetched retire early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetireFetched {
    /// The number of different networks; at least 2.
    pub networks: usize,
    /// How long after the last new network.
    pub grace: Duration,
}

/// What publishing waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Updates {
    /// What the reply to a DNS UPDATE waits for.
    pub wait: UpdateWait,
    /// The longest wait until every nameserver serves a value.
    pub wait_limit: Duration,
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
    /// What secondaries get of it, if it is signed.
    pub transfer: ZoneTransfer,
}

impl ZoneSettings {
    /// The longest TTL of the zone, in seconds. That long after a change, no cache holds what was served before.
    pub fn longest_ttl(&self) -> u32 {
        let own = [self.soa.negative_ttl, self.txt_ttl, self.dnssec.as_ref().map_or(0, |dnssec| dnssec.dnskey_ttl)];
        own.into_iter().chain(self.statics.longest_ttl()).max().unwrap_or(0)
    }
}

impl Config {
    /// The keys that differ in `other` and that take effect only at a restart: all but the zones, the managed
    /// certificates and the log's level.
    pub fn needing_restart(&self, other: &Self) -> Vec<&'static str> {
        let changed = [
            ("database", self.database != other.database),
            ("admin-socket", self.admin_socket != other.admin_socket),
            ("log.format", self.log.format != other.log.format),
            ("dns", self.dns != other.dns),
            ("dns.cookie-secret-file", self.cookie_secrets.is_some() != other.cookie_secrets.is_some()),
            ("dnstap", self.dnstap != other.dnstap),
            ("api", self.api != other.api),
            ("admin", self.admin != other.admin),
            ("console", self.console != other.console),
            ("acme", self.acme != other.acme),
            ("metrics", self.metrics != other.metrics),
            ("notify", self.notify != other.notify),
            ("values", (self.values, self.retire_fetched) != (other.values, other.retire_fetched)),
            ("doctor", self.doctor != other.doctor),
            ("querylog", self.query_log != other.query_log),
            ("updates", self.updates != other.updates),
            ("resolvers", self.resolvers != other.resolvers),
            ("detours", self.detours != other.detours),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
    }
}
