//! What is kept of one owner: its last queries, and who has got which of its values.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::name::{Name, Owner};
use crate::model::serial::Serial;
use crate::model::time::PreciseTimestamp;

use super::archive::FinishedQueries;
use super::evidence::{LoggedQuery, OwnerEvidence};
use super::kept_value::{KeptValue, OwnerChange};
use super::logged::{KeptQuery, NewQuery};
use super::owners::HeldValue;
use super::vantages::Vantages;

/// The last queries among which an equal one is searched.
const LOOK_BACK: usize = 8;
/// Queries below the owner's name take this share of the room at most, so that a flood of random names pushes none of
/// the others out.
const SHARE_BELOW: usize = 4;
/// Retired values that are kept beside those in the kept queries.
const RETIRED: usize = 16;
/// Values in all: more than an owner may have at a time.
const VALUES: usize = 1_024;

/// The log of one owner.
#[derive(Debug)]
pub struct OwnerLog {
    pub owner: Owner,
    /// The owner's name.
    pub name: Name,
    complete_since: PreciseTimestamp,
    /// The zone's serial with the last change of the owner that is known.
    changed: Serial,
    /// The zone's serial with which the values were last read from the zone.
    found: Option<Serial>,
    /// From oldest to newest.
    queries: VecDeque<KeptQuery>,
    /// The fingerprints of the newest queries, from newest to oldest.
    recent: [u32; LOOK_BACK],
    /// From oldest to newest.
    values: Vec<KeptValue>,
    next_number: u16,
    below: usize,
    /// Queries that were forgotten before the file could get them.
    unarchived: u32,
    /// Bytes on the heap of what is in the two lists.
    heap: usize,
}

impl OwnerLog {
    /// An empty log. Before `complete_since`, queries may have been forgotten. `changed`: a serial before which no change is
    /// of interest.
    pub fn new(owner: Owner, name: Name, complete_since: PreciseTimestamp, changed: Serial) -> Self {
        let (queries, values) = (VecDeque::new(), Vec::new());
        Self {
            owner,
            name,
            complete_since,
            changed,
            found: None,
            queries,
            recent: [0; LOOK_BACK],
            values,
            next_number: 0,
            below: 0,
            unarchived: 0,
            heap: 0,
        }
    }

    /// Since when nothing of this owner was forgotten.
    pub fn complete_since(&self) -> PreciseTimestamp {
        self.complete_since
    }

    /// The zone's serial with the last change of the owner that is known.
    pub fn changed(&self) -> Serial {
        self.changed
    }

    /// Bytes of memory that the log takes, with what the allocator rounds up left out.
    pub fn size(&self) -> usize {
        let lists = self.queries.capacity() * size_of::<KeptQuery>() + self.values.capacity() * size_of::<KeptValue>();
        size_of::<Self>() + 2 * self.name.as_wire().len() + lists + self.heap
    }

