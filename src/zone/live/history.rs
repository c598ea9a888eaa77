//! What has changed in a zone's live values: a bounded journal of differences (RFC 1995), and the former states that
//! snapshots still need. Nothing is kept where nobody follows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::model::serial::Serial;

use super::super::owner_state::OwnerState;
use super::label::LiveLabel;
use super::undo::Undo;

/// The most records in a zone's journal; a difference without records counts as one.
pub const MAX_JOURNAL_RECORDS: usize = 100_000;
/// The most bytes in a zone's journal.
pub const MAX_JOURNAL_BYTES: usize = 16 * 1_024 * 1_024;

/// A TXT record of a live name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxtRecord {
    pub label: LiveLabel,
    /// The whole text, not yet split into strings.
    pub text: Box<[u8]>,
}

/// The records in which a zone differs from one serial to the next.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    pub from: Serial,
    pub to: Serial,
    pub removed: Box<[TxtRecord]>,
    pub added: Box<[TxtRecord]>,
}

impl Difference {
    fn records(&self) -> usize {
        (self.removed.len() + self.added.len()).max(1)
    }

    fn bytes(&self) -> usize {
        let records = self.removed.iter().chain(&self.added);
        size_of::<Self>() + records.map(|record| size_of::<TxtRecord>() + record.text.len()).sum::<usize>()
    }
}

/// The journal and the snapshots of a zone.
#[derive(Debug, Default)]
pub struct History(Mutex<Followers>);

/// Who follows the changes of a zone.
#[derive(Debug, Default)]
pub struct Followers {
    journal: Option<Journal>,
    snapshots: Vec<Weak<Undo>>,
    /// The names of the open change: what they were before it, and what they are by now.
    changed: BTreeMap<LiveLabel, (Option<OwnerState>, Option<OwnerState>)>,
}

impl History {
    pub(super) fn lock(&self) -> MutexGuard<'_, Followers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Followers {
    /// Whether changes have to be noted.
    pub(super) fn is_followed(&self) -> bool {
        self.journal.is_some() || !self.snapshots.is_empty()
    }

    /// Begins a snapshot of the present state.
    pub(super) fn follow(&mut self) -> Arc<Undo> {
        let undo = Arc::new(Undo::default());
        self.snapshots.push(Arc::downgrade(&undo));
        undo
    }

    /// Notes a change of one name, whose shard is locked.
    pub(super) fn note(
        &mut self,
        shard: usize,
        label: LiveLabel,
        before: Option<OwnerState>,
        after: Option<OwnerState>,
    ) {
        for undo in self.snapshots.iter().filter_map(Weak::upgrade) {
            undo.note(shard, &label, before.as_ref());
        }
        if self.journal.is_some() {
            self.changed.entry(label).or_insert((before, None)).1 = after;
        }
    }

    /// Ends a change that has raised the serial.
    pub(super) fn close(&mut self, from: Serial, to: Serial) {
        self.snapshots.retain(|undo| undo.strong_count() > 0);
        let changed = std::mem::take(&mut self.changed);
        if let Some(journal) = &mut self.journal {
            journal.push(difference(from, to, changed));
        }
    }

    /// Ends a change that has not raised the serial, so that no difference describes it.
    pub(super) fn close_unnumbered(&mut self) {
        self.snapshots.retain(|undo| undo.strong_count() > 0);
        if !self.changed.is_empty() {
            self.changed.clear();
            self.cut();
        }
    }

    pub(super) fn keep_journal(&mut self, is_kept: bool) {
        if is_kept != self.journal.is_some() {
            self.journal = is_kept.then(Journal::default);
        }
    }

    pub(super) fn cut(&mut self) {
        if let Some(journal) = &mut self.journal {
            *journal = Journal { is_cut: true, ..Journal::default() };
        }
    }

    pub(super) fn since(&self, earlier: Serial) -> Option<Vec<Arc<Difference>>> {
        self.journal.as_ref()?.since(earlier)
    }
}

fn difference(
    from: Serial,
    to: Serial,
    changed: BTreeMap<LiveLabel, (Option<OwnerState>, Option<OwnerState>)>,
) -> Difference {
    let mut removed = Vec::new();
    let mut added = Vec::new();
    for (label, (before, after)) in changed {
        let before: Vec<&[u8]> = before.iter().flat_map(OwnerState::texts).collect();
        let after: Vec<&[u8]> = after.iter().flat_map(OwnerState::texts).collect();
        let record = |text: &&[u8]| TxtRecord { label: label.clone(), text: (*text).into() };
        removed.extend(before.iter().filter(|text| !after.contains(text)).map(record));
        added.extend(after.iter().filter(|text| !before.contains(text)).map(record));
    }
    Difference { from, to, removed: removed.into(), added: added.into() }
}

/// The newest differences, each from the serial at which the one before it ends.
#[derive(Debug, Default)]
struct Journal {
    differences: VecDeque<Arc<Difference>>,
    records: usize,
    bytes: usize,
    /// Whether the next difference is incomplete, because more than live values changes with it.
    is_cut: bool,
}

