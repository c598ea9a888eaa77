//! The shape of `[api]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ApiListen, Listen};

/// `[api]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Api {
    pub listen: Vec<ApiListen>,
    pub url: Option<String>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub registration: Registration,
    pub registration_secrets: Vec<String>,
    pub registration_secrets_file: Option<PathBuf>,
    pub trusted_proxies: Vec<String>,
    pub client_ip_header: Option<String>,
    pub proxy_protocol: bool,
    pub cors_origins: Vec<String>,
    pub purge_unused_days: u32,
    pub header_timeout: String,
    pub body_timeout: String,
    pub tls: ApiTls,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: vec![ApiListen::Tcp(Listen::loopback(5380).0)],
            url: None,
            certificate: None,
            key: None,
            registration: Registration::Open,
            registration_secrets: Vec::new(),
            registration_secrets_file: None,
            trusted_proxies: Vec::new(),
            client_ip_header: None,
            proxy_protocol: false,
            cors_origins: Vec::new(),
            purge_unused_days: 0,
            header_timeout: "10s".into(),
            body_timeout: "20s".into(),
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
