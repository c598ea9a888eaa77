//! The daemon: binds and starts everything, reloads the configuration, and drains at the end.

mod alarm;
pub mod check;
mod clock;
mod error;
mod examinations;
mod first_start;
mod listener_tls;
mod matters;
mod orphans;
mod outstanding;
mod rekey;
mod retirement;
mod selfquery;
mod services;
mod serving;
mod sockets;
mod watchdog;

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tracing::{error, info, warn};

use crate::acme::Authority;
use crate::certificates::Certificates;
use crate::certificates::api_certificate::ApiCertificateTask;
use crate::certificates::services::IssueServices;
use crate::config::{Certificate, Config};
use crate::crypto::cookie::{CookieSecret, Cookies};
use crate::dns::ResponsePolicy;
use crate::dns::identity::ServerIdentity;
use crate::dns::limits::ReplyLimits;
use crate::dns::listener::StreamListener;
use crate::dns::udp::UdpListener;
use crate::doctor::examination::RunningDaemon;
use crate::doctor::service::Doctor;
use crate::file::folder_of;
use crate::model::actor::Actor;
use crate::model::secret::RandomError;
use crate::net::dnstap::TapWriter;
use crate::net::inherited::Inherited;
use crate::net::tls::Tls;
use crate::notify::{Deliveries, Notifier};
use crate::replication::{NotifyServices, SecondaryNotifier};

pub use error::DaemonError;
pub use first_start::record_database;
pub use services::Services;
pub use sockets::Bound;
pub use watchdog::Watchdog;

use alarm::Alarms;
use listener_tls::ListenerTls;
use matters::Watched;
use rekey::{KeyFiles, KeyProblems};
use retirement::Retirement;
use sockets::{SocketFile, Sockets};

/// How long DNS over TCP, TLS and QUIC may take to finish open queries at the shutdown.
const GRACE: Duration = Duration::from_secs(10);
/// How long notifications that are being delivered may take at the shutdown. A receiver that answers takes milliseconds.
const LAST_DELIVERIES: Duration = Duration::from_secs(5);
/// How long a random secret for DNS cookies is in use.
const SECRET_LIFETIME: Duration = Duration::from_secs(26 * 3_600);

/// A running daemon. [`Daemon::stop`] ends it.
#[derive(Debug)]
pub struct Daemon {
    config: Config,
    bound: Bound,
    socket_files: Vec<SocketFile>,
    services: Services,
    policy: ResponsePolicy,
    certificates: Certificates,
    dnstap: Option<TapWriter>,
    doctor: Doctor,
    notifier: Notifier,
    tls: ListenerTls,
    shutdown: watch::Sender<bool>,
    udp: Vec<UdpListener>,
    streams: Vec<StreamListener>,
    http: JoinSet<()>,
    upkeep: Vec<AbortHandle>,
    deliveries: Option<Deliveries>,
}

impl Daemon {
    /// Binds every socket, opens the store and loads the zones, and only then begins to serve. `init`: with a new database,
    /// whatever was there before.
    pub async fn start(config: Config, init: bool) -> Result<Self, DaemonError> {
        let tls = ListenerTls::load(&config)?;
        // Before the store, so that a second daemon reports the used port instead of waiting for a lock.
        let mut sockets = Sockets::bind(&config, &mut Inherited::from_env())?;
        let key_files = KeyFiles::of(&config.zones);
        let services = if init { Services::init(&config)? } else { Services::open(&config)? };
        let notifier = notifier(&config, &services);
        let (certificates, api_task) = start_certificates(&config, &services, tls.api.as_ref()).await;
        let start_tap = |settings| TapWriter::start(settings, services.metrics.clone());
        let dnstap = config.dnstap.clone().map(start_tap).transpose()?;
        let bound = sockets.bound(&config)?;
        let mut daemon = Self {
            policy: policy(&config)?,
            doctor: doctor(&config, &bound, &services, &certificates),
            bound,
            socket_files: std::mem::take(&mut sockets.files),
            config,
            services,
            certificates,
            dnstap,
            notifier,
            tls,
            shutdown: watch::Sender::new(false),
            udp: Vec::new(),
            streams: Vec::new(),
            http: JoinSet::new(),
            upkeep: Vec::new(),
            deliveries: None,
        };
        daemon.services.propagation.listens_on(&daemon.bound.dns);
        daemon.serve(sockets)?;
        daemon.keep_up(key_files);
        daemon.upkeep.extend(api_task.map(|task| tokio::spawn(task.run()).abort_handle()));
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
        self.services.transfers.reload(&config);
        // Nothing below can fail: after a rejected configuration the former cookies stay valid.
        if self.config.cookie_secrets.is_some()
            && let Some(secrets) = config.cookie_secrets
        {
            self.policy.cookies.replace(secrets);
        }
        // An unusable certificate must not prevent the reload of the zones, or the other way round.
        for tls in self.tls.all() {
            if let Err(error) = tls.reload() {
                error!("the certificate stays as it was: {error}");
            }
        }
        self.certificates.reload(&config.certificates);
        if let Some(writer) = &self.dnstap {
            writer.reopen();
        }
        self.doctor.reload(&config).await;
        for key in self.config.needing_restart(&config) {
            warn!("`{key}` has changed; restart txtgate to apply it");
        }
        Ok(())
    }

