//! The matters that are open: when each is notified of, and when it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tracing::warn;

use crate::model::time::Timestamp;

use super::matter::{EventType, Matter, MatterKind, OpenMatter};
use super::report::MatterView;

/// The most matters that are open at the same time; more are not reported.
const MAX_OPEN: usize = 1_000;

type Key = (MatterKind, String);

/// All open matters. Spans are measured on the monotonic clock, so that no change of the date reports or ends anything.
#[derive(Debug)]
pub struct OpenMatters {
    open: BTreeMap<Key, Tracked>,
    grace: Duration,
    remind: Option<Duration>,
    /// Whether it is logged that there is no room for another matter, until there is room again.
    is_full: bool,
}

#[derive(Debug)]
struct Tracked {
    open: OpenMatter,
    first_seen: Instant,
    /// When the last message about it was made; `None`: it has not been reported yet.
    reported: Option<Instant>,
    /// Since when it has been gone.
    gone: Option<Instant>,
}

impl OpenMatters {
    /// The matters that an earlier run has reported. They are over when a round finds their kinds without them.
    pub fn new(grace: Duration, remind: Option<Duration>, reported: Vec<OpenMatter>, now: Instant) -> Self {
        let mut tracked = BTreeMap::new();
        for open in reported.into_iter().take(MAX_OPEN) {
            let key = (open.matter.kind, open.matter.subject.clone());
            tracked.insert(key, Tracked { open, first_seen: now, reported: Some(now), gone: None });
        }
        Self { open: tracked, grace, remind, is_full: false }
    }

    /// Takes everything that is wrong now of these kinds, and returns what is to be notified.
    pub fn observe(
        &mut self,
        kinds: &[MatterKind],
        found: Vec<Matter>,
        date: Timestamp,
        now: Instant,
    ) -> Vec<(EventType, OpenMatter)> {
        let mut events = Vec::new();
        let mut present = BTreeSet::new();
        for matter in found.into_iter().filter(|matter| kinds.contains(&matter.kind)) {
            let key = (matter.kind, matter.subject.clone());
            events.extend(self.see(&key, matter, date, now));
            present.insert(key);
        }
        let gone = |key: &&Key| kinds.contains(&key.0) && !present.contains(*key);
        let gone: Vec<Key> = self.open.keys().filter(gone).cloned().collect();
        events.extend(gone.iter().filter_map(|key| self.miss(key, now)));
        events
    }

    fn see(&mut self, key: &Key, matter: Matter, date: Timestamp, now: Instant) -> Option<(EventType, OpenMatter)> {
        if !self.open.contains_key(key) && self.open.len() >= MAX_OPEN {
            if !std::mem::replace(&mut self.is_full, true) {
                let (kind, subject) = key;
                warn!(%kind, %subject, "{MAX_OPEN} matters are open already; this one and others are not reported");
            }
            return None;
        }
        let grace = if key.0.is_certain() { Duration::ZERO } else { self.grace };
        let tracked = self.open.entry(key.clone()).or_insert_with(|| Tracked {
            open: OpenMatter::new(matter.clone(), date),
            first_seen: now,
            reported: None,
            gone: None,
        });
        tracked.gone = None;
        tracked.open.matter = matter;
        let event = match tracked.reported {
            None if now.duration_since(tracked.first_seen) >= grace => EventType::Begun,
            Some(reported) if self.remind.is_some_and(|remind| now.duration_since(reported) >= remind) => {
                EventType::Reminder
            }
            _ => return None,
        };
        tracked.reported = Some(now);
        Some((event, tracked.open.clone()))
    }

    fn miss(&mut self, key: &Key, now: Instant) -> Option<(EventType, OpenMatter)> {
        let rest = if key.0.may_flap() { self.grace } else { Duration::ZERO };
        let tracked = self.open.get_mut(key)?;
        let gone = *tracked.gone.get_or_insert(now);
        // What was never reported heals in silence.
        if tracked.reported.is_some() && now.duration_since(gone) < rest {
            return None;
        }
        let tracked = self.open.remove(key)?;
        self.is_full = false;
        tracked.reported.map(|_| (EventType::Over, tracked.open))
    }

    /// How many matters of a kind are open and have been reported.
    pub fn count(&self, kind: MatterKind) -> u64 {
        self.open.iter().filter(|(key, tracked)| key.0 == kind && tracked.reported.is_some()).count() as u64
    }

    /// What has been reported and is not over.
    pub fn reported(&self) -> Vec<OpenMatter> {
        let reported = self.open.values().filter(|tracked| tracked.reported.is_some());
        reported.map(|tracked| tracked.open.clone()).collect()
    }

