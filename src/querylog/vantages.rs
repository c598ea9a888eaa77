//! From which networks a CA validates: learnt from validations that went well, never assumed.
//!
//! A value that several networks fetch within seconds has been validated. The networks of the last such validations, of
//! any account, are what a later one is compared with. A file keeps them over restarts (`VantageFile`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::name::Owner;
use crate::model::network::QueryNetwork;
use crate::model::time::PreciseTimestamp;

use super::evidence::{NetworkEvidence, ValueEvidence};

/// Networks that make a validation. A CA validates from five or more; one person with two resolvers is not a CA.
pub const MIN_NETWORKS: usize = 3;
/// Networks that two validations of one CA share at least.
const MIN_SHARED: usize = 2;
/// Networks of one validation that are remembered.
pub const MAX_NETWORKS: usize = 64;
/// Validations that are remembered. With fewer, a CA that many accounts use would displace all others; with more, a
/// vantage point that a CA has given up would be missed for longer.
pub const MAX_VALIDATIONS: usize = 32;
/// Validations of one owner that are remembered, so that a busy name does not displace all others.
const MAX_OF_OWNER: usize = 4;
/// Owners whose validations wait for [`Vantages::take_validated`].
const MAX_VALIDATED: usize = 1_024;
/// The time within which all vantage points of a CA ask.
pub const WINDOW: Duration = Duration::from_secs(10);

/// Values of one owner that several networks fetched within seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// Where the values were.
    pub owner: Owner,
    /// The value from which this was learnt last; empty where an earlier run has learnt it.
    pub value: String,
    /// When the first of these networks got one.
    pub at: PreciseTimestamp,
    /// The networks that got one.
    pub networks: BTreeSet<QueryNetwork>,
}

impl Validation {
    /// The validation of a value; `None` if too few networks fetched it within seconds.
    pub fn of(owner: &Owner, evidence: &ValueEvidence) -> Option<Self> {
        let within = most_within(evidence);
        let at = within.first()?.first;
        let networks: BTreeSet<_> = within.iter().map(|network| network.network).take(MAX_NETWORKS).collect();
        let is_one = networks.len() >= MIN_NETWORKS;
        is_one.then(|| Self { owner: owner.clone(), value: evidence.value.clone(), at, networks })
    }

    /// Whether both are of one owner and within the time in which all vantage points of a CA ask. A reply has all values of
    /// its name, so a validation with sixty values is one, and not sixty.
    fn is_one_with(&self, other: &Self) -> bool {
        self.owner == other.owner && self.at.apart(other.at) <= WINDOW
    }

    fn absorb(&mut self, other: Self) {
        self.at = self.at.min(other.at);
        let room = MAX_NETWORKS.saturating_sub(self.networks.len());
        let new: Vec<_> = other.networks.into_iter().filter(|network| !self.networks.contains(network)).collect();
        self.networks.extend(new.into_iter().take(room));
    }
}

/// The last validations that went well; a cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Vantages(Arc<Mutex<Learnt>>);

#[derive(Debug, Default)]
struct Learnt {
    /// Oldest first.
    validations: VecDeque<Validation>,
    /// Whether they have changed since they were last taken for the file.
    is_changed: bool,
    /// What was validated since it was last asked for.
    validated: BTreeMap<Owner, Validation>,
}

impl Vantages {
    /// Learns from the networks that have got a value so far. Call it when another network gets a value. What was learnt
    /// of the same value before is replaced, and other values of the owner at the same time are the same validation.
    pub fn learn(&self, owner: &Owner, evidence: &ValueEvidence) {
        // The resolvers that the daemon compares are not a CA's.
        if owner.is_probe() {
            return;
        }
        let Some(new) = Validation::of(owner, evidence) else { return };
        let mut merged = new.clone();
        let mut learnt = self.lock();
        learnt.validations.retain(|earlier| {
            let is_one = earlier.is_one_with(&new);
            if is_one {
                merged.absorb(earlier.clone());
            }
            !is_one && (earlier.value != new.value || earlier.owner != *owner)
        });
        learnt.push(merged.clone());
        learnt.is_changed = true;
        if learnt.validated.len() < MAX_VALIDATED || learnt.validated.contains_key(owner) {
            learnt.validated.insert(owner.clone(), merged);
        }
    }

    /// Adds what an earlier run has learnt, oldest first. Call it before anything is learnt.
    pub fn restore(&self, earlier: Vec<Validation>) {
        let mut learnt = self.lock();
        earlier.into_iter().for_each(|validation| learnt.push(validation));
    }

    /// The remembered validations, oldest first, if they have changed since the last call.
    pub fn take_changed(&self) -> Option<Vec<Validation>> {
        let mut learnt = self.lock();
        std::mem::take(&mut learnt.is_changed).then(|| learnt.validations.iter().cloned().collect())
    }

    /// Has the next [`take_changed`](Self::take_changed) return them again: the file could not be written.
    pub fn mark_changed(&self) {
        self.lock().is_changed = true;
    }