    /// Stops accepting connections, finishes open requests and writes pending changes.
    pub async fn stop(mut self) {
        self.upkeep.iter().for_each(AbortHandle::abort);
        self.certificates.stop();
        self.services.propagation.stop();
        // An error means that no task is left to receive it.
        _ = self.shutdown.send(true);
        let requests = async { while self.http.join_next().await.is_some() {} };
        let deliveries = async {
            if let Some(deliveries) = self.deliveries {
                deliveries.finish(LAST_DELIVERIES).await;
            }
        };
        tokio::join!(requests, deliveries);
        let streams = async {
            for listener in self.streams {
                listener.finished().await;
            }
        };
        if tokio::time::timeout(GRACE, streams).await.is_err() {
            warn!("some DNS connections did not end in time and were closed");
        }
        drop(self.socket_files);
        let udp = self.udp;
        let services = self.services;
        let dnstap = self.dnstap;
        let rest = tokio::task::spawn_blocking(move || {
            udp.into_iter().for_each(UdpListener::stop);
            services.close();
            if let Some(writer) = dnstap {
                writer.stop();
            }
        });
        if rest.await.is_err() {
            warn!("the store was not closed cleanly; no acknowledged change is lost");
        }
    }

    /// Starts to look for what needs attention, and to deliver notifications of it.
    fn notify_of_matters(&mut self, keys: KeyProblems) {
        self.deliveries = Some(self.notifier.start());
        // As the doctor: a delegation does not lead to the loopback.
        let is_local = self.config.dns.listen.iter().all(|address| address.ip().is_loopback());
        if !is_local {
            let first = self.notifier.settings().grace / 2;
            let confirming = examinations::keep_confirming(self.doctor.clone(), first);
            self.upkeep.push(tokio::spawn(confirming).abort_handle());
        }
        let watched = Watched {
            publisher: self.services.publisher.clone(),
            certificates: self.certificates.clone(),
            files: self.tls.files(&self.config),
            keys,
            examinations: (!is_local).then(|| self.doctor.reports()),
        };
        let reported = self.notifier.view().matters;
        let alarms = Alarms::new(self.services.query_log.clone(), self.notifier.settings(), reported);
        let watching = matters::keep_watching(self.notifier.clone(), watched, alarms);
        self.upkeep.push(tokio::spawn(watching).abort_handle());
    }