    /// Adds a query and the values in its reply; `limit` of the queries are kept. Calls `validated` with the number of each
    /// value that another network has got, if it may be validated by now; `true` keeps it from being told again until
    /// [`teach`](Self::teach).
    ///
    /// `numbers` is only memory to be used again: there is a call for each query.
    pub fn add<'v>(
        &mut self,
        query: &NewQuery<'_>,
        values: impl Iterator<Item = &'v [u8]>,
        limit: usize,
        numbers: &mut Vec<u16>,
        validated: impl FnMut(u16) -> bool,
    ) {
        self.find_numbers(query, values, numbers, validated);
        let fingerprint = query.traits.fingerprint();
        // Queries before and after a change of the owner tell different things.
        let changed = self.changed;
        let is_before = changed.is_after(query.serial);
        // The fingerprints lie in the log itself, so that the queries, which are elsewhere, are rarely read.
        let recent = self.queries.iter_mut().rev().zip(self.recent);
        let alike = recent.filter(|(_, known)| *known == fingerprint).map(|(kept, _)| kept);
        let mut alike = alike.filter(|kept| changed.is_after(kept.serial) == is_before);
        if alike.any(|kept| kept.repeats(&query.traits, query.at, numbers)) {
            return;
        }
        self.make_room(query.traits.is_below, limit);
        let kept = KeptQuery::new(query, &self.name, numbers);
        self.below += usize::from(query.traits.is_below);
        self.heap += kept.heap();
        // A list grows to four places at once. Most names are asked for once, and three empty places are most of their log.
        if self.queries.capacity() == 0 {
            self.queries.reserve_exact(1);
        }
        self.queries.push_back(kept);
        self.recent.rotate_right(1);
        self.recent[0] = fingerprint;
    }

    /// Finds the numbers of the values in a reply, each of which the query's network has got.
    fn find_numbers<'v>(
        &mut self,
        query: &NewQuery<'_>,
        values: impl Iterator<Item = &'v [u8]>,
        numbers: &mut Vec<u16>,
        mut validated: impl FnMut(u16) -> bool,
    ) {
        numbers.clear();
        let mut before = self.values.len();
        for text in values {
            // The values of a reply are ordered from newest to oldest, as those here are from the end.
            let at = self.position_before(before, text, query.serial).unwrap_or_else(|| self.appeared(text, query));
            before = at;
            let value = &mut self.values[at];
            numbers.push(value.number);
            let before = value.heap();
            if !query.traits.is_own && value.got(query) {
                self.heap += value.heap() - before;
                if value.is_to_be_learnt() {
                    value.is_waiting = validated(value.number);
                }
            }
        }
    }

    /// Has `vantages` learn from the networks that have got the value with this number, if it is there.
    pub fn teach(&mut self, vantages: &Vantages, number: u16) {
        if let Some(value) = self.values.iter_mut().find(|value| value.number == number) {
            value.is_waiting = false;
            vantages.learn(&self.owner, &value.evidence());
        }
    }

    /// Takes note of what the owner holds since a change, challenges first and each kind from newest to oldest.
    pub fn published<'v>(&mut self, values: impl Iterator<Item = HeldValue<'v>> + Clone, change: OwnerChange) {
        let held: BTreeMap<&str, HeldValue<'v>> = values.clone().map(|value| (value.text, value)).collect();
        let is_news = !change.is_commit || self.found.is_none_or(|found| change.serial.is_after(found));
        if !is_news {
            return self.date(&held, change);
        }
        if !change.is_commit {
            self.found = Some(change.serial);
        }
        // A change that was found is by one of the commits since the last one that is known.
        let until = if change.is_commit { change.serial } else { self.changed.one_more() };
        self.changed = change.serial;
        // A reply may have had a value of a later commit.
        let is_later = |kept: &KeptValue| kept.serials.since.is_some_and(|since| since.is_after(change.serial));
        for kept in self.values.iter_mut().filter(|kept| kept.retired.is_none()) {
            match held.get(&*kept.text) {
                Some(value) if !kept.is_anew(value, change.now) => kept.confirm(value, change),
                None if is_later(kept) => {}
                _ => kept.retire(until, change),
            }
        }
        // From the oldest on, so that the newest is the last.
        for value in values.collect::<Vec<_>>().into_iter().rev() {
            let is_known = self.values.iter().rev().any(|kept| kept.retired.is_none() && *kept.text == *value.text);
            if !is_known {
                self.append(&value, change.at, Some(change.serial));
            }
        }
        self.forget_values();
    }

    /// Dates values by a commit that is older than what was found in the zone.
    fn date(&mut self, held: &BTreeMap<&str, HeldValue<'_>>, change: OwnerChange) {
        for kept in self.values.iter_mut().filter(|kept| kept.retired.is_none() && held.contains_key(&*kept.text)) {
            kept.was_served(change.at, change.serial);
        }
    }

    /// Takes note of what the owner held when the log began.
    pub fn held<'v>(&mut self, values: impl Iterator<Item = HeldValue<'v>>) {
        let mut values: Vec<HeldValue<'v>> = values.collect();
        values.sort_by_key(|value| value.published);
        for value in values {
            self.append(&value, value.published.into(), None);
        }
    }

    /// The time of the last query or publication.
    pub fn last_change(&self) -> PreciseTimestamp {
        let queries = self.queries.iter().map(KeptQuery::last);
        let values = self.values.iter().map(|value| value.published.max(value.retired.unwrap_or_default()));
        queries.chain(values).max().unwrap_or_default()
    }

    /// The evidence as it is kept. `complete_since`: where that is later than the log's own.
    pub fn evidence(&self, complete_since: PreciseTimestamp) -> OwnerEvidence {
        let mut queries: Vec<LoggedQuery> = self.queries.iter().map(|kept| self.told(kept)).collect();
        // Threads are emptied one after the other.
        queries.sort_by_key(|query| query.at);
        OwnerEvidence {
            owner: self.owner.clone(),
            complete_since: self.complete_since.max(complete_since),
            gap: None,
            queries,
            values: self.values.iter().rev().map(KeptValue::evidence).collect(),
        }
    }

    /// Moves copies of the queries that will not change after `now` to `finished`; `None`: of all. Returns whether others
    /// are left.
    pub fn take_finished(&mut self, now: Option<PreciseTimestamp>, finished: &mut FinishedQueries) -> bool {
        finished.lost += u64::from(std::mem::take(&mut self.unarchived));
        let changing = self.queries.len().saturating_sub(LOOK_BACK);
        let mut is_left = false;
        for at in 0..self.queries.len() {
            let kept = &self.queries[at];
            if kept.is_archived {
                continue;
            }
            if finished.is_full() || at >= changing && now.is_some_and(|now| !kept.is_over(now)) {
                is_left = true;
                continue;
            }
            finished.push(self.owner.clone(), self.told(kept));
            self.queries[at].is_archived = true;
        }
        is_left
    }

    /// How many of the queries the file has not got.
    pub fn unarchived(&self) -> u64 {
        self.queries.iter().filter(|kept| !kept.is_archived).count() as u64
    }

    fn told(&self, kept: &KeptQuery) -> LoggedQuery {
        let text = |number| self.values.iter().find(|value| value.number == number).map(|value| &*value.text);
        kept.told(&self.name, text)
    }

    /// The place of the value with this text that the state of the zone with this serial has, searched from `before` downwards
    /// and then from the end. A reply after a retirement has a value that was published again.
    fn position_before(&self, before: usize, text: &[u8], serial: Serial) -> Option<usize> {
        let is_it = |value: &KeptValue| value.text.as_bytes() == text && value.is_in_state(serial);
        let (older, newer) = self.values.split_at(before.min(self.values.len()));
        let found = older.iter().rposition(is_it).or_else(|| newer.iter().rposition(is_it).map(|at| older.len() + at));
        // The commit that published it was found in the zone, and was an earlier one than that looked like.
        let is_live = |value: &KeptValue| value.text.as_bytes() == text && value.retired.is_none();
        found.or_else(|| self.values.iter().rposition(is_live))
    }

    /// Adds a value that was in a reply before its publication was heard of, or long after that was forgotten.
    fn appeared(&mut self, text: &[u8], query: &NewQuery<'_>) -> usize {
        let text = String::from_utf8_lossy(text);
        let value = HeldValue { text: &text, published: query.at.seconds(), expires: None };
        self.append(&value, query.at, Some(query.serial));
        self.values.len() - 1
    }

    fn append(&mut self, value: &HeldValue<'_>, published: PreciseTimestamp, since: Option<Serial>) {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        self.heap += value.text.len();
        if self.values.capacity() == 0 {
            self.values.reserve_exact(1);
        }
        self.values.push(KeptValue::new(number, value.text, published, since).until(value.expires));
    }

    fn make_room(&mut self, is_below: bool, limit: usize) {
        let limit_below = (limit / SHARE_BELOW).max(1);
        if is_below && self.below >= limit_below {
            let oldest = self.queries.iter().position(|kept| kept.traits.is_below);
            self.forget_query(oldest);
        }
        while self.queries.len() >= limit {
            self.forget_query(Some(0));
        }
    }

    fn forget_query(&mut self, at: Option<usize>) {
        let Some(at) = at else { return };
        let Some(kept) = self.queries.remove(at) else { return };
        self.below -= usize::from(kept.traits.is_below);
        self.unarchived = self.unarchived.saturating_add(u32::from(!kept.is_archived));
        self.heap -= kept.heap();
        // Those of the oldest queries are left as they are: nothing has their place any more.
        if at > 0 && self.queries.len() - at < LOOK_BACK {
            for (known, kept) in self.recent.iter_mut().zip(self.queries.iter().rev()) {
                *known = kept.traits.fingerprint();
            }
        }
    }

    /// Forgets retired values, from the oldest on, that no kept query has.
    fn forget_values(&mut self) {
        let retired = self.values.iter().filter(|value| value.retired.is_some()).count();
        if retired <= RETIRED {
            return;
        }
        let used: BTreeSet<u16> = self.queries.iter().flat_map(|kept| kept.values().iter().copied()).collect();
        let mut surplus = retired - RETIRED;
        let mut too_many = self.values.len().saturating_sub(VALUES);
        let heap = &mut self.heap;
        self.values.retain(|value| {
            let is_surplus = value.retired.is_some() && surplus > 0 && !used.contains(&value.number);
            surplus -= usize::from(is_surplus);
            let goes = is_surplus || too_many > 0;
            too_many = too_many.saturating_sub(usize::from(goes));
            if goes {
                *heap -= value.heap();
            }
            !goes
        });
    }
}
