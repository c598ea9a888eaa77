//! The shape of `config.toml`: every key, its type and its default.

mod api;
mod certificate;
mod console;
mod dnstap;
mod listen;
mod notify;
mod query_log;
mod secondary;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Method;

pub use api::{Api, ApiTls, Registration, TlsMode, UntilIssued};
pub use certificate::{Certificate, KeyType};
pub use console::Console;
pub use dnstap::Dnstap;
pub use listen::{ApiListen, Listen};
pub use notify::Notify;
pub use query_log::{Privacy, QueryLog};
pub use secondary::{Secondaries, Secondary, ZoneTransfer};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct File {
    pub database: PathBuf,
    pub admin_socket: PathBuf,
    pub resolvers: Vec<String>,
    pub detours: Vec<String>,
    pub log: Log,
    pub dns: Dns,
    pub dnstap: Dnstap,
    pub api: Api,
    pub admin: Admin,
    pub console: Console,
    pub acme: Acme,
    pub metrics: Metrics,
    pub notify: Notify,
    pub values: Values,
    pub doctor: Doctor,
    pub querylog: QueryLog,
    pub updates: Updates,
    pub zone: Vec<Zone>,
    pub secondaries: Secondaries,
    pub secondary: Vec<Secondary>,
    pub certificate: Vec<Certificate>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            database: "txtgate.db".into(),
            admin_socket: "txtgate.sock".into(),
            resolvers: Vec::new(),
            detours: Vec::new(),
            log: Log::default(),
            dns: Dns::default(),
            dnstap: Dnstap::default(),
            api: Api::default(),
            admin: Admin::default(),
            console: Console::default(),
            acme: Acme::default(),
            metrics: Metrics::default(),
            notify: Notify::default(),
            values: Values::default(),
            doctor: Doctor::default(),
            querylog: QueryLog::default(),
            updates: Updates::default(),
            zone: Vec::new(),
            secondaries: Secondaries::default(),
            secondary: Vec::new(),
            certificate: Vec::new(),
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[dns]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Dns {
    pub listen: Vec<Listen>,
    pub tls_listen: Vec<Listen>,
    pub quic_listen: Vec<Listen>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub proxy_protocol: bool,
    pub threads: usize,
    pub answers_per_second: u32,
    pub idle_timeout: String,
    pub cookie_secret_file: Option<PathBuf>,
    pub tsig_md5: bool,
    pub open_virtual_zones: bool,
    pub nsid: String,
    pub version: String,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            listen: vec![Listen::loopback(5300)],
            tls_listen: Vec::new(),
            quic_listen: Vec::new(),
            certificate: None,
            key: None,
            proxy_protocol: false,
            threads: 0,
            answers_per_second: 100,
            idle_timeout: "10s".into(),
            cookie_secret_file: None,
            tsig_md5: false,
            open_virtual_zones: false,
            nsid: String::new(),
            version: String::new(),
        }
    }
}

/// `[admin]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Admin {
    pub listen: Vec<Listen>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// `[acme]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Acme {
    pub directory: String,
    pub terms_agreed: bool,
    pub contact: Vec<String>,
    pub state: PathBuf,
    pub key_type: KeyType,
    pub challenge: Method,
    pub persist_lifetime: Option<String>,
    pub profile: Option<String>,
    pub preferred_root: Option<String>,
    pub ca_root: Option<PathBuf>,
    pub eab_kid: Option<String>,
    pub eab_key_file: Option<PathBuf>,
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            directory: "https://acme-v02.api.letsencrypt.org/directory".into(),
            terms_agreed: false,
            contact: Vec::new(),
            state: "acme".into(),
            key_type: KeyType::P256,
            challenge: Method::Dns01,
            persist_lifetime: None,
            profile: None,
            preferred_root: None,
            ca_root: None,
            eab_kid: None,
            eab_key_file: None,
        }
    }
}

/// `[metrics]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Metrics {
    pub listen: Vec<Listen>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { listen: vec![Listen::loopback(5390)] }
    }
}

/// `[doctor]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Doctor {
    pub at_start: bool,
    pub daily: bool,
    pub resolvers: Vec<String>,
}

impl Default for Doctor {
    fn default() -> Self {
        Self { at_start: true, daily: true, resolvers: Vec::new() }
    }
}

/// `[values]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Values {
    pub max_values: usize,
    pub lifetime: String,
    pub newest_lifetime: String,
    pub persist: bool,
    pub retire_after_networks: usize,
    pub retire_grace: String,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            max_values: 100,
            lifetime: "24h".into(),
            newest_lifetime: "7d".into(),
            persist: false,
            retire_after_networks: 0,
            retire_grace: "60s".into(),
        }
    }
}

/// `[updates]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Updates {
    pub wait: UpdateWait,
    pub wait_limit: String,
}

impl Default for Updates {
    fn default() -> Self {
        Self { wait: UpdateWait::Stored, wait_limit: "30s".into() }
    }
}

/// What the reply to a DNS UPDATE waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpdateWait {
    /// The values are on disk, and every listener of this server serves them.
    Stored,
    /// Every nameserver of the delegation serves them.
    Served,
}

/// `[[zone]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Zone {
    // These three have no default; the rules for zones ask for them.
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub ns: Vec<String>,
    #[serde(default)]
    pub contact: String,
    #[serde(default = "refresh")]
    pub refresh: u32,
    #[serde(default = "retry")]
    pub retry: u32,
    #[serde(default = "expire")]
    pub expire: u32,
    #[serde(default = "negative_ttl")]
    pub negative_ttl: u32,
    #[serde(default = "txt_ttl")]
    pub txt_ttl: u32,
    #[serde(default)]
    pub dnssec_key: Option<PathBuf>,
    #[serde(default = "dnskey_ttl")]
    pub dnskey_ttl: u32,
    #[serde(default)]
    pub transfer: ZoneTransfer,
    #[serde(default)]
    pub records: String,
}

fn refresh() -> u32 {
    14_400
}

fn retry() -> u32 {
    3_600
}

fn expire() -> u32 {
    604_800
}

// lego gives up after 60 seconds, so a negative answer must expire well within that time.
fn negative_ttl() -> u32 {
    10
}

fn txt_ttl() -> u32 {
    1
}

fn dnskey_ttl() -> u32 {
    3_600
}
