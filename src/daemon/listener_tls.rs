//! The certificates that the listeners use.

use std::path::PathBuf;

use crate::config::{Certificate, Config};
use crate::net::tls::{self, Tls, TlsError, TlsFiles};

/// The TLS of each kind of listener; `None`: plain.
#[derive(Debug)]
pub struct ListenerTls {
    pub api: Option<Tls>,
    /// DNS over TLS and QUIC.
    pub dns: Option<Tls>,
    /// The operator's API over the network.
    pub admin: Option<Tls>,
    /// The web console.
    pub console: Option<Tls>,
}

impl ListenerTls {
    /// Loads the certificates that the configuration names. Those that the daemon gets from a CA are empty at first.
    pub fn load(config: &Config) -> Result<Self, TlsError> {
        let api = config.api.tls.as_ref().map(|certificate| load(certificate, tls::HTTP)).transpose()?;
        let dns = beside(api.as_ref(), config.dns.tls.as_ref(), tls::DOT)?;
        let has_admin = !config.admin.listen.is_empty();
        let admin = beside(api.as_ref(), config.admin.tls.as_ref().filter(|_| has_admin), tls::HTTP1)?;
        let console = beside(api.as_ref(), config.console.tls.as_ref(), tls::HTTP1)?;
        Ok(Self { api, dns, admin, console })
    }

    pub fn all(&self) -> impl Iterator<Item = &Tls> {
        self.api.iter().chain(&self.dns).chain(&self.admin).chain(&self.console)
    }

    /// The certificates that come from files, each once, and what uses them.
    pub fn files(&self, config: &Config) -> Vec<(&'static str, PathBuf, Tls)> {
        let Config { api, dns, admin, console, .. } = config;
        let users = [
            ("the API", &api.tls, &self.api),
            ("DNS over TLS and QUIC", &dns.tls, &self.dns),
            ("the operator's API", &admin.tls, &self.admin),
            ("the console", &console.tls, &self.console),
        ];
        let mut found: Vec<(&'static str, PathBuf, Tls)> = Vec::new();
        for (user, certificate, tls) in users {
            let (Some(Certificate::Files(TlsFiles { certificate, .. })), Some(tls)) = (certificate, tls) else {
                continue;
            };
            if found.iter().all(|(_, path, _)| path != certificate) {
                found.push((user, certificate.clone(), tls.clone()));
            }
        }
        found
    }
}

/// The TLS of a listener beside the API, which shares a certificate that the daemon gets itself.
fn beside(api: Option<&Tls>, certificate: Option<&Certificate>, protocols: &[&[u8]]) -> Result<Option<Tls>, TlsError> {
    match (certificate, api) {
        (Some(Certificate::Own(_)), Some(api)) => api.speaking(protocols).map(Some),
        (certificate, _) => certificate.map(|certificate| load(certificate, protocols)).transpose(),
    }
}

/// Loads a certificate from its files. A certificate that the daemon gets from a CA is empty at first.
fn load(certificate: &Certificate, protocols: &[&[u8]]) -> Result<Tls, TlsError> {
    match certificate {
        Certificate::Files(files) => Tls::load(files.clone(), protocols),
        Certificate::Own(_) => Tls::empty(protocols),
    }
}
