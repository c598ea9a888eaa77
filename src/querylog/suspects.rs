//! Queries that look like a validation at a name that has nothing to validate: somebody else may be trying to get a
//! certificate for it.
//!
//! A CA validates from several networks within seconds. Where such networks, known from validations that went well, ask for
//! TXT and get no value, a suspicion begins. What the name held before and after decides, some time later: a client that
//! told the CA too early publishes in the end, and one that cleaned up too early had published before.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::model::name::Owner;
use crate::model::network::QueryNetwork;
use crate::model::time::PreciseTimestamp;

use super::evidence::{OwnerEvidence, ValueEvidence};
use super::vantages::MIN_NETWORKS;

/// The time within which all vantage points of a CA ask.
const WINDOW: Duration = Duration::from_secs(10);
/// Owners under suspicion at the same time. One more takes the place of one that too few networks have asked for, or is
/// left out.
const MAX_SUSPECTS: usize = 256;
/// Networks that are remembered of one suspicion.
const MAX_NETWORKS: usize = 32;
/// How long after the end of a value queries still belong to it.
const AFTERMATH: Duration = Duration::from_secs(3_600);

/// Several networks of CAs have asked for a name, and have got no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnexpectedValidation {
    pub owner: Owner,
    /// The first query.
    pub from: PreciseTimestamp,
    /// The last query within the time in which all vantage points of a CA ask, from the first one on.
    pub until: PreciseTimestamp,
    pub networks: BTreeSet<QueryNetwork>,
}

impl UnexpectedValidation {
    /// Whether a value of the name explains the queries: it was live then, or ended shortly before, or was published
    /// within `grace` after.
    pub fn is_explained(&self, evidence: &OwnerEvidence, grace: Duration) -> bool {
        let explains = |value: &ValueEvidence| {
            let came_in_time = value.published <= self.until.plus(grace);
            came_in_time && value.retired.is_none_or(|retired| retired.plus(AFTERMATH) >= self.from)
        };
        evidence.values.iter().any(explains)
    }

    /// Whether what ended at `end` explains the queries: they began within an hour after it.
    pub fn is_aftermath_of(&self, end: PreciseTimestamp) -> bool {
        end <= self.from && self.may_follow(end)
    }

    /// Whether a value that ended at `end` or earlier may explain the queries: they began less than an hour after it.
    pub fn may_follow(&self, end: PreciseTimestamp) -> bool {
        end.plus(AFTERMATH) >= self.from
    }
}

/// The owners under suspicion.
#[derive(Debug, Default)]
pub struct Suspects(HashMap<Owner, Suspicion>);

#[derive(Debug)]
enum Suspicion {
    /// The last query of each network, fewer networks than make a validation.
    Forming(Vec<(QueryNetwork, PreciseTimestamp)>),
    Formed(UnexpectedValidation),
}

impl Suspects {
    /// Takes note of a query for TXT that got no value, from a network from which a CA validates.
    pub fn note(&mut self, owner: &Owner, network: QueryNetwork, at: PreciseTimestamp) {
        if !self.0.contains_key(owner) && !self.make_room(at) {
            return;
        }
        let suspicion = self.0.entry(owner.clone()).or_insert_with(|| Suspicion::Forming(Vec::new()));
        match suspicion {
            Suspicion::Forming(last) => {
                // The window slides: it ends with this query. Threads are emptied one after the other, so some of the
                // others may be later.
                last.retain(|(other, then)| *other != network && at.apart(*then) <= WINDOW);
                last.push((network, at));
                if let Some(formed) = formed(owner, last) {
                    *suspicion = Suspicion::Formed(formed);
                }
            }
            Suspicion::Formed(formed) if at.since(formed.from) <= WINDOW => {
                formed.until = formed.until.max(at);
                if formed.networks.len() < MAX_NETWORKS {
                    formed.networks.insert(network);
                }
            }
            // Later queries leave a suspicion as it is: whoever goes on asking would keep it from ever being told.
            Suspicion::Formed(_) => {}
        }
    }

    /// Whether there is room for one more, after those were forgotten that came to nothing.
    fn make_room(&mut self, now: PreciseTimestamp) -> bool {
        if self.0.len() >= MAX_SUSPECTS {
            self.0.retain(|_, suspicion| !suspicion.is_void(now));
        }
        self.0.len() < MAX_SUSPECTS
    }

    /// Removes the suspicions that came to nothing, and returns those to which nothing was added for `grace`, each once.
    pub fn take_ripe(&mut self, now: PreciseTimestamp, grace: Duration) -> Vec<UnexpectedValidation> {
        self.0.retain(|_, suspicion| !suspicion.is_void(now));
        let is_ripe = |_: &Owner, suspicion: &mut Suspicion| match suspicion {
            Suspicion::Formed(formed) => now.since(formed.until) >= grace,
            Suspicion::Forming(_) => false,
        };
        let ripe = self.0.extract_if(is_ripe).filter_map(|(_, suspicion)| match suspicion {
            Suspicion::Formed(formed) => Some(formed),
            Suspicion::Forming(_) => None,
        });
        ripe.collect()
    }
}

impl Suspicion {
    /// Whether too few networks have asked within the time in which a CA does.
    fn is_void(&self, now: PreciseTimestamp) -> bool {
        match self {
            Self::Forming(last) => last.iter().all(|(_, at)| now.since(*at) > WINDOW),
            Self::Formed(_) => false,
        }
    }
}

