//! Keeps one address of a secondary informed about one zone: a NOTIFY at each new serial, and a look at the serial that it
//! has then.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::config::TransferKey;
use crate::metrics::Metrics;
use crate::metrics::transfers::NotifyResult;
use crate::model::serial::Serial;
use crate::model::time::Clock;
use crate::net::dns_client::{DnsClient, Protocol};

use super::admission::Transfers;
use super::notify_message::{NotifyError, notify};
use super::secondary_state::NotifyTarget;

/// The least time between two messages. Serials that come faster share one.
const LEAST_PAUSE: Duration = Duration::from_millis(50);
/// The time until the second attempt. Each further one waits twice as long, up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// Attempts until the daemon waits for the next serial.
const MAX_ATTEMPTS: u32 = 10;
/// The time until the first look at the serial after a NOTIFY. While the secondary is behind, each further look waits
/// twice as long, up to the time between looks without a reason.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_LOOK: Duration = Duration::from_secs(60);

/// What a task needs to keep a target informed.
#[derive(Clone, Debug)]
pub struct NotifyServices {
    pub transfers: Transfers,
    pub clock: Clock,
    pub client: DnsClient,
    pub metrics: Arc<Metrics>,
    /// The addresses that DNS listens on.
    pub listeners: Arc<[SocketAddr]>,
}

impl NotifyServices {
    /// The address from which a secondary gets its messages: one that it knows as that of its primary. The kernel chooses
    /// where DNS listens on all addresses.
    fn source_for(&self, server: SocketAddr) -> IpAddr {
        let is_like = |ip: &IpAddr| ip.is_ipv4() == server.is_ipv4() && ip.is_loopback() == server.ip().is_loopback();
        let own = self.listeners.iter().map(SocketAddr::ip).find(|ip| is_like(ip) && !ip.is_unspecified());
        let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        own.unwrap_or(any[usize::from(server.is_ipv6())])
    }
}

/// The task of one target.
#[derive(Debug)]
pub struct TargetTask {
    target: NotifyTarget,
    key: Option<TransferKey>,
    services: NotifyServices,
    serials: watch::Receiver<Serial>,
    /// Whether it is told how the zone is there. Servers that follow a catalog zone answer no questions about it, and others
    /// need none of its messages.
    is_reported: bool,
    /// When the next NOTIFY is due; `None`: none is.
    notify_at: Option<Instant>,
    sent_at: Option<Instant>,
    /// Attempts without a reply.
    attempts: u32,
    look_at: Instant,
    /// Looks that found an old serial.
    looks: u32,
}

impl TargetTask {
    /// A task that begins with a NOTIFY for the present serial.
    pub fn new(
        target: NotifyTarget,
        key: Option<TransferKey>,
        services: NotifyServices,
        serials: watch::Receiver<Serial>,
        is_reported: bool,
    ) -> Self {
        let now = Instant::now();
        let notify_at = Some(now);
        Self {
            target,
            key,
            services,
            serials,
            is_reported,
            notify_at,
            sent_at: None,
            attempts: 0,
            look_at: now + FIRST_LOOK,
            looks: 0,
        }
    }

    /// Runs for as long as there are serials.
    pub async fn run(mut self) {
        loop {
            let notify_at = self.notify_at;
            tokio::select! {
                changed = self.serials.changed() => match changed {
                    Ok(()) => self.schedule(),
                    Err(_) => return,
                },
                () = until(notify_at) => self.notify().await,
                () = sleep_until(self.look_at), if self.is_reported => self.look().await,
            }
        }
    }

    /// Makes a NOTIFY due, as soon as the one before it allows.
    fn schedule(&mut self) {
        let pause =
            if self.attempts == 0 { LEAST_PAUSE } else { doubled(FIRST_RETRY, self.attempts - 1, LONGEST_RETRY) };
        let earliest = self.sent_at.map_or_else(Instant::now, |sent| sent + pause);
        self.notify_at = self.notify_at.or(Some(earliest));
    }

    async fn notify(&mut self) {
        self.notify_at = None;
        self.sent_at = Some(Instant::now());
        let serial = *self.serials.borrow_and_update();
        let Some(zone) = self.services.transfers.zone(self.target.zone.apex().as_ref()) else { return };
        let source = self.services.source_for(self.target.address);
        let key = self.key.as_ref();
        let sent = notify(source, self.target.address, &zone, serial, key, &self.services.clock).await;
        self.services.metrics.transfers.notified(match &sent {
            Ok(()) => NotifyResult::Acknowledged,
            Err(NotifyError::Refused(_)) => NotifyResult::Refused,
            Err(_) => NotifyResult::Unanswered,
        });
        match sent {
            Ok(()) => self.acknowledged(serial),
            Err(error) => self.failed(&error),
        }
    }

    fn acknowledged(&mut self, serial: Serial) {
        let NotifyTarget { secondary, address, zone } = &self.target;
        if self.attempts >= MAX_ATTEMPTS && self.is_reported {
            info!(secondary, %address, %zone, "the secondary acknowledges NOTIFY again");
        }
        if self.is_reported {
            self.services.transfers.states().notified(&self.target, Ok(serial));
        }
        self.attempts = 0;
        self.looks = 0;
        self.look_at = self.look_at.min(Instant::now() + FIRST_LOOK);
    }

    fn failed(&mut self, error: &NotifyError) {
        let NotifyTarget { secondary, address, zone } = &self.target;
        self.attempts = self.attempts.saturating_add(1);
        debug!(secondary, %address, %zone, attempts = self.attempts, "a NOTIFY failed: {error}");
        if self.is_reported {
            self.services.transfers.states().notified(&self.target, Err(error.to_string()));
        }
        if self.attempts < MAX_ATTEMPTS {
            self.schedule();
        } else if self.attempts == MAX_ATTEMPTS && self.is_reported {
            warn!(secondary, %address, %zone, "the secondary acknowledges no NOTIFY: {error}");
        }
    }

    /// Asks which serial the secondary has.
    async fn look(&mut self) {
        let NotifyTarget { address, zone, .. } = &self.target;
        let asked = self.services.client.ask(*address, Protocol::UdpThenTcp, zone.apex(), RecordType::SOA).await;
        let found = match asked {
            Ok(reply) => reply.serial().map(Serial).ok_or_else(|| {
                format!("it answers for the zone's SOA with {} and no serial; is the zone loaded there?", reply.rcode())
            }),
            Err(error) => Err(format!("its serial is not known: {error}")),
        };
        let present = *self.serials.borrow();
        let is_current = found.as_ref().is_ok_and(|serial| *serial == present);
        // A later serial than ours, as after a restored backup, is as far away as one can be.
        let lag = found.as_ref().ok().map(|serial| u64::from(present.0.wrapping_sub(serial.0)));
        self.services.metrics.transfers.lag(self.target.labels(), lag);
        self.services.transfers.states().looked(&self.target, found);
        let delay = if is_current { LONGEST_LOOK } else { doubled(FIRST_LOOK, self.looks, LONGEST_LOOK) };
        self.looks = if is_current { 0 } else { self.looks.saturating_add(1) };
        self.look_at = Instant::now() + delay;
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// A time, doubled so often, up to the longest.
fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(longest)
}
