//! Early retirement: a value that enough networks have fetched is not needed any more, and goes before its lifetime ends.
//!
//! What counts is that a network got the value in an answer, and how many different networks did: one resolver that asks
//! often is one. The networks of this machine do not count, so that no check of the daemon retires what it checks. Time is
//! measured on the monotonic clock. Whatever is uncertain leaves the value in place: it expires anyway, and a client that
//! posts it again brings it back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use crate::config::RetireFetched;
use crate::delegation::nameservers::configured_addresses;
use crate::model::actor::Actor;
use crate::model::name::{Owner, ZoneName};
use crate::model::network::QueryNetwork;
use crate::model::time::{PreciseTimestamp, Timestamp};
use crate::model::txt::{LiveValue, TxtValue};
use crate::net::interfaces;
use crate::publisher::Publisher;
use crate::querylog::QueryLog;
use crate::zone::change::{Action, Change, Event, Subject};

/// The most values that are watched. Those beyond live as long as all others do.
const MAX_WATCHED: usize = 4_096;
/// How long a value is watched after its publication: a CA looks within minutes.
const WATCHED_FOR: Duration = Duration::from_secs(3_600);
/// The pauses between two looks at the query log.
const SHORTEST_ROUND: Duration = Duration::from_millis(250);
const LONGEST_ROUND: Duration = Duration::from_secs(10);

/// Retires values that enough networks have fetched.
pub struct Retirement {
    publisher: Publisher,
    query_log: QueryLog,
    settings: RetireFetched,
    watched: BTreeMap<Owner, HashMap<TxtValue, WatchedValue>>,
    count: usize,
}

/// A value that may retire early.
struct WatchedValue {
    /// The date of the publication, which another publication changes.
    published: Timestamp,
    /// Answers since then count.
    since: PreciseTimestamp,
    begun: Instant,
    /// How many networks have fetched it, and since when it is so many.
    networks: usize,
    grown: Instant,
}

impl WatchedValue {
    fn new(published: Timestamp, since: PreciseTimestamp) -> Self {
        let now = Instant::now();
        Self { published, since, begun: now, networks: 0, grown: now }
    }
}

impl Retirement {
    /// Watches what is published from now on.
    pub fn new(publisher: Publisher, query_log: QueryLog, settings: RetireFetched) -> Self {
        Self { publisher, query_log, settings, watched: BTreeMap::new(), count: 0 }
    }

    /// Retires values for as long as the daemon runs.
    pub async fn keep_retiring(mut self) {
        let mut changes = self.publisher.subscribe();
        let mut rounds = interval((self.settings.grace / 4).clamp(SHORTEST_ROUND, LONGEST_ROUND));
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = changes.next() => match event {
                    Some(Event::Changes(commit)) => commit.iter().for_each(|change| self.apply(change, commit.served)),
                    // What was published meanwhile lives its whole lifetime.
                    Some(Event::Gap) => debug!("too many changes at once to watch for early retirement"),
                    None => return,
                },
                _ = rounds.tick() => self.round().await,
            }
        }
    }

    /// Takes note of a change, which is served since `served`. The task may hear of it much later.
    fn apply(&mut self, change: &Change, served: PreciseTimestamp) {
        let Subject::Owner { owner, state, .. } = &change.subject else { return };
        let live: &[LiveValue] = state.as_ref().map_or(&[], |state| state.values());
        let mut kept = self.watched.remove(owner).unwrap_or_default();
        self.count -= kept.len();
        kept.retain(|txt, _| live.iter().any(|value| value.txt == *txt));
        if change.action == Action::Publish {
            for value in live.iter().filter(|value| value.published == change.at) {
                let is_same = kept.get(&value.txt).is_some_and(|watched| watched.published == value.published);
                let has_room = kept.contains_key(&value.txt) || self.count + kept.len() < MAX_WATCHED;
                if !is_same && has_room {
                    kept.insert(value.txt, WatchedValue::new(value.published, served));
                }
            }
        }
        self.count += kept.len();
        if !kept.is_empty() {
            self.watched.insert(owner.clone(), kept);
        }
    }

    /// Looks at each value once.
    async fn round(&mut self) {
        let mut due = Vec::new();
        let own = OwnNetworks::of(&self.publisher);
        for (owner, values) in &mut self.watched {
            let evidence = self.query_log.owner(owner);
            let own = own.of_zone(&owner.zone);
            for (txt, watched) in values.iter_mut() {
                let text = txt.to_string();
                // The same value may have been there before.
                let of_value = evidence.values.iter().filter(|value| value.value == text);
                let fetched = of_value.flat_map(|value| &value.networks).filter(|found| found.last >= watched.since);
                let networks: BTreeSet<QueryNetwork> = fetched.map(|found| found.network).collect();
                let networks = networks.difference(own).count();
                if networks > watched.networks {
                    (watched.networks, watched.grown) = (networks, Instant::now());
                }
                if watched.networks >= self.settings.networks && watched.grown.elapsed() >= self.settings.grace {
                    due.push((owner.clone(), *txt, watched.published, watched.networks));
                }
            }
            // The query log is read under a lock, and a thousand owners take a while.
            yield_now().await;
        }
        for (owner, txt, published, networks) in due {
            self.retire(owner, txt, published, networks).await;
        }
        self.forget();
    }

    async fn retire(&mut self, owner: Owner, txt: TxtValue, published: Timestamp, networks: usize) {
        match self.publisher.retire_unchanged(Actor::RETIREMENT, owner.clone(), txt, published).await {
            Ok(true) => {
                info!(%owner, value = %txt, networks, "a value is retired early, because enough networks have fetched it")
            }
            Ok(false) => debug!(%owner, "a value was published again just before its early retirement"),
            Err(error) => warn!(%owner, "a value that enough networks have fetched stays until it expires: {error}"),
        }
        self.remove(&owner, &txt);
    }

    fn remove(&mut self, owner: &Owner, txt: &TxtValue) {
        let Some(values) = self.watched.get_mut(owner) else { return };
        self.count -= usize::from(values.remove(txt).is_some());
        if values.is_empty() {
            self.watched.remove(owner);
        }
    }

    /// Stops watching values that nobody looks for any more.
    fn forget(&mut self) {
        self.watched.retain(|_, values| {
            values.retain(|_, watched| watched.begun.elapsed() < WATCHED_FOR);
            !values.is_empty()
        });
        self.count = self.watched.values().map(HashMap::len).sum();
    }
}

/// The networks from which the daemon itself may ask: those of this machine, and those of its nameservers' addresses, to
/// which its own questions lead and from which NAT may send them back. Found once a round.
struct OwnNetworks {
    machine: BTreeSet<QueryNetwork>,
    by_zone: HashMap<ZoneName, BTreeSet<QueryNetwork>>,
}

impl OwnNetworks {
    fn of(publisher: &Publisher) -> Self {
        let machine: BTreeSet<_> = interfaces::all().into_iter().map(|(ip, _)| QueryNetwork::of(ip)).collect();
        let mut by_zone = HashMap::new();
        for zone in publisher.zones().load().iter() {
            let nameservers = configured_addresses(&zone.statics, &zone.nameservers());
            let nameservers = nameservers.into_iter().map(|nameserver| QueryNetwork::of(nameserver.address));
            by_zone.insert(zone.name.clone(), nameservers.chain(machine.iter().copied()).collect());
        }
        Self { machine, by_zone }
    }

    fn of_zone(&self, name: &ZoneName) -> &BTreeSet<QueryNetwork> {
        self.by_zone.get(name).unwrap_or(&self.machine)
    }
}
