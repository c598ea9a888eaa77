//! The daemon that a rehearsal asks: the one that runs with the configuration, or one of its own with a temporary
//! database and sockets on the loopback.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;

use axum::http::Method;
use ipnet::IpNet;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::acme::certificate::CertificateKey;
use crate::api::types::server::{Listeners, ServerSettings};
use crate::api::types::status::Status;
use crate::cli::error::{CliError, Result};
use crate::cli::operator::Operator;
use crate::cli::target::Target;
use crate::config::keyfile::KeyFile;
use crate::config::keys::SHIPPED;
use crate::config::{Certificate, Config, Dns, KeyType, TlsFiles};
use crate::daemon::Daemon;
use crate::file::{self, Unusable};
use crate::model::identifier::Identifier;
use crate::model::name::ZoneName;
use crate::net::interfaces;
use crate::net::tls::{self, Tls};

use super::api::{Api, Endpoint};
use super::listener::DnsListener;
use super::report::Finding;

/// A daemon that serves.
pub struct Served {
    /// The operator's connection to it.
    pub operator: Operator,
    /// Its DNS listeners.
    pub listeners: Vec<DnsListener>,
    /// Its API; `None` if the configuration has none.
    pub api: Option<Api>,
    /// Whether it ran before.
    pub is_running: bool,
    /// What the daemon shows to be wrong.
    pub findings: Vec<Finding>,
    own: Option<(Daemon, TempDir)>,
}

impl Served {
    /// Connects to the daemon that runs with this configuration, or starts one.
    pub fn find(config: &Config, may_run: bool, runtime: &Runtime) -> Result<Self> {
        if !may_run {
            return Self::start(config, runtime, Vec::new());
        }
        let path = &config.admin_socket;
        match UnixStream::connect(path) {
            Ok(_) => Self::running(config),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                Self::start(config, runtime, Vec::new())
            }
            Err(error) => {
                let note = format!(
                    "whether a daemon runs is not known, so this is one of the rehearsal's own: {}",
                    Unusable(path, &error)
                );
                Self::start(config, runtime, vec![Finding::note(note)])
            }
        }
    }

    /// Stops the daemon if the rehearsal has started it, and removes its files.
    pub fn stop(self, runtime: &Runtime) {
        if let Some((daemon, folder)) = self.own {
            runtime.block_on(daemon.stop());
            drop(folder);
        }
    }

    fn running(config: &Config) -> Result<Self> {
        let operator = Operator::of_daemon(&Target::Local(Box::new(config.clone())))?.quietly();
        let server: ServerSettings = operator.ask(Method::GET, "/server")?;
        let status: Status = operator.ask(Method::GET, "/status")?;
        let Listeners { dns, api, api_tls, api_sockets } = server.listeners;
        if dns.is_empty() {
            let problem = "the running daemon does not tell its listeners, because it is of another version than this \
                           command; restart it";
            return Err(CliError::Refused(problem.into()));
        }
        let serves = |name: &ZoneName| status.zones.iter().any(|zone| zone.name == *name);
        let unserved = config.zones.iter().filter(|zone| !serves(&zone.name));
        let findings = unserved.map(|zone| {
            let (name, version) = (&zone.name, "reload it: `systemctl reload txtgate`, or SIGHUP");
            Finding::fault(format!("the running daemon does not serve {name}, which the configuration has; {version}"))
        });
        let over_tcp =
            api.first().map(|address| Endpoint::Tcp { address: interfaces::reachable(*address), tls: api_tls });
        let endpoint = over_tcp.or_else(|| api_sockets.first().cloned().map(Endpoint::Unix));
        Ok(Self {
            operator,
            listeners: dns.into_iter().map(DnsListener::at).collect(),
            api: endpoint.map(|endpoint| api_at(endpoint, config)),
            is_running: true,
            findings: findings.collect(),
            own: None,
        })
    }

    fn start(config: &Config, runtime: &Runtime, mut findings: Vec<Finding>) -> Result<Self> {
        let folder = TempDir::with_prefix("txtgate-rehearse-")?;
        let has_ipv6 = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        if !has_ipv6 && config.dns.listen.iter().any(SocketAddr::is_ipv6) {
            let note = "this machine has no IPv6, so what is asked over IPv6 elsewhere is asked over IPv4 here";
            findings.push(Finding::note(note.into()));
        }
        let own = own_config(config, folder.path(), has_ipv6, &mut findings)?;
        let daemon = runtime.block_on(Daemon::start(own.clone(), true))?;
        let bound = daemon.bound().listeners();
        let pairs = config.dns.listen.iter().zip(&bound.dns);
        let listeners = pairs.map(|(configured, socket)| DnsListener { configured: *configured, socket: *socket });
        let over_tcp = bound.api.first().map(|address| Endpoint::Tcp { address: *address, tls: bound.api_tls });
        let endpoint = over_tcp.or_else(|| bound.api_sockets.first().cloned().map(Endpoint::Unix));
        Ok(Self {
            operator: Operator::of_daemon(&Target::Local(Box::new(own)))?.quietly(),
            listeners: listeners.collect(),
            api: endpoint.map(|endpoint| api_at(endpoint, config)),
            is_running: false,
            findings,
            own: Some((daemon, folder)),
        })
    }
}

