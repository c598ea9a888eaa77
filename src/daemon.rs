//! The daemon: binds and starts everything, reloads the configuration, and drains at the end.

mod clock;
mod error;
mod query_events;
mod rekey;
mod selfquery;
mod services;
mod sockets;
mod watchdog;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tracing::{error, info, warn};

use crate::acme::Authority;
use crate::api;
use crate::api::admin::Facts;
use crate::api::http::Server;
use crate::certificates::Certificates;
use crate::certificates::api_certificate::ApiCertificateKeeper;
use crate::certificates::services::IssueServices;
use crate::config::{Certificate, Config};
use crate::crypto::cookie::{CookieSecret, Cookies};
use crate::dns::identity::ServerIdentity;
use crate::dns::limits::ReplyLimits;
use crate::dns::listener::StreamListener;
use crate::dns::udp::UdpListener;
use crate::dns::update::Updates;
use crate::dns::{self, Responder, ResponsePolicy, quic, tcp, udp};
use crate::file::folder_of;
use crate::model::actor::Actor;
use crate::model::secret::RandomError;
use crate::net::connections::Connections;
use crate::net::inherited::Inherited;
use crate::net::tls::{self, Tls, TlsError};

pub use error::DaemonError;
pub use services::Services;
pub use sockets::Bound;
pub use watchdog::Watchdog;

use rekey::KeyFiles;
use sockets::{AdminFile, Sockets};

/// Connections of the API in total, and from one prefix. All clients behind a proxy have the proxy's prefix.
const API_CONNECTIONS: (usize, usize) = (1_024, 512);
/// Connections of the metrics listener and of the admin socket: in total, and from one prefix.
const PRIVATE_CONNECTIONS: (usize, usize) = (64, 64);
/// How long DNS over TCP, TLS and QUIC may take to finish open queries at the shutdown.
const GRACE: Duration = Duration::from_secs(10);
/// How long a random secret for DNS cookies is in use.
const SECRET_LIFETIME: Duration = Duration::from_secs(26 * 3_600);

/// A running daemon. [`Daemon::stop`] ends it.
#[derive(Debug)]
pub struct Daemon {
    config: Config,
    bound: Bound,
    admin_file: Option<AdminFile>,
    services: Services,
    policy: ResponsePolicy,
    certificates: Certificates,
    api_tls: Option<Tls>,
    dns_tls: Option<Tls>,
    shutdown: watch::Sender<bool>,
    udp: Vec<UdpListener>,
    streams: Vec<StreamListener>,
    http: JoinSet<()>,
    upkeep: Vec<AbortHandle>,
}

impl Daemon {
    /// Binds every socket, opens the store and loads the zones, and only then begins to serve.
    pub async fn start(config: Config) -> Result<Self, DaemonError> {
        let (api_tls, dns_tls) = certificates(&config)?;
        // Before the store, so that a second daemon reports the used port instead of waiting for a lock.
        let mut sockets = Sockets::bind(&config, &mut Inherited::from_env())?;
        let key_files = KeyFiles::of(&config.zones);
        let services = Services::open(&config)?;
        let (certificates, api_keeper) = start_certificates(&config, &services, api_tls.as_ref()).await;
        let mut daemon = Self {
            policy: policy(&config)?,
            bound: sockets.bound(&config)?,
            admin_file: sockets.admin_file.take(),
            config,
            services,
            certificates,
            api_tls,
            dns_tls,
            shutdown: watch::Sender::new(false),
            udp: Vec::new(),
            streams: Vec::new(),
            http: JoinSet::new(),
            upkeep: Vec::new(),
        };
        daemon.serve(sockets)?;
        daemon.keep_up(key_files);
        daemon.upkeep.extend(api_keeper.map(|keeper| tokio::spawn(keeper.run()).abort_handle()));
        Ok(daemon)
    }

    /// The addresses that the daemon listens on.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// A watchdog over the loops that must never stall.
    pub fn watchdog(&self) -> Watchdog {
        let mut watchdog = Watchdog::default();
        for heartbeat in self.udp.iter().flat_map(UdpListener::heartbeats) {
            let heartbeat = heartbeat.clone();
            watchdog.watch("DNS over UDP", move || heartbeat.value());
        }
        for listener in &self.streams {
            let heartbeat = listener.heartbeat().clone();
            watchdog.watch(listener.what(), move || heartbeat.value());
        }
        let writer = self.services.writer.clone();
        // The writer may stall with the disk. A restart would only wait for the same disk.
        watchdog.watch_alive("the store's writer", move || writer.is_alive());
        watchdog
    }