impl Journal {
    fn push(&mut self, difference: Difference) {
        if std::mem::take(&mut self.is_cut) {
            return;
        }
        self.records += difference.records();
        self.bytes += difference.bytes();
        self.differences.push_back(Arc::new(difference));
        while self.records > MAX_JOURNAL_RECORDS || self.bytes > MAX_JOURNAL_BYTES {
            let Some(oldest) = self.differences.pop_front() else { return };
            self.records -= oldest.records();
            self.bytes -= oldest.bytes();
        }
    }

    fn since(&self, earlier: Serial) -> Option<Vec<Arc<Difference>>> {
        let first = self.differences.front()?.from;
        let distance = |serial: Serial| serial.0.wrapping_sub(first.0);
        let at = self.differences.binary_search_by_key(&distance(earlier), |found| distance(found.from)).ok()?;
        Some(self.differences.range(at..).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Live;
    use super::*;
    use crate::model::time::{RunningTime, Timestamp};
    use crate::model::txt::LiveValue;

    fn state(letters: &str) -> Option<OwnerState> {
        let value = |letter: char| LiveValue {
            txt: letter.to_string().repeat(43).parse().unwrap(),
            published: Timestamp::default(),
            expires: RunningTime::MAX,
        };
        Some(OwnerState::of(&letters.chars().map(value).collect::<Vec<_>>()))
    }

    fn followed() -> Live {
        let live = Live::new(Serial(10));
        live.keep_journal(true);
        live
    }

    /// The differences since a serial, with a letter for each text.
    fn since(live: &Live, serial: u32) -> Option<Vec<(u32, u32, String, String)>> {
        let letters = |records: &[TxtRecord]| records.iter().map(|record| record.text[0] as char).collect();
        let shown =
            |found: &Arc<Difference>| (found.from.0, found.to.0, letters(&found.removed), letters(&found.added));
        Some(live.differences_since(Serial(serial))?.0.iter().map(shown).collect())
    }

    #[test]
    fn a_difference_is_of_records_and_of_a_whole_commit() {
        let live = followed();
        live.apply([("a", state("xy"))], Serial(11));
        live.apply([("a", state("zx")), ("a", state("wx")), ("b", Some(OwnerState::Empty))], Serial(20));
        live.apply([("a", Some(OwnerState::Disabled))], Serial(21));
        live.raise_serial(Serial(30));
        let last = vec![(21, 30, String::new(), String::new())];
        let both = [vec![(20, 21, "wx".into(), String::new())], last.clone()].concat();
        assert_eq!(since(&live, 21), Some(last));
        assert_eq!(since(&live, 20), Some(both.clone()));
        assert_eq!(since(&live, 11), Some([vec![(11, 20, "y".into(), "w".into())], both].concat()));
        for unknown in [9, 12, 30, 31, u32::MAX] {
            assert_eq!(since(&live, unknown), None, "{unknown}");
        }
    }

    #[test]
    fn differences_follow_each_other_over_the_end_of_the_numbers() {
        let live = Live::new(Serial(u32::MAX - 1));
        live.keep_journal(true);
        for serial in [u32::MAX, 0, 1] {
            live.raise_serial(Serial(serial));
        }
        assert_eq!(since(&live, u32::MAX - 1).unwrap().len(), 3);
        assert_eq!(since(&live, 0).unwrap().len(), 1);
    }

    #[test]
    fn a_cut_journal_begins_behind_the_next_serial() {
        let live = followed();
        live.raise_serial(Serial(11));
        live.cut_journal();
        assert_eq!(since(&live, 10), None);
        live.raise_serial(Serial(12));
        live.apply([("a", state("x"))], Serial(13));
        assert_eq!(since(&live, 11), None, "this difference is not described");
        assert_eq!(since(&live, 12).unwrap().len(), 1);
        // A change without a new serial cannot be told.
        live.apply([("a", state("y"))], Serial(13));
        assert_eq!(since(&live, 12), None);
    }

    #[test]
    fn the_journal_drops_its_oldest_differences() {
        let live = followed();
        for serial in 0..=MAX_JOURNAL_RECORDS as u32 {
            live.raise_serial(Serial(11 + serial));
        }
        assert_eq!(since(&live, 10), None);
        assert_eq!(since(&live, 11).unwrap().len(), MAX_JOURNAL_RECORDS);
        // By bytes: a hundred values in each.
        let many: String = ('A'..='Z').chain('a'..='z').collect();
        let start = live.serial().0;
        for round in 1..=2_000 {
            let text = if round % 2 == 0 { "" } else { many.as_str() };
            live.apply([("a", state(text))], Serial(start + round));
        }
        let history = live.history.lock();
        let journal = history.journal.as_ref().unwrap();
        assert!(journal.records <= MAX_JOURNAL_RECORDS && journal.bytes <= MAX_JOURNAL_BYTES);
        let counted: usize = journal.differences.iter().map(|found| found.bytes()).sum();
        assert_eq!(journal.bytes, counted);
    }

    #[test]
    fn nothing_is_kept_where_nobody_follows() {
        let live = Live::new(Serial(1));
        live.apply([("a", state("x"))], Serial(2));
        let history = live.history.lock();
        assert!(!history.is_followed() && history.changed.is_empty());
    }
}
