//! The shape of `config.toml`: every key, its type and its default.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Method;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct File {
    pub database: PathBuf,
    pub admin_socket: PathBuf,
    pub resolvers: Vec<String>,
    pub log: Log,
    pub dns: Dns,
    pub api: Api,
    pub acme: Acme,
    pub metrics: Metrics,
    pub values: Values,
    pub zone: Vec<Zone>,
    pub certificate: Vec<Certificate>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            database: "txtgate.db".into(),
            admin_socket: "txtgate.sock".into(),
            resolvers: Vec::new(),
            log: Log::default(),
            dns: Dns::default(),
            api: Api::default(),
            acme: Acme::default(),
            metrics: Metrics::default(),
            values: Values::default(),
            zone: Vec::new(),
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
    pub threads: usize,
    pub answers_per_second: u32,
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
            threads: 0,
            answers_per_second: 100,
            cookie_secret_file: None,
            tsig_md5: false,
            open_virtual_zones: false,
            nsid: String::new(),
            version: String::new(),
        }
    }
}

/// `[api]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Api {
    pub listen: Vec<Listen>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub registration: Registration,
    pub registration_secrets: Vec<String>,
    pub registration_secrets_file: Option<PathBuf>,
    pub trusted_proxies: Vec<String>,
    pub client_ip_header: Option<String>,
    pub cors_origins: Vec<String>,
    pub purge_unused_days: u32,
    pub tls: ApiTls,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: vec![Listen::loopback(5380)],
            certificate: None,
            key: None,
            registration: Registration::Open,
            registration_secrets: Vec::new(),
            registration_secrets_file: None,
            trusted_proxies: Vec::new(),
            client_ip_header: None,
            cors_origins: Vec::new(),
            purge_unused_days: 0,
            tls: ApiTls::default(),
        }
    }
}

/// The values of `registration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Registration {
    /// Anybody; allowed only where the API listens on loopback alone.
    Open,
    /// Anybody, from anywhere.
    OpenToAnyone,
    /// Clients with a registration secret.
    Secret,
    /// The operator, and clients with an enrolment token.
    Closed,
}

/// `[api.tls]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ApiTls {
    pub mode: TlsMode,
    pub names: Vec<String>,
    pub until_issued: UntilIssued,
}

impl Default for ApiTls {
    fn default() -> Self {
        Self { mode: TlsMode::Files, names: Vec::new(), until_issued: UntilIssued::SelfSigned }
    }
}

/// The source of the API's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// The files `certificate` and `key`; plain HTTP without them.
    Files,
    /// A CA, through the daemon's own ACME client.
    Acme,
}

/// What the API does until a CA has issued its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UntilIssued {
    /// Uses a self-signed certificate, whose fingerprint is logged.
    SelfSigned,
    /// Refuses every handshake.
    Closed,
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

/// The curve of a certificate's ECDSA key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    P256,
    P384,
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

/// `[values]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Values {
    pub max_values: usize,
    pub lifetime: String,
    pub newest_lifetime: String,
    pub persist: bool,
}

impl Default for Values {
    fn default() -> Self {
        Self { max_values: 100, lifetime: "24h".into(), newest_lifetime: "7d".into(), persist: false }
    }
}

/// `[[zone]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Zone {
    pub name: String,
    pub ns: Vec<String>,
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

/// `[[certificate]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Certificate {
    pub name: Option<String>,
    pub names: Vec<String>,
    #[serde(default = "certificates")]
    pub directory: PathBuf,
    pub key_type: Option<KeyType>,
    pub challenge: Option<Method>,
    pub profile: Option<String>,
    pub owner: Option<String>,
    pub group: Option<String>,
    #[serde(default = "private_mode")]
    pub mode: String,
    #[serde(default)]
    pub pkcs12: bool,
    pub pkcs12_password_file: Option<PathBuf>,
    #[serde(default)]
    pub hook: Vec<String>,
    pub hook_user: Option<String>,
    pub hook_group: Option<String>,
    #[serde(default = "hook_timeout")]
    pub hook_timeout: String,
}

impl Certificate {
    /// A certificate for these names, with the defaults of all other keys.
    pub fn of_names(names: Vec<String>) -> Self {
        Self {
            name: None,
            names,
            directory: certificates(),
            key_type: None,
            challenge: None,
            profile: None,
            owner: None,
            group: None,
            mode: private_mode(),
            pkcs12: false,
            pkcs12_password_file: None,
            hook: Vec::new(),
            hook_user: None,
            hook_group: None,
            hook_timeout: hook_timeout(),
        }
    }
}

fn certificates() -> PathBuf {
    "certificates".into()
}

fn private_mode() -> String {
    "0600".into()
}

fn hook_timeout() -> String {
    "60s".into()
}

/// An address and a port to listen on.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Listen(pub SocketAddr);

impl Listen {
    fn loopback(port: u16) -> Self {
        Self(SocketAddr::from(([127, 0, 0, 1], port)))
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wanted = "write address:port, like \"192.0.2.1:53\", \"0.0.0.0:53\" or \"[2001:db8::1]:53\"";
        text.parse().map(Self).map_err(|_| format!("{text:?} is no address to listen on; {wanted}"))
    }
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