    /// Applies the zones, certificates and cookie secrets of a new configuration. Logs the other keys that have changed,
    /// which need a restart.
    pub async fn reload(&self, config: Config) -> Result<(), DaemonError> {
        self.services.publisher.reload(Actor::UPKEEP, config.zones.clone()).await?;
        // Nothing below can fail: after a rejected configuration the former cookies stay valid.
        if self.config.cookie_secrets.is_some()
            && let Some(secrets) = config.cookie_secrets
        {
            self.policy.cookies.replace(secrets);
        }
        // An unusable certificate must not prevent the reload of the zones, or the other way round.
        for tls in self.api_tls.iter().chain(&self.dns_tls) {
            if let Err(error) = tls.reload() {
                error!("the certificate stays as it was: {error}");
            }
        }
        self.certificates.reload(&config.certificates);
        for key in self.config.needing_restart(&config) {
            warn!("`{key}` has changed; restart txtgate to apply it");
        }
        Ok(())
    }

    /// Stops accepting connections, finishes open requests and writes pending changes.
    pub async fn stop(mut self) {
        self.upkeep.iter().for_each(AbortHandle::abort);
        self.certificates.stop();
        // An error means that no task is left to receive it.
        _ = self.shutdown.send(true);
        while self.http.join_next().await.is_some() {}
        let streams = async {
            for listener in self.streams {
                listener.finished().await;
            }
        };
        if tokio::time::timeout(GRACE, streams).await.is_err() {
            warn!("some DNS connections did not end in time and were closed");
        }
        drop(self.admin_file);
        let udp = self.udp;
        let services = self.services;
        let rest = tokio::task::spawn_blocking(move || {
            udp.into_iter().for_each(UdpListener::stop);
            services.close();
        });
        if rest.await.is_err() {
            warn!("the store was not closed cleanly; no acknowledged change is lost");
        }
    }

    fn serve(&mut self, sockets: Sockets) -> Result<(), DaemonError> {
        let responder = self.responder();
        let connections = Connections::new(tcp::MAX_CONNECTIONS, tcp::MAX_PER_PREFIX);
        for (udp, tcp) in sockets.dns {
            self.udp.push(udp::spawn(udp, &responder)?);
            self.streams.push(tcp::serve(tcp, responder.clone(), connections.clone(), self.shutdown.subscribe())?);
        }
        for (listener, tls) in sockets.dot.into_iter().zip(self.dns_tls.iter().cycle()) {
            let shutdown = self.shutdown.subscribe();
            let served = dns::tls::serve(listener, tls.clone(), responder.clone(), connections.clone(), shutdown)?;
            self.streams.push(served);
        }
        self.serve_quic(sockets.doq, &responder)?;
        self.serve_http(self.public_router(), sockets.api, API_CONNECTIONS, self.api_tls.clone())?;
        let metrics = api::metrics::router(self.services.metrics.clone(), self.services.publisher.clone());
        self.serve_http(metrics, sockets.metrics, PRIVATE_CONNECTIONS, None)?;
        self.serve_operator(sockets.admin)
    }

    fn responder(&self) -> Responder {
        let Services { zones, clock, metrics, watchers, keyring, publisher, .. } = &self.services;
        let updates = Updates::new(keyring.clone(), publisher.clone(), self.config.dns.open_virtual_zones);
        Responder::new(zones.clone(), clock.clone(), metrics.clone(), watchers.clone(), self.policy.clone())
            .with_updates(updates)
    }

    fn public_router(&self) -> Router {
        let Services { publisher, credentials, hasher, metrics, dns_client, .. } = &self.services;
        api::router(
            &self.config.api,
            publisher.clone(),
            credentials.clone(),
            hasher.clone(),
            metrics.clone(),
            dns_client.clone(),
        )
    }

    fn serve_quic(&mut self, sockets: Vec<UdpSocket>, responder: &Responder) -> Result<(), DaemonError> {
        let connections = Connections::new(quic::MAX_CONNECTIONS, quic::MAX_PER_PREFIX);
        for (socket, tls) in sockets.into_iter().zip(self.dns_tls.iter().cycle()) {
            let tls = tls.speaking(tls::DOQ)?;
            let shutdown = self.shutdown.subscribe();
            self.streams.push(quic::serve(socket, &tls, responder.clone(), connections.clone(), shutdown)?);
        }
        Ok(())
    }

    fn serve_http(
        &mut self,
        router: Router,
        listeners: Vec<std::net::TcpListener>,
        (total, per_prefix): (usize, usize),
        tls: Option<Tls>,
    ) -> Result<(), DaemonError> {
        let server = Server::new(router, Connections::new(total, per_prefix));
        for listener in listeners {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            self.http.spawn(server.clone().serve(listener, tls.clone(), stopping(&self.shutdown)));
        }
        Ok(())
    }