    /// The last validation of each owner since the last call, of at most 1,024 owners.
    pub fn take_validated(&self) -> Vec<Validation> {
        std::mem::take(&mut self.lock().validated).into_values().collect()
    }

    /// All networks of the remembered validations.
    pub fn networks(&self) -> BTreeSet<QueryNetwork> {
        self.lock().validations.iter().flat_map(|validation| &validation.networks).copied().collect()
    }

    /// Whether a network has taken part in one of the remembered validations.
    pub fn knows(&self, network: QueryNetwork) -> bool {
        self.lock().validations.iter().any(|validation| validation.networks.contains(&network))
    }

    /// The last validation.
    pub fn last(&self) -> Option<Validation> {
        self.lock().validations.back().cloned()
    }

    /// The validation with which the networks that have asked for a value compare: of those that share two networks or
    /// more with `asked`, and at least half of `asked`, the one from the most networks, and of equals the last. CAs differ
    /// in their vantage points, so a validation that shares few is another CA's. One shared network may be that of the
    /// client, which looks whether its value is there before it tells the CA.
    ///
    /// The value's own validation may be the result, which has no network beside `asked`.
    pub fn comparable(&self, asked: &BTreeSet<QueryNetwork>) -> Option<Validation> {
        let learnt = self.lock();
        let alike = learnt.validations.iter().filter(|earlier| is_alike(&earlier.networks, asked));
        alike.max_by_key(|earlier| earlier.networks.len()).cloned()
    }

    // A panic while the list was locked leaves it whole.
    fn lock(&self) -> MutexGuard<'_, Learnt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Learnt {
    /// Adds the newest, and makes room for it.
    fn push(&mut self, validation: Validation) {
        let of_owner = self.validations.iter().filter(|earlier| earlier.owner == validation.owner).count();
        let surplus = match of_owner >= MAX_OF_OWNER {
            true => self.validations.iter().position(|earlier| earlier.owner == validation.owner),
            false => (self.validations.len() >= MAX_VALIDATIONS).then_some(0),
        };
        if let Some(surplus) = surplus {
            self.validations.remove(surplus);
        }
        self.validations.push_back(validation);
    }
}

/// The networks of the window in which the most first got the value; of equal windows, the earliest. Somebody may have asked
/// long before the CA.
fn most_within(evidence: &ValueEvidence) -> Vec<&NetworkEvidence> {
    let mut networks: Vec<&NetworkEvidence> = evidence.networks.iter().collect();
    networks.sort_by_key(|network| network.first);
    let window = |from: usize| {
        let end = networks[from].first.plus(WINDOW);
        &networks[from..networks.partition_point(|network| network.first <= end)]
    };
    (0..networks.len()).rev().map(window).max_by_key(|window| window.len()).unwrap_or_default().to_vec()
}