/// What the API's listener expects of a client on this machine.
fn api_at(endpoint: Endpoint, config: &Config) -> Api {
    let api = &config.api;
    let is_proxy = match &endpoint {
        Endpoint::Tcp { address, .. } => contain(&api.trusted_proxies, address.ip()),
        Endpoint::Unix(_) => api.trusts_sockets,
    };
    let wants_proxy_header = is_proxy && api.proxy_protocol && matches!(endpoint, Endpoint::Tcp { .. });
    let client_header = api.client_ip_header.clone().filter(|_| is_proxy && !wants_proxy_header);
    Api { endpoint, wants_proxy_header, client_header }
}

/// Whether one of the networks contains an address.
pub fn contain(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// The default configuration with files in `folder` and sockets on the loopback alone, and what of `config` a validation
/// meets. Everything else stays as it is by default, so that no look-up, notification or copy leaves this machine.
fn own_config(config: &Config, folder: &Path, has_ipv6: bool, findings: &mut Vec<Finding>) -> Result<Config> {
    let mut own = Config::parse(&folder.join("config.toml"), SHIPPED)?;
    (own.doctor.at_start, own.doctor.daily) = (false, false);
    own.metrics = Vec::new();
    own.values = config.values;
    own.cookie_secrets = config.cookie_secrets;
    own.dns = Dns { threads: 1, tls_listen: Vec::new(), quic_listen: Vec::new(), tls: None, ..config.dns.clone() };
    own.dns.listen = config.dns.listen.iter().map(|address| loopback(address.is_ipv6() && has_ipv6)).collect();
    own.api = config.api.clone();
    own.api.listen = config.api.listen.iter().take(1).map(|_| loopback(false)).collect();
    own.api.sockets = config.api.sockets.iter().take(1).map(|_| folder.join("api.sock")).collect();
    own.api.tls = own_tls(config, folder, findings)?;
    own.zones = config.zones.clone();
    for zone in &mut own.zones {
        // `signing` has the finding for a key that cannot be used.
        let is_usable = zone.dnssec.as_ref().is_some_and(|dnssec| KeyFile::read(&dnssec.key, &zone.name).is_ok());
        zone.dnssec = zone.dnssec.take().filter(|_| is_usable);
    }
    Ok(own)
}

fn loopback(is_ipv6: bool) -> SocketAddr {
    match is_ipv6 {
        true => (Ipv6Addr::LOCALHOST, 0).into(),
        false => (Ipv4Addr::LOCALHOST, 0).into(),
    }
}

/// The certificate of the API: the files of the configuration if they are of use, or else a self-signed one.
fn own_tls(config: &Config, folder: &Path, findings: &mut Vec<Finding>) -> Result<Option<Certificate>> {
    match &config.api.tls {
        None => return Ok(None),
        Some(Certificate::Files(files)) => match Tls::load(files.clone(), tls::HTTP) {
            Ok(_) => return Ok(config.api.tls.clone()),
            Err(error) => findings.push(Finding::fault(format!("the API's certificate: {error}"))),
        },
        Some(Certificate::Own(_)) => {}
    }
    let names: Vec<Identifier> = config.zones.iter().filter_map(|zone| zone.name.to_string().parse().ok()).collect();
    let unmade = |error: crate::acme::AcmeError| CliError::Refused(format!("no certificate for the API: {error}"));
    let chain = CertificateKey::generate(KeyType::P256).and_then(|key| key.self_signed(&names)).map_err(unmade)?;
    let files = TlsFiles { certificate: folder.join("api.pem"), key: folder.join("api.key") };
    let texts = [(&files.certificate, chain.pem()), (&files.key, chain.key().reveal_pem())];
    for (path, text) in texts {
        let written = file::replace(path, text.as_bytes());
        written.map_err(|source| CliError::File { path: path.clone(), source })?;
    }
    Ok(Some(Certificate::Files(files)))
}