/// The validation that these queries make; `None`: too few networks have asked.
fn formed(owner: &Owner, last: &[(QueryNetwork, PreciseTimestamp)]) -> Option<UnexpectedValidation> {
    let times = || last.iter().map(|(_, at)| *at);
    let (from, until) = (times().min()?, times().max()?);
    let networks = last.iter().map(|(network, _)| *network).collect();
    (last.len() >= MIN_NETWORKS).then(|| UnexpectedValidation { owner: owner.clone(), from, until, networks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::querylog::evidence::ServedSerials;

    const GRACE: Duration = Duration::from_secs(120);

    fn owner(label: &str) -> Owner {
        Owner::subdomain("auth.test".parse().unwrap(), label.parse().unwrap())
    }

    fn at(seconds: u64) -> PreciseTimestamp {
        PreciseTimestamp::from_millis(10_000_000 + seconds * 1_000)
    }

    /// Suspects after queries of networks at these seconds.
    fn after(queries: &[(u8, u64)]) -> Suspects {
        let mut suspects = Suspects::default();
        for (network, second) in queries {
            suspects.note(&owner("shop"), QueryNetwork::V4([192, 0, *network]), at(*second));
        }
        suspects
    }

    fn ripe(queries: &[(u8, u64)], second: u64) -> usize {
        after(queries).take_ripe(at(second), GRACE).len()
    }

    #[test]
    fn several_networks_within_seconds_are_a_suspicion_once_they_have_rested() {
        let burst = [(1, 0), (2, 1), (3, 2), (4, 2)];
        assert_eq!((ripe(&burst, 60), ripe(&burst, 122)), (0, 1));
        assert_eq!(ripe(&[(1, 0), (2, 1), (1, 2), (2, 3)], 200), 0, "two networks");
        assert_eq!(ripe(&[(1, 0), (2, 20), (3, 40), (4, 60)], 200), 0, "too slow");
        assert_eq!(ripe(&[(1, 0), (2, 20), (3, 21), (4, 22)], 200), 1, "after a single query");
        assert_eq!(ripe(&[(2, 2), (3, 1), (1, 0)], 200), 1, "threads are emptied one after the other");
        let mut suspects = after(&burst);
        let [found] = &suspects.take_ripe(at(200), GRACE)[..] else { panic!("one") };
        assert_eq!((found.from, found.until, found.networks.len()), (at(0), at(2), 4));
        assert!(suspects.take_ripe(at(400), GRACE).is_empty(), "each is taken once");
    }

    #[test]
    fn the_window_slides_with_each_query() {
        let [found] = &after(&[(1, 0), (2, 8), (3, 11), (4, 12), (5, 19)]).take_ripe(at(200), GRACE)[..] else {
            panic!("one")
        };
        assert_eq!((found.from, found.until, found.networks.len()), (at(8), at(12), 3));
        assert_eq!(ripe(&[(1, 0), (2, 9), (1, 11), (2, 20), (3, 22)], 200), 0, "three, but never within ten seconds");
        assert_eq!(ripe(&[(1, 0), (2, 9), (1, 11), (3, 19)], 200), 1, "a network that asks again counts from then on");
    }

    #[test]
    fn further_queries_do_not_put_an_alarm_off() {
        let mut suspects = after(&[(1, 0), (2, 1), (3, 2)]);
        for second in 3..=130 {
            suspects.note(&owner("shop"), QueryNetwork::V4([192, 0, 4]), at(second));
        }
        let [found] = &suspects.take_ripe(at(130), GRACE)[..] else { panic!("one") };
        assert_eq!((found.from, found.until), (at(0), at(10)));
    }

    #[test]
    fn a_value_explains_queries_while_it_lives_and_shortly_before_and_after() {
        let found = after(&[(1, 4_000), (2, 4_000), (3, 4_000)]).take_ripe(at(5_000), GRACE).remove(0);
        let explained = |published: u64, retired: Option<u64>| {
            let (published, retired) = (at(published), retired.map(at));
            let value = ValueEvidence {
                value: "v".into(),
                published,
                retired,
                serials: ServedSerials::default(),
                networks: Vec::new(),
            };
            let (owner, complete_since) = (owner("shop"), at(0));
            let evidence = OwnerEvidence { owner, complete_since, gap: None, queries: Vec::new(), values: vec![value] };
            found.is_explained(&evidence, GRACE)
        };
        assert!(explained(100, None) && explained(4_119, None), "a client that was early publishes in the end");
        assert!(!explained(4_121, None));
        assert!(explained(100, Some(500)) && !explained(100, Some(399)), "a client that has cleaned up");
    }

    #[test]
    fn queries_in_the_hour_after_a_publication_are_its_aftermath() {
        let found = after(&[(1, 4_000), (2, 4_000), (3, 4_000)]).take_ripe(at(5_000), GRACE).remove(0);
        let ends = [399, 400, 4_000, 4_001].map(|second| found.is_aftermath_of(at(second)));
        assert_eq!(ends, [false, true, true, false]);
    }

    #[test]
    fn suspicions_are_bounded_and_what_came_to_nothing_makes_room() {
        let mut suspects = Suspects::default();
        for number in 0..MAX_SUSPECTS + 10 {
            suspects.note(&owner(&format!("a{number}")), QueryNetwork::V4([192, 0, 1]), at(0));
        }
        assert_eq!(suspects.0.len(), MAX_SUSPECTS);
        suspects.note(&owner("shop"), QueryNetwork::V4([192, 0, 1]), at(60));
        assert_eq!(suspects.0.len(), 1);
    }
}