    /// All open matters for the operator, those too that have not been reported yet.
    pub fn views(&self) -> Vec<MatterView> {
        self.open.values().map(|tracked| MatterView::of(&tracked.open, tracked.reported.is_some())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(600);
    const MINUTE: Duration = Duration::from_secs(60);
    const KINDS: [MatterKind; 2] = [MatterKind::RenewalFailed, MatterKind::Database];

    struct Fixture {
        matters: OpenMatters,
        now: Instant,
    }

    impl Fixture {
        fn new(remind: Option<Duration>) -> Self {
            let now = Instant::now();
            Self { matters: OpenMatters::new(GRACE, remind, Vec::new(), now), now }
        }

        /// What is reported after `wait`, with these matters open.
        fn after(&mut self, wait: Duration, kinds: &[MatterKind], found: &[(MatterKind, &str)]) -> Vec<EventType> {
            self.now += wait;
            let found = found.iter().map(|(kind, subject)| Matter::new(*kind, subject, "s", "d")).collect();
            let events = self.matters.observe(kinds, found, Timestamp::from_unix(7), self.now);
            events.into_iter().map(|(event, _)| event).collect()
        }
    }

    #[test]
    fn a_matter_is_told_once_when_it_has_lasted_and_once_when_it_is_over() {
        let mut board = Fixture::new(None);
        let renewal = [(MatterKind::RenewalFailed, "a")];
        assert_eq!(board.after(MINUTE, &KINDS, &renewal), []);
        assert_eq!(board.matters.count(MatterKind::RenewalFailed), 0);
        assert_eq!(board.after(GRACE, &KINDS, &renewal), [EventType::Begun]);
        assert_eq!(board.matters.count(MatterKind::RenewalFailed), 1);
        assert_eq!(board.after(GRACE * 100, &KINDS, &renewal), []);
        assert_eq!(board.after(MINUTE, &[MatterKind::Database], &[]), [], "nobody has looked at renewals");
        assert_eq!(board.after(MINUTE, &KINDS, &[]), [EventType::Over]);
        assert_eq!(board.after(GRACE, &KINDS, &[]), []);
        assert_eq!(board.matters.views(), []);
    }

    #[test]
    fn what_heals_itself_is_not_told_and_what_flaps_is_one_matter() {
        let mut board = Fixture::new(None);
        let database = [(MatterKind::Database, "a")];
        board.after(MINUTE, &KINDS, &database);
        assert_eq!(board.after(MINUTE, &KINDS, &[]), []);
        assert_eq!(board.after(GRACE, &KINDS, &database), [], "the grace time has begun anew");
        assert_eq!(board.after(GRACE, &KINDS, &database), [EventType::Begun]);
        for _ in 0..5 {
            assert_eq!(board.after(MINUTE, &KINDS, &[]), []);
            assert_eq!(board.after(MINUTE, &KINDS, &database), []);
        }
        assert_eq!(board.after(MINUTE, &KINDS, &[]), []);
        assert_eq!(board.after(GRACE, &KINDS, &[]), [EventType::Over]);
    }

    #[test]
    fn reminders_come_by_configuration_alone() {
        let mut board = Fixture::new(Some(GRACE * 6));
        let renewal = [(MatterKind::RenewalFailed, "a")];
        board.after(MINUTE, &KINDS, &renewal);
        assert_eq!(board.after(GRACE, &KINDS, &renewal), [EventType::Begun]);
        assert_eq!(board.after(GRACE, &KINDS, &renewal), []);
        assert_eq!(board.after(GRACE * 5, &KINDS, &renewal), [EventType::Reminder]);
        assert_eq!(board.after(GRACE, &KINDS, &renewal), []);
    }

    #[test]
    fn what_an_earlier_run_has_told_is_not_told_again_and_its_end_is() {
        let mut board = Fixture::new(None);
        let renewal = [(MatterKind::RenewalFailed, "a"), (MatterKind::RenewalFailed, "b")];
        board.after(MINUTE, &KINDS, &renewal);
        board.after(GRACE, &KINDS, &renewal);
        let reported = board.matters.reported();
        let ids: Vec<_> = reported.iter().map(|open| open.id.clone()).collect();
        let now = board.now;
        let mut next = Fixture { matters: OpenMatters::new(GRACE, None, reported, now), now };
        assert_eq!(next.after(GRACE, &KINDS, &renewal[..1]), [EventType::Over]);
        assert_eq!(next.matters.reported()[0].id, ids[0]);
    }

    #[test]
    fn the_open_matters_are_bounded() {
        let mut board = Fixture::new(None);
        let names: Vec<String> = (0..MAX_OPEN + 10).map(|number| number.to_string()).collect();
        let many: Vec<_> = names.iter().map(|name| (MatterKind::RenewalFailed, name.as_str())).collect();
        board.after(MINUTE, &KINDS, &many);
        assert_eq!(board.after(GRACE, &KINDS, &many).len(), MAX_OPEN);
    }
}