    fn serve_operator(&mut self, listener: std::os::unix::net::UnixListener) -> Result<(), DaemonError> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let facts = Facts { started: Some(Instant::now()), listeners: self.bound.lines() };
        let watch = query_events::hook(&self.services, &self.shutdown);
        let router = self.services.operator_router(facts, Some(watch), Some(self.certificates.clone()));
        let (total, per_prefix) = PRIVATE_CONNECTIONS;
        let server = Server::new(router, Connections::new(total, per_prefix));
        self.http.spawn(server.serve_unix(listener, stopping(&self.shutdown)));
        Ok(())
    }

    fn keep_up(&mut self, key_files: KeyFiles) {
        let publisher = self.services.publisher.clone();
        self.upkeep.push(tokio::spawn(key_files.keep_fresh(publisher.clone())).abort_handle());
        self.upkeep.push(tokio::spawn(clock::keep_checking(publisher.clone())).abort_handle());
        let purge_unused = self.config.api.purge_unused;
        self.upkeep.push(tokio::spawn(publisher.keep_up(purge_unused)).abort_handle());
        if self.config.cookie_secrets.is_none() {
            self.upkeep.push(tokio::spawn(change_secrets(self.policy.cookies.clone())).abort_handle());
        }
        for tls in self.api_tls.iter().chain(&self.dns_tls).cloned() {
            self.upkeep.push(tokio::spawn(tls.keep_fresh()).abort_handle());
        }
        if let Some(&address) = self.bound.dns.first() {
            let asking = selfquery::keep_asking(address, self.services.zones.clone(), self.services.dns_client.clone());
            self.upkeep.push(tokio::spawn(asking).abort_handle());
        }
        info!(zones = self.services.zones.load().len(), "serving");
    }
}

/// Starts the managed certificates, and prepares the API's if the configuration leaves it to the daemon.
async fn start_certificates(
    config: &Config,
    services: &Services,
    tls: Option<&Tls>,
) -> (Certificates, Option<ApiCertificateKeeper>) {
    let issuing = IssueServices {
        authority: Authority::new(config.acme.clone()),
        publisher: services.publisher.clone(),
        dns: services.dns_client.clone(),
        metrics: services.metrics.clone(),
    };
    let api = match (config.api.tls.clone(), tls.cloned()) {
        (Some(Certificate::Own(settings)), Some(tls)) => Some((tls, settings)),
        _ => None,
    };
    Certificates::start(issuing, api, &config.certificates, folder_of(&config.database)).await
}

/// Loads the certificates of the API, and of DNS over TLS and QUIC.
fn certificates(config: &Config) -> Result<(Option<Tls>, Option<Tls>), TlsError> {
    let api = config.api.tls.as_ref().map(|certificate| load_tls(certificate, tls::HTTP)).transpose()?;
    let dns = match (&config.dns.tls, &api) {
        (Some(Certificate::Own(_)), Some(api)) => Some(api.speaking(tls::DOT)?),
        (certificate, _) => certificate.as_ref().map(|certificate| load_tls(certificate, tls::DOT)).transpose()?,
    };
    Ok((api, dns))
}

/// Loads a certificate from its files. A certificate that the daemon gets from a CA is empty at first.
fn load_tls(certificate: &Certificate, protocols: &[&[u8]]) -> Result<Tls, TlsError> {
    match certificate {
        Certificate::Files(files) => Tls::load(files.clone(), protocols),
        Certificate::Own(_) => Tls::empty(protocols),
    }
}

fn policy(config: &Config) -> Result<ResponsePolicy, RandomError> {
    let plain = ResponsePolicy::plain()?;
    let identity = ServerIdentity { nsid: config.dns.nsid.clone(), version: config.dns.version.clone() };
    Ok(ResponsePolicy {
        identity: identity.into(),
        cookies: config.cookie_secrets.map_or(plain.cookies, Cookies::new),
        limits: ReplyLimits::new(config.dns.answers_per_second),
    })
}

/// Replaces the random secret for DNS cookies about once a day (RFC 7873 section 7.1).
async fn change_secrets(cookies: Cookies) {
    loop {
        tokio::time::sleep(SECRET_LIFETIME).await;
        match CookieSecret::random() {
            Ok(secret) => cookies.rotate(secret),
            Err(error) => warn!(%error, "no new secret for DNS cookies; the former one stays in use"),
        }
    }
}

/// Resolves when the daemon stops.
fn stopping(shutdown: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut receiver = shutdown.subscribe();
    async move {
        // An error means that the daemon is gone.
        _ = receiver.wait_for(|stop| *stop).await;
    }
}