/// Whether so many of those that have asked belong to an earlier validation that the same CA is likely to have asked.
fn is_alike(earlier: &BTreeSet<QueryNetwork>, asked: &BTreeSet<QueryNetwork>) -> bool {
    let shared = earlier.intersection(asked).count();
    shared >= MIN_SHARED && 2 * shared >= asked.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::querylog::evidence::ServedSerials;

    fn named(label: &str) -> Owner {
        Owner::subdomain("auth.test".parse().unwrap(), label.parse().unwrap())
    }

    fn owner() -> Owner {
        named("shop")
    }

    /// Networks `192.0.<n>.0/24`, each `millis` after the one before.
    fn value(name: &str, networks: std::ops::Range<u8>, millis: u64) -> ValueEvidence {
        let published = PreciseTimestamp::from_millis(1_000_000);
        let got = |n: u8| {
            let first = published.plus(Duration::from_millis(millis * u64::from(n)));
            let network = QueryNetwork::V4([192, 0, n]);
            NetworkEvidence { network, first, last: first, transports: Vec::new(), answers: 1 }
        };
        let (serials, networks) = (ServedSerials::default(), networks.map(got).collect());
        ValueEvidence { value: name.into(), published, retired: None, serials, networks }
    }

    fn count(vantages: &Vantages, asked: impl IntoIterator<Item = u8>) -> Option<usize> {
        let asked = asked.into_iter().map(|n| QueryNetwork::V4([192, 0, n])).collect();
        vantages.comparable(&asked).map(|validation| validation.networks.len())
    }

    #[test]
    fn only_several_networks_within_seconds_are_a_validation() {
        let vantages = Vantages::default();
        vantages.learn(&owner(), &value("two", 0..2, 100));
        vantages.learn(&owner(), &value("slow", 0..6, 6_000));
        assert_eq!((vantages.networks().len(), vantages.last()), (0, None));
        vantages.learn(&owner(), &value("three", 0..3, 100));
        vantages.learn(&owner(), &value("three", 0..6, 100));
        assert_eq!((vantages.networks().len(), vantages.last().map(|last| last.networks.len())), (6, Some(6)));
    }

    #[test]
    fn a_validation_is_learnt_where_somebody_asked_long_before_the_ca() {
        let vantages = Vantages::default();
        let mut evidence = value("late", 0..5, 100);
        let early = NetworkEvidence { network: QueryNetwork::V4([198, 51, 100]), ..evidence.networks[0].clone() };
        for network in &mut evidence.networks {
            network.first = network.first.plus(Duration::from_secs(11));
        }
        evidence.networks.insert(0, early);
        vantages.learn(&owner(), &evidence);
        let last = vantages.last().unwrap();
        assert_eq!((last.networks.len(), last.at), (5, evidence.networks[1].first));
        assert!(!vantages.knows(QueryNetwork::V4([198, 51, 100])));
    }

    #[test]
    fn a_validation_compares_with_the_largest_that_shares_networks() {
        let vantages = Vantages::default();
        vantages.learn(&named("first"), &value("first", 0..6, 100));
        vantages.learn(&named("second"), &value("second", 0..4, 100));
        vantages.learn(&named("third"), &value("other CA", 20..29, 100));
        let counts = [1..3, 20..22, 50..52].map(|asked| count(&vantages, asked));
        assert_eq!(counts, [Some(6), Some(9), None]);
    }

    #[test]
    fn a_network_that_only_the_client_shares_makes_no_other_ca_comparable() {
        let vantages = Vantages::default();
        vantages.learn(&owner(), &value("first", 0..6, 100));
        assert_eq!(count(&vantages, [1]), None, "the client's look before the CA's");
        assert_eq!(count(&vantages, [1, 20, 21]), None);
        assert_eq!(count(&vantages, [1, 2, 20, 21, 22]), None, "less than half");
        assert_eq!(count(&vantages, [1, 2, 20, 21]), Some(6));
    }

    #[test]
    fn what_is_learnt_is_bounded_and_the_oldest_goes_first() {
        let vantages = Vantages::default();
        vantages.learn(&owner(), &value("old", 0..6, 100));
        for number in 0..MAX_VALIDATIONS {
            vantages.learn(&named(&format!("a{number}")), &value("v", 10..14, 100));
        }
        assert_eq!((count(&vantages, 1..3), vantages.networks().len()), (None, 4));
        vantages.learn(&owner(), &value("wide", 0..200, 1));
        assert_eq!(vantages.last().unwrap().networks.len(), MAX_NETWORKS);
    }

    /// The value, so much later.
    fn later(mut evidence: ValueEvidence, seconds: u64) -> ValueEvidence {
        evidence.networks.iter_mut().for_each(|got| got.first = got.first.plus(Duration::from_secs(seconds)));
        evidence
    }

    #[test]
    fn many_values_of_one_name_are_one_validation_and_displace_no_other() {
        let vantages = Vantages::default();
        vantages.learn(&named("other"), &value("old", 0..6, 100));
        for number in 0..2 * MAX_VALIDATIONS {
            vantages.learn(&owner(), &value(&number.to_string(), 10..14, 100));
        }
        vantages.learn(&owner(), &later(value("second", 13..17, 1), 5));
        assert_eq!(count(&vantages, 1..3), Some(6));
        assert_eq!(vantages.take_changed().unwrap().len(), 2);
        assert_eq!(count(&vantages, 10..12), Some(7), "within seconds of each other");
        // The same name again and again, each time on its own.
        for number in 1..=2 * MAX_VALIDATIONS as u64 {
            vantages.learn(&owner(), &later(value(&number.to_string(), 20..24, 1), 60 * number));
        }
        assert_eq!((count(&vantages, 1..3), count(&vantages, 10..12)), (Some(6), None));
        assert_eq!(vantages.take_changed().unwrap().len(), 1 + MAX_OF_OWNER);
    }

    #[test]
    fn a_value_that_more_networks_get_later_is_learnt_anew() {
        let vantages = Vantages::default();
        vantages.learn(&owner(), &value("v", 50..53, 100));
        vantages.learn(&owner(), &later(value("v", 0..6, 100), 60));
        assert_eq!(vantages.networks().len(), 6);
    }

    #[test]
    fn what_is_learnt_is_taken_once_for_the_file_and_for_the_alarm() {
        let vantages = Vantages::default();
        assert_eq!((vantages.take_changed(), vantages.take_validated()), (None, Vec::new()));
        vantages.learn(&owner(), &value("v", 0..3, 100));
        vantages.learn(&owner(), &value("v", 0..4, 100));
        let [validated] = &vantages.take_validated()[..] else { panic!("one") };
        assert_eq!((&validated.owner, validated.networks.len()), (&owner(), 4));
        let taken = vantages.take_changed().unwrap();
        assert_eq!((vantages.take_changed(), vantages.take_validated()), (None, Vec::new()));
        let restored = Vantages::default();
        restored.restore(taken);
        assert_eq!((restored.networks(), restored.take_changed()), (vantages.networks(), None));
        restored.mark_changed();
        assert!(restored.take_changed().is_some() && restored.take_validated().is_empty());
    }
}
