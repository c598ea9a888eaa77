//! Waiting until every nameserver of a delegation serves what has been published.
//!
//! A CA's resolvers ask any address of any nameserver, so a value is of use once all of them serve it. The delegation
//! comes from the parent zone and is remembered for minutes; the addresses are asked side by side, again and again. A
//! waiter holds neither a lock nor a thread, and ends when it is dropped.

pub mod evidence;
mod known;
mod look;
mod waits;
pub mod wanted;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::metrics::Metrics;
use crate::model::account::Username;
use crate::model::time::Clock;
use crate::net::dns_client::DnsClient;
use crate::zone::{Zone, Zones, zone_named};

use super::nameservers::Delegation;

use evidence::{AddressEvidence, Evidence};
use known::KnownDelegations;
use look::{LastAnswer, Looker};
use waits::Waits;
use wanted::Wanted;

pub use known::KnownDelegation;
pub use waits::{TooManyWaits, WaitPermit};

/// The most questions of all waiters together that are under way.
const MAX_QUESTIONS: usize = 256;
/// The pause before the delegation is looked up again, if it is unknown or incomplete.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(1);

/// Waits for the nameservers. Cheap to clone; all clones share their limits and what they have found.
#[derive(Debug, Clone)]
pub struct Propagation {
    looker: Looker,
    lookup: DnsClient,
    known: KnownDelegations,
    waits: Waits,
    limit: Duration,
    metrics: Arc<Metrics>,
    stopping: Arc<watch::Sender<bool>>,
}

impl Propagation {
    /// Waits for at most `limit`, for what is published in `zones`.
    pub fn new(client: &DnsClient, zones: Zones, clock: Clock, limit: Duration, metrics: Arc<Metrics>) -> Self {
        // Dead nameservers must not hold up the checks that share the other limit.
        let looker = Looker { client: client.with_own_limit(MAX_QUESTIONS), zones, clock, listeners: Arc::default() };
        let (known, waits, stopping) = (KnownDelegations::default(), Waits::default(), Arc::default());
        Self { looker, lookup: client.clone(), known, waits, limit, metrics, stopping }
    }

    /// Tells where this process listens for DNS. Before that, no address counts as its own.
    pub fn listens_on(&self, listeners: &[SocketAddr]) {
        *self.looker.listeners.lock().unwrap_or_else(PoisonError::into_inner) = listeners.to_vec();
    }

    /// Ends all waits, because the daemon stops.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// The longest wait.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// How many requests wait now.
    pub fn waiting(&self) -> usize {
        self.waits.count()
    }

    /// The right of an account, or of the operator, to wait. To be had before anything is published, so that a refusal
    /// leaves nothing behind.
    pub fn permit(&self, account: Option<Username>) -> Result<WaitPermit, TooManyWaits> {
        self.waits.permit(account).inspect_err(|_| self.metrics.waits_refused.one())
    }

    /// Waits until every address of every nameserver serves what is wanted, for `limit` at most, and returns what each of
    /// them serves. A zone that is not served here any more has no addresses.
    pub async fn wait(&self, _permit: &WaitPermit, wanted: Wanted, limit: Duration) -> Evidence {
        let started = Instant::now();
        let deadline = started + limit.min(self.limit);
        let wanted = Arc::new(wanted);
        loop {
            let zone = zone_named(&self.looker.zones.load(), &wanted.owner.zone).cloned();
            let mut evidence = match zone {
                Some(zone) => self.look_once(&zone, &wanted, deadline).await,
                None => Evidence {
                    notes: vec![format!("{} is not a zone any more", wanted.owner.zone)],
                    ..Evidence::default()
                },
            };
            evidence.waited = started.elapsed();
            if evidence.is_served() {
                self.metrics.waits_served.one();
                return evidence;
            }
            let again = Instant::now() + LOOK_UP_AGAIN;
            if again > deadline || *self.stopping.borrow() {
                self.metrics.waits_in_vain.one();
                return evidence;
            }
            self.sleep_until(again).await;
        }
    }

    /// The delegation of a zone, from its parent now.
    pub async fn delegation(&self, zone: &Zone) -> Arc<KnownDelegation> {
        self.known.walk(zone, &self.lookup).await
    }

    /// Waits for the nameservers of this delegation.
    pub async fn wait_for(&self, delegation: &Delegation, wanted: Wanted) -> Evidence {
        let started = Instant::now();
        let addresses = self.look(delegation, &Arc::new(wanted), started + self.limit).await;
        Evidence { addresses, notes: Vec::new(), waited: started.elapsed() }
    }

    /// Finds the delegation, and looks at its addresses until they serve what is wanted or the deadline is there.
    async fn look_once(&self, zone: &Zone, wanted: &Arc<Wanted>, deadline: Instant) -> Evidence {
        let Ok(known) = timeout_at(deadline, self.known.of(zone, &self.lookup)).await else {
            let notes = vec![format!("the nameservers of {} could not be looked up in time", zone.name)];
            return Evidence { notes, ..Evidence::default() };
        };
        let notes = known.findings.iter().map(ToString::to_string).collect();
        let addresses = match &known.delegation {
            Some(delegation) => self.look(delegation, wanted, deadline).await,
            None => Vec::new(),
        };
        Evidence { addresses, notes, waited: Duration::ZERO }
    }

    async fn look(&self, delegation: &Delegation, wanted: &Arc<Wanted>, deadline: Instant) -> Vec<AddressEvidence> {
        let mut looks = JoinSet::new();
        let mut answers: Vec<LastAnswer> = Vec::new();
        for server in &delegation.servers {
            let answer = AddressEvidence::of(server.name.clone(), Some(server.address), None);
            let answer = Arc::new(Mutex::new(answer));
            answers.push(answer.clone());
            looks.spawn(self.looker.clone().keep_looking(server.clone(), wanted.clone(), answer));
        }
        tokio::select! {
            () = self.sleep_until(deadline) => {}
            () = async { while looks.join_next().await.is_some() {} } => {}
        }
        let last = |answer: &LastAnswer| answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let unresolved = delegation.unresolved.iter().map(|(name, problem)| {
            let answer = AddressEvidence::of(name.clone(), None, None);
            AddressEvidence { answer: problem.clone(), ..answer }
        });
        answers.iter().map(last).chain(unresolved).collect()
    }

    /// Sleeps until then, or until the daemon stops.
    async fn sleep_until(&self, then: Instant) {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            () = sleep_until(then) => {}
            // The sender lives as long as this handle.
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}

#[cfg(test)]
mod tests;
