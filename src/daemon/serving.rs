//! What each socket serves.

use std::net::UdpSocket;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use axum::{Extension, Router};
use tokio::sync::watch;

use crate::api::admin::{self, ConsoleLinks, DaemonServices, DelegationChecks, Facts, QueryStreams};
use crate::api::http::{Server, Times};
use crate::api::types::server::ServerSettings;
use crate::api::{self, QueryFeed, RecentChanges};
use crate::config::UpdateWait;
use crate::console::{self, ConsoleServices};
use crate::dns::tcp::ConnectionHandler;
use crate::dns::update::Updates;
use crate::dns::{self, Responder, quic, tcp, udp};
use crate::model::actor::Actor;
use crate::net::connections::Connections;
use crate::net::dnstap::TapWriter;
use crate::net::proxy_protocol::ProxyProtocol;
use crate::net::tls::{self, Tls};

use super::Daemon;
use super::error::DaemonError;
use super::services::Services;
use super::sockets::Sockets;

/// Connections of the API in total, and from one prefix. All clients behind a proxy have the proxy's prefix.
const API_CONNECTIONS: (usize, usize) = (1_024, 512);
/// Connections of the metrics listener and of the admin socket: in total, and from one prefix.
const PRIVATE_CONNECTIONS: (usize, usize) = (64, 64);
/// Connections of the operator's API over the network: in total, and from one prefix.
const ADMIN_CONNECTIONS: (usize, usize) = (64, 16);
/// Connections of the console: in total, and from one prefix. A browser opens several, and one for events.
const CONSOLE_CONNECTIONS: (usize, usize) = (512, 128);
/// How long a stream of HTTP may be silent.
const IDLE: Duration = Duration::from_secs(60);
/// The same for the operator's API over the network.
const ADMIN_IDLE: Duration = Duration::from_secs(3_600);

/// The listeners of the console on addresses and on Unix sockets.
type ConsoleListeners = (Vec<std::net::TcpListener>, Vec<UnixListener>);

impl Daemon {
    pub(super) fn serve(&mut self, sockets: Sockets) -> Result<(), DaemonError> {
        let responder = self.responder();
        let connections = Connections::new(tcp::MAX_CONNECTIONS, tcp::MAX_PER_PREFIX);
        let proxies = ProxyProtocol::from_proxies(&self.config.dns.proxies);
        let handler = ConnectionHandler::new(responder.clone(), self.shutdown.subscribe()).with_proxies(proxies);
        for (udp, tcp) in sockets.dns {
            self.udp.push(udp::spawn(udp, &responder)?);
            self.streams.push(tcp::serve(tcp, handler.clone(), connections.clone())?);
        }
        for (listener, tls) in sockets.dot.into_iter().zip(self.tls.dns.iter().cycle()) {
            self.streams.push(dns::tls::serve(listener, tls.clone(), handler.clone(), connections.clone())?);
        }
        self.serve_quic(sockets.doq, &handler)?;
        let public = self.http_server(self.public_router(), API_CONNECTIONS, IDLE);
        self.serve_api_sockets(&public, sockets.api_sockets)?;
        let proxies = match self.config.api.proxy_protocol {
            true => ProxyProtocol::from_proxies(&self.config.api.trusted_proxies),
            false => ProxyProtocol::off(),
        };
        self.serve_http(public.with_proxies(proxies), sockets.api, self.tls.api.clone())?;
        let metrics = api::metrics::router(self.services.metrics.clone(), self.services.publisher.clone());
        self.serve_http(self.http_server(metrics, PRIVATE_CONNECTIONS, IDLE), sockets.metrics, None)?;
        self.serve_operator(sockets.admin, sockets.remote_admin, (sockets.console, sockets.console_sockets))
    }

    fn responder(&self) -> Responder {
        let Services { zones, clock, metrics, watchers, query_log, keyring, publisher, transfers, .. } = &self.services;
        let mut updates = Updates::new(keyring.clone(), publisher.clone(), self.config.dns.open_virtual_zones);
        if self.config.updates.wait == UpdateWait::Served {
            updates = updates.waiting_for(self.services.propagation.clone());
        }
        Responder::new(zones.clone(), clock.clone(), metrics.clone(), watchers.clone(), self.policy.clone())
            .with_updates(updates)
            .with_transfers(transfers.clone())
            .with_tap(self.dnstap.as_ref().map(TapWriter::tap))
            .with_query_log(query_log.clone())
    }

    fn public_router(&self) -> Router {
        let Services { publisher, credentials, keys, metrics, dns_client, query_log, .. } = &self.services;
        api::router(
            &self.config.api,
            publisher.clone(),
            credentials.clone(),
            keys.clone(),
            metrics.clone(),
            dns_client.clone(),
            QueryFeed::new(query_log.clone(), self.shutdown.subscribe()),
        )
        .layer(Extension(self.services.propagation.clone()))
    }

