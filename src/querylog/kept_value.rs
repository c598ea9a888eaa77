//! What is kept of one value: which networks have got it, when, and how.

use std::time::Duration;

use crate::model::network::QueryNetwork;
use crate::model::serial::Serial;
use crate::model::time::{Moment, PreciseTimestamp, RunningTime};

use super::evidence::{NetworkEvidence, ServedSerials, ValueEvidence};
use super::logged::NewQuery;
use super::message::Transport;
use super::owners::HeldValue;
use super::vantages::{MIN_NETWORKS, WINDOW};

/// Networks that are kept of a value: those that got it first.
const NETWORKS: usize = 64;

/// The transports, in the order of their bits.
const TRANSPORTS: [Transport; 4] = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Quic];

/// A change of an owner.
#[derive(Clone, Copy, Debug)]
pub struct OwnerChange {
    /// When it became visible, or was found.
    pub at: PreciseTimestamp,
    /// The zone's serial with it.
    pub serial: Serial,
    /// Whether this is the commit that made the change. Otherwise the change was found in the zone: the commit had this
    /// serial or an earlier one.
    pub is_commit: bool,
    /// The present, by the daemon's clock.
    pub now: Moment,
}

/// A value, and who has got it.
#[derive(Debug)]
pub struct KeptValue {
    pub number: u16,
    pub text: Box<str>,
    pub published: PreciseTimestamp,
    pub retired: Option<PreciseTimestamp>,
    pub serials: ServedSerials,
    expires: Option<RunningTime>,
    /// Whether several networks may have validated it.
    is_validated: bool,
    /// Whether it waits to be learnt from.
    pub is_waiting: bool,
    /// The networks that got it, as numbers and apart from what is known of each: every query searches them.
    keys: Vec<u64>,
    /// What is known of each, in the same order.
    networks: Vec<KeptNetwork>,
}

#[derive(Debug)]
struct KeptNetwork {
    network: QueryNetwork,
    /// A bit for each transport.
    transports: u8,
    answers: u32,
    first: PreciseTimestamp,
    last: PreciseTimestamp,
}

impl KeptValue {
    /// A value that nobody has got. `since`: the serial with which it was published, if the log knew of its owner then.
    pub fn new(number: u16, text: &str, published: PreciseTimestamp, since: Option<Serial>) -> Self {
        let (keys, networks) = (Vec::new(), Vec::new());
        Self {
            number,
            text: text.into(),
            published,
            retired: None,
            serials: ServedSerials { since, ..ServedSerials::default() },
            expires: None,
            is_validated: false,
            is_waiting: false,
            keys,
            networks,
        }
    }

    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        let keys = self.keys.capacity() * size_of::<u64>();
        self.text.len() + keys + self.networks.capacity() * size_of::<KeptNetwork>()
    }

    /// The value with its expiry.
    pub fn until(mut self, expires: Option<RunningTime>) -> Self {
        self.expires = expires;
        self
    }

    /// Whether the state of the zone with this serial has the value, as far as is known.
    pub fn is_in_state(&self, serial: Serial) -> bool {
        let ServedSerials { since, until, .. } = self.serials;
        since.is_none_or(|since| !since.is_after(serial)) && until.is_none_or(|until| until.is_after(serial))
    }

    /// Takes note that the value is still published.
    pub fn confirm(&mut self, held: &HeldValue<'_>, change: OwnerChange) {
        self.expires = held.expires;
        // A reply may have had it before the commit was heard of.
        self.was_served(change.at, change.serial);
    }

    /// Whether the value had expired before it was published again.
    pub fn is_anew(&self, held: &HeldValue<'_>, now: Moment) -> bool {
        held.expires != self.expires && self.expires.is_some_and(|expires| expires <= now.running)
    }

    /// Takes note that the value is not there any more, from the state with the serial `until` on.
    pub fn retire(&mut self, until: Serial, change: OwnerChange) {
        let expired = self.expires.map(|expires| PreciseTimestamp::from(change.now.date_of(expires)));
        // Upkeep removes a value some time after it has expired, and nobody gets it in between.
        let expired = expired.filter(|expired| *expired <= change.at);
        self.retired = Some(expired.unwrap_or(change.at));
        self.serials.until = Some(until);
        self.serials.is_expired = expired.is_some();
    }

    /// Takes note that the value was there at a moment.
    pub fn was_served(&mut self, at: PreciseTimestamp, serial: Serial) {
        self.published = self.published.min(at);
        if self.serials.since.is_some_and(|since| since.is_after(serial)) {
            self.serials.since = Some(serial);
        }
    }

    /// Notes that a network got the value. Returns whether it is another one than before.
    pub fn got(&mut self, query: &NewQuery<'_>) -> bool {
        let network = QueryNetwork::of(query.traits.source);
        let bit = TRANSPORTS.iter().position(|transport| *transport == query.traits.transport);
        let transports = bit.map_or(0, |bit| 1 << bit);
        let at = query.at;
        self.was_served(at, query.serial);
        let key = key_of(network);
        let known = self.keys.iter().position(|known| *known == key);
        if let Some(known) = known.and_then(|known| self.networks.get_mut(known)) {
            known.answers = known.answers.saturating_add(1);
            known.transports |= transports;
            (known.first, known.last) = (known.first.min(at), known.last.max(at));
            return false;
        }
        if self.networks.len() >= NETWORKS {
            return false;
        }
        // A list grows to four places at once, and one network alone asks for most names.
        if self.keys.capacity() == 0 {
            self.keys.reserve_exact(1);
            self.networks.reserve_exact(1);
        }
        self.keys.push(key);
        self.networks.push(KeptNetwork { network, transports, answers: 1, first: at, last: at });
        let near = self.networks.iter().rev().filter(|known| distance(known.first, at) <= WINDOW);
        self.is_validated |= near.take(MIN_NETWORKS).count() >= MIN_NETWORKS;
        true
    }

    /// Whether several networks may have validated the value, and it does not wait to be learnt from yet. Those that got it
    /// tell for sure, and take longer to compare.
    pub fn is_to_be_learnt(&self) -> bool {
        self.is_validated && !self.is_waiting
    }

    /// The evidence as it is kept.
    pub fn evidence(&self) -> ValueEvidence {
        let mut networks: Vec<NetworkEvidence> = self.networks.iter().map(KeptNetwork::evidence).collect();
        networks.sort_by_key(|network| network.first);
        ValueEvidence {
            value: (*self.text).to_owned(),
            published: self.published,
            retired: self.retired,
            serials: self.serials,
            networks,
        }
    }
}