    fn keep_up(&mut self, key_files: KeyFiles) {
        let publisher = self.services.publisher.clone();
        self.services.query_log.keep_beside(&self.config.database);
        let query_log = self.services.query_log.clone();
        self.upkeep.push(tokio::spawn(query_log.clone().run(publisher.subscribe())).abort_handle());
        self.upkeep.push(tokio::spawn(query_log.keep_vantages()).abort_handle());
        if let Some(settings) = self.config.retire_fetched {
            let retirement = Retirement::new(publisher.clone(), self.services.query_log.clone(), settings);
            self.upkeep.push(tokio::spawn(retirement.keep_retiring()).abort_handle());
        }
        let notify = SecondaryNotifier::new(self.notify_services());
        self.upkeep.push(tokio::spawn(notify.keep_notifying(publisher.subscribe())).abort_handle());
        let keys = KeyProblems::default();
        self.upkeep.push(tokio::spawn(key_files.keep_fresh(publisher.clone(), keys.clone())).abort_handle());
        self.notify_of_matters(keys);
        self.upkeep.push(tokio::spawn(clock::keep_checking(publisher.clone())).abort_handle());
        self.upkeep.push(tokio::spawn(orphans::keep_reaping()).abort_handle());
        let purge_unused = self.config.api.purge_unused;
        self.upkeep.push(tokio::spawn(publisher.keep_up(purge_unused)).abort_handle());
        if self.config.cookie_secrets.is_none() {
            self.upkeep.push(tokio::spawn(change_secrets(self.policy.cookies.clone())).abort_handle());
        }
        let fresh: Vec<_> = self.tls.all().map(|tls| tokio::spawn(tls.clone().keep_fresh()).abort_handle()).collect();
        self.upkeep.extend(fresh);
        if let Some(&address) = self.bound.dns.first() {
            let asking = selfquery::keep_asking(address, self.services.zones.clone(), self.services.dns_client.clone());
            self.upkeep.push(tokio::spawn(asking).abort_handle());
        }
        self.upkeep.push(tokio::spawn(self.doctor.clone().keep_examining()).abort_handle());
        info!(zones = self.services.zones.load().len(), "serving");
    }
}

impl Daemon {
    /// What it takes to tell secondaries of changes.
    fn notify_services(&self) -> NotifyServices {
        let Services { transfers, clock, dns_client, metrics, .. } = &self.services;
        NotifyServices {
            transfers: transfers.clone(),
            clock: clock.clone(),
            client: dns_client.clone(),
            metrics: metrics.clone(),
            listeners: self.bound.dns.clone().into(),
        }
    }
}

/// What sends notifications, about the first zone's server.
fn notifier(config: &Config, services: &Services) -> Notifier {
    let server = config.zones.first().map(|zone| zone.name.to_string()).unwrap_or_default();
    Notifier::open(&config.notify, server, &config.database, services.clock.clone(), services.metrics.clone())
}

/// Starts the managed certificates, and prepares the API's if the configuration leaves it to the daemon.
async fn start_certificates(
    config: &Config,
    services: &Services,
    tls: Option<&Tls>,
) -> (Certificates, Option<ApiCertificateTask>) {
    let issuing = IssueServices {
        authority: Authority::new(config.acme.clone()),
        publisher: services.publisher.clone(),
        dns: services.dns_client.clone(),
        propagation: services.propagation.clone(),
        query_log: services.query_log.clone(),
        metrics: services.metrics.clone(),
    };
    let api = match (config.api.tls.clone(), tls.cloned()) {
        (Some(Certificate::Own(settings)), Some(tls)) => Some((tls, settings)),
        _ => None,
    };
    Certificates::start(issuing, api, &config.certificates, folder_of(&config.database)).await
}

fn doctor(config: &Config, bound: &Bound, services: &Services, certificates: &Certificates) -> Doctor {
    let query_log = services.query_log.clone();
    let (dns, api) = (bound.dns.clone(), bound.api.clone());
    let running = RunningDaemon { started: Instant::now(), dns, api, query_log };
    let authority = certificates.authority().clone();
    Doctor::new(config.clone(), authority, Ok(services.publisher.clone()), Some(running))
}

fn policy(config: &Config) -> Result<ResponsePolicy, RandomError> {
    let plain = ResponsePolicy::plain()?;
    let identity = ServerIdentity { nsid: config.dns.nsid.clone(), version: config.dns.version.clone() };
    Ok(ResponsePolicy {
        identity: identity.into(),
        cookies: config.cookie_secrets.map_or(plain.cookies, Cookies::new),
        limits: ReplyLimits::new(config.dns.answers_per_second),
        idle_timeout: config.dns.idle_timeout,
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