    fn serve_quic(&mut self, sockets: Vec<UdpSocket>, handler: &ConnectionHandler) -> Result<(), DaemonError> {
        let connections = Connections::new(quic::MAX_CONNECTIONS, quic::MAX_PER_PREFIX);
        for (socket, tls) in sockets.into_iter().zip(self.tls.dns.iter().cycle()) {
            let tls = tls.speaking(tls::DOQ)?;
            self.streams.push(quic::serve(socket, &tls, handler.clone(), connections.clone())?);
        }
        Ok(())
    }

    fn http_server(&self, router: Router, (total, per_prefix): (usize, usize), idle: Duration) -> Server {
        let limit = self.config.api.header_timeout;
        // A request may wait for the nameservers, and its connection is silent meanwhile.
        let wait = self.config.updates.wait_limit;
        let request = Times::default().request + wait;
        let times = Times { handshake: limit, head: limit, idle: idle + wait, request, ..Times::default() };
        Server::new(router, Connections::new(total, per_prefix)).with_times(times)
    }

    fn serve_http(
        &mut self,
        server: Server,
        listeners: Vec<std::net::TcpListener>,
        tls: Option<Tls>,
    ) -> Result<(), DaemonError> {
        for listener in listeners {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            self.http.spawn(server.clone().serve(listener, tls.clone(), stopping(&self.shutdown)));
        }
        Ok(())
    }

    /// Serves the API on Unix sockets, without TLS: the bytes do not leave the machine.
    fn serve_api_sockets(&mut self, server: &Server, listeners: Vec<UnixListener>) -> Result<(), DaemonError> {
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::UnixListener::from_std(listener)?;
            self.http.spawn(server.clone().serve_unix("the API's socket", listener, stopping(&self.shutdown)));
        }
        Ok(())
    }

    fn serve_operator(
        &mut self,
        listener: UnixListener,
        remote: Vec<std::net::TcpListener>,
        console: ConsoleListeners,
    ) -> Result<(), DaemonError> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let server_settings = ServerSettings { listeners: self.bound.listeners(), ..ServerSettings::of(&self.config) };
        let facts = Facts { started: Some(Instant::now()), listeners: self.bound.lines(), server: server_settings };
        let Services { watchers, query_log, .. } = &self.services;
        let watch =
            QueryStreams::new(watchers.clone(), query_log.clone(), self.services.verdicts(), self.shutdown.subscribe())
                .private(self.config.query_log.is_private);
        let links = self.bound.console_url(&self.config.console.hosts).map(ConsoleLinks::new);
        let daemon = DaemonServices {
            watch: Some(watch),
            certificates: Some(self.certificates.clone()),
            doctor: Some(self.doctor.clone()),
            notifier: Some(self.notifier.clone()),
            transfers: Some(self.services.transfers.clone()),
            console: links.clone(),
            delegations: Some(DelegationChecks::new(self.services.dns_client.clone())),
            changes: links.is_some().then(|| self.recent_changes()),
        };
        let router = self.services.operator_router(facts, daemon);
        let router = router.layer(Extension(self.services.propagation.clone()));
        let guarded = admin::guarded(router.clone(), self.services.publisher.clone());
        // `watch` may be silent for long.
        self.serve_http(self.http_server(guarded, ADMIN_CONNECTIONS, ADMIN_IDLE), remote, self.tls.admin.clone())?;
        if let Some(links) = links {
            self.serve_console(router.clone(), links, console)?;
        }
        let (total, per_prefix) = PRIVATE_CONNECTIONS;
        let times = Times { request: Times::default().request + self.config.updates.wait_limit, ..Times::default() };
        let server = Server::new(router.layer(Extension(Actor::OPERATOR)), Connections::new(total, per_prefix));
        let server = server.with_times(times);
        self.http.spawn(server.serve_unix("the operator's socket", listener, stopping(&self.shutdown)));
        Ok(())
    }
}

impl Daemon {
    /// The last changes, which a task fills until the writer ends.
    fn recent_changes(&self) -> RecentChanges {
        let Services { publisher, clock, .. } = &self.services;
        let changes = RecentChanges::new(clock.now());
        tokio::spawn(changes.clone().follow(publisher.subscribe(), clock.clone()));
        changes
    }

    fn serve_console(
        &mut self,
        admin: Router,
        links: ConsoleLinks,
        (listeners, sockets): ConsoleListeners,
    ) -> Result<(), DaemonError> {
        let Services { publisher, credentials, metrics, .. } = &self.services;
        let services = ConsoleServices {
            admin,
            publisher: publisher.clone(),
            credentials: credentials.clone(),
            links,
            metrics: metrics.clone(),
            shutdown: self.shutdown.subscribe(),
            clients: api::Clients::of_settings(&self.config.api),
            proxy_users: self.config.console.proxy_users.clone(),
        };
        let (settings, tls) = (&self.config.console, self.tls.console.clone());
        let router = console::router(services, &self.bound.console, &settings.hosts, tls.is_some());
        // A page that follows events may be silent for long.
        let server = self.http_server(router, CONSOLE_CONNECTIONS, ADMIN_IDLE);
        for listener in sockets {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::UnixListener::from_std(listener)?;
            self.http.spawn(server.clone().serve_unix("the console's socket", listener, stopping(&self.shutdown)));
        }
        self.serve_http(server, listeners, tls)
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