impl KeptNetwork {
    fn evidence(&self) -> NetworkEvidence {
        let is_set = |(bit, _): &(usize, Transport)| self.transports >> bit & 1 == 1;
        NetworkEvidence {
            network: self.network,
            first: self.first,
            last: self.last,
            transports: TRANSPORTS.into_iter().enumerate().filter(is_set).map(|(_, transport)| transport).collect(),
            answers: self.answers.into(),
        }
    }
}

/// A number of a network's own.
fn key_of(network: QueryNetwork) -> u64 {
    match network {
        QueryNetwork::V4([a, b, c]) => u64::from_be_bytes([4, 0, 0, 0, 0, a, b, c]),
        QueryNetwork::V6([a, b, c, d, e, f]) => u64::from_be_bytes([6, 0, a, b, c, d, e, f]),
    }
}

fn distance(one: PreciseTimestamp, other: PreciseTimestamp) -> Duration {
    one.since(other).max(other.since(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_takes_the_memory_of_one_and_more_are_counted_with_their_empty_places() {
        let mut value = KeptValue::new(0, "v", PreciseTimestamp::default(), None);
        let mut heap = value.heap();
        for network in 1..=NETWORKS as u8 + 1 {
            value.got(&crate::querylog::logged::tests::query_from([192, 0, network, 1].into()));
            assert!(value.heap() >= heap);
            heap = value.heap();
            let places = (value.keys.capacity(), value.networks.capacity());
            assert!(network > 1 || places == (1, 1), "{places:?}");
            assert_eq!(heap, 1 + places.0 * size_of::<u64>() + places.1 * size_of::<KeptNetwork>());
        }
    }

    #[test]
    fn networks_of_both_families_have_different_keys() {
        let networks = [
            QueryNetwork::V4([1, 2, 3]),
            QueryNetwork::V4([3, 2, 1]),
            QueryNetwork::V6([0, 0, 0, 1, 2, 3]),
            QueryNetwork::V6([1, 2, 3, 0, 0, 0]),
            QueryNetwork::V6([4, 0, 0, 1, 2, 3]),
        ];
        let keys: std::collections::BTreeSet<u64> = networks.into_iter().map(key_of).collect();
        assert_eq!(keys.len(), networks.len());
    }
}
