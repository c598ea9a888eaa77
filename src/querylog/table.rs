//! The logs of all owners within a limit of memory: what was unused for longest is forgotten first.

use std::collections::{HashMap, HashSet};

use crate::model::name::{MAX_NAME, Name, NameRef, Owner};
use crate::model::network::QueryNetwork;
use crate::model::serial::Serial;
use crate::model::time::{Moment, PreciseTimestamp};
use crate::zone::Zone;
use crate::zone::owner_state::OwnerState;

use super::archive::FinishedQueries;
use super::evidence::{ChangeGap, LoggedQuery, OwnerEvidence, ServedSerials, ValueEvidence};
use super::kept_value::OwnerChange;
use super::logged::{Endpoint, NewQuery, QueryTraits};
use super::lru::Lru;
use super::owner_log::OwnerLog;
use super::owners::{FoundOwner, HeldValue, name_of, owner_of, state_of, values_of};
use super::queue::{BufferedQuery, QueryRecord};
use super::vantages::Vantages;

/// Allocations of an owner with one query and one value, and what the allocator takes and rounds up for each.
const ALLOCATIONS: usize = 8;
const PER_ALLOCATION: usize = 16;
/// Bytes that an owner takes beside its log: its place in the list, the entry of the index, and what the allocator adds.
const PER_OWNER: usize = Lru::<OwnerLog>::OVERHEAD
    + size_of::<OwnerLog>() / 8
    + 2 * (size_of::<Name>() + size_of::<u32>())
    + ALLOCATIONS * PER_ALLOCATION;

/// Values that wait to be learnt from, which takes some microseconds each. More would let a flood from many networks take
/// noticeable time, and no CA validates so many within the fifth of a second that they wait.
const MAX_VALIDATED: usize = 256;

/// How much is kept, and how exactly.
#[derive(Clone, Copy, Debug)]
pub struct TableLimits {
    /// Queries of each owner.
    pub per_owner: usize,
    /// Bytes in all.
    pub memory: usize,
    /// Whether addresses are cut to their networks before anything is kept.
    pub is_private: bool,
}

/// The zones and the time now.
#[derive(Clone, Copy, Debug)]
pub struct Present<'z> {
    pub zones: &'z [Zone],
    pub at: PreciseTimestamp,
    /// By the daemon's clock, which the expiry of values depends on.
    pub now: Moment,
}

/// The logs of all owners that are known.
#[derive(Debug)]
pub struct QueryTable {
    limits: TableLimits,
    index: HashMap<Name, u32>,
    logs: Lru<OwnerLog>,
    /// Bytes of all logs.
    size: usize,
    /// The start, or the last time at which queries were lost.
    complete_since: PreciseTimestamp,
    /// When a log was last forgotten.
    forgotten: PreciseTimestamp,
    /// The time of which not all changes are known.
    gap: Option<ChangeGap>,
    /// When the table began.
    started: PreciseTimestamp,
    last_answer: Option<LastAnswer>,
    /// What a file keeps; `None`: nothing.
    archiving: Option<Archiving>,
    vantages: Vantages,
    /// The values, each by its log's index and its number, that `vantages` has yet to learn from; oldest first.
    validated: Vec<(u32, u16)>,
    /// Memory for the value numbers of one query.
    numbers: Vec<u16>,
}

/// Queries that a file has not got yet.
#[derive(Debug, Default)]
struct Archiving {
    /// The logs with such queries.
    open: HashSet<u32>,
    /// What was in logs that were forgotten.
    finished: FinishedQueries,
}

/// The last answer with a published value, which is what a CA's validation asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastAnswer {
    pub owner: Owner,
    pub query: LoggedQuery,
}

impl QueryTable {
    /// An empty table. `vantages` learns from what is added.
    pub fn new(limits: TableLimits, vantages: Vantages, now: PreciseTimestamp) -> Self {
        let (index, logs) = (HashMap::new(), Lru::default());
        Self {
            limits,
            index,
            logs,
            size: 0,
            complete_since: now,
            forgotten: now,
            gap: None,
            started: now,
            last_answer: None,
            archiving: None,
            vantages,
            validated: Vec::with_capacity(MAX_VALIDATED),
            numbers: Vec::new(),
        }
    }

    /// Adds a query to the log of its owner. `follow` gets it, too. Names without an owner are left out. `is_own`:
    /// whether the daemon itself has asked.
    pub fn add(
        &mut self,
        present: Present<'_>,
        query: BufferedQuery<'_>,
        is_own: bool,
        follow: impl FnOnce(&Owner, &NewQuery<'_>),
    ) {
        let mut buffer = [0; MAX_NAME];
        let name = NameRef::lowered(query.name, &mut buffer);
        let Some((index, state)) = self.index_of_name(present.zones, name, &query.record) else { return };
        let QueryRecord { at, serial, .. } = query.record;
        let new = NewQuery { traits: self.traits(&query, is_own), at, serial, sent: query.name };
        let limit = self.limits.per_owner;
        let mut numbers = std::mem::take(&mut self.numbers);
        let mut validated = std::mem::take(&mut self.validated);
        self.change(index, |log| {
            log.add(&new, query.values(), limit, &mut numbers, |number| note(&mut validated, (index, number)));
            follow(&log.owner, &new);
        });
        (self.numbers, self.validated) = (numbers, validated);
        if let Some((state, serial)) = state {
            // Nobody told an owner's log of the commits before there was one.
            let found = OwnerChange { at: present.at, serial, is_commit: false, now: present.now };
            self.change(index, |log| log.published(values_of(&state), found));
        }
        if let Some(archiving) = &mut self.archiving {
            archiving.open.insert(index);
        }
        if !is_own && query.values().next().is_some() {
            self.note_answer(index, &new, &query);
        }
        self.stay_within_memory();
    }

    /// Has `vantages` learn from the values that other networks have got. That takes longer than to add a query, so it is not
    /// done for each.
    pub fn learn(&mut self) {
        for (index, number) in self.validated.drain(..) {
            if let Some(log) = self.logs.get_mut(index) {
                log.teach(&self.vantages, number);
            }
        }
    }

    /// Takes note of what an owner holds since a change; `None`: the owner exists no more.
    pub fn apply(&mut self, owner: &Owner, state: Option<&OwnerState>, change: OwnerChange) {
        let Some(name) = name_of(owner) else { return };
        let Some(state) = state else { return self.forget(&name) };
        let known = self.index.get(&name).copied();
        // Names without values are many, and tell nothing before somebody asks for them.
        if known.is_none() && values_of(state).next().is_none() {
            return;
        }
        let index = known.unwrap_or_else(|| self.insert(owner.clone(), name, change.serial));
        self.change(index, |log| log.published(values_of(state), change));
        self.stay_within_memory();
    }

    /// Compares everything with the zones, after changes were missed. `known`: the last moment before at which none were.
    pub fn refresh(&mut self, Present { zones, at, now }: Present<'_>, known: PreciseTimestamp) {
        self.gap = Some(ChangeGap { from: known, until: at }.with(self.gap));
        for index in self.logs.indices() {
            let Some(log) = self.logs.get(index) else { continue };
            let owner = log.owner.clone();
            let (state, serial) = state_of(zones, &owner).unwrap_or((None, log.changed()));
            self.apply(&owner, state.as_ref(), OwnerChange { at, serial, is_commit: false, now });
        }
    }

    /// Takes note that queries were lost before `at`.
    pub fn lost(&mut self, at: PreciseTimestamp) {
        self.complete_since = at;
    }

    /// What is known of an owner.
    pub fn evidence(&self, present: Present<'_>, owner: &Owner) -> OwnerEvidence {
        let index = name_of(owner).and_then(|name| self.index.get(&name).copied());
        let log = index.and_then(|index| self.logs.get(index));
        let mut evidence = match log {
            Some(log) => log.evidence(self.complete_since),
            None => OwnerEvidence {
                owner: owner.clone(),
                complete_since: self.complete_since.max(self.forgotten),
                gap: None,
                queries: Vec::new(),
                values: Vec::new(),
            },
        };
        evidence.gap = self.gap;
        let (state, serial) = state_of(present.zones, owner).unwrap_or((None, Serial(0)));
        let held: Vec<HeldValue<'_>> = state.iter().flat_map(values_of).collect();
        let changed = log.map_or(serial, OwnerLog::changed);
        complete(&mut evidence.values, &held, Unheard { changed, serial, present });
        evidence
    }

    /// The end of the time of which an owner's values may not be known: because they were forgotten to stay within the memory
    /// limit, or were published while changes were missed. `None`: all are known.
    pub fn unknown_until(&self, owner: &Owner) -> Option<PreciseTimestamp> {
        let index = name_of(owner).and_then(|name| self.index.get(&name).copied());
        let log = index.and_then(|index| self.logs.get(index));
        let forgotten = log.map_or(self.forgotten, OwnerLog::complete_since);
        let until = self.gap.map_or(forgotten, |gap| gap.until.max(forgotten));
        (until > self.started).then_some(until)
    }

    /// The last answer with a published value since the start, those to the daemon itself left out.
    pub fn last_answer(&self) -> Option<&LastAnswer> {
        self.last_answer.as_ref()
    }

    /// How many owners have a log, and the bytes that all of it takes.
    pub fn usage(&self) -> (usize, usize) {
        (self.logs.len(), self.size)
    }

    /// Has queries collected for a file, from now on.
    pub fn archive(&mut self) {
        self.archiving = Some(Archiving::default());
    }

    /// Takes the queries that will not change after `now`, one batch at most; `None`: those that may, too.
    pub fn take_finished(&mut self, now: Option<PreciseTimestamp>) -> FinishedQueries {
        let Some(archiving) = &mut self.archiving else { return FinishedQueries::default() };
        let mut finished = std::mem::take(&mut archiving.finished);
        for index in std::mem::take(&mut archiving.open) {
            let log = self.logs.get_mut(index);
            let is_left = log.is_some_and(|log| log.take_finished(now, &mut finished));
            if is_left {
                archiving.open.insert(index);
            }
        }
        finished
    }

    fn traits(&self, query: &BufferedQuery<'_>, is_own: bool) -> QueryTraits {
        let record = query.record;
        let source = if self.limits.is_private { QueryNetwork::of(record.source).address() } else { record.source };
        QueryTraits {
            source,
            is_own,
            transport: record.transport,
            listener: Endpoint::of(record.listener),
            rtype: record.rtype,
            is_below: record.is_below,
            edns_size: record.edns_size,
            dnssec_ok: record.dnssec_ok,
            cookie: record.cookie,
            rcode: record.rcode,
            outcome: record.outcome,
            is_truncated: record.is_truncated,
        }
    }

    fn note_answer(&mut self, index: u32, new: &NewQuery<'_>, query: &BufferedQuery<'_>) {
        // One a second is enough for people, and a flood costs nothing more.
        let is_recent = |last: &LastAnswer| last.query.at.seconds() == new.at.seconds();
        if self.last_answer.as_ref().is_some_and(is_recent) {
            return;
        }
        let owner = self.logs.get(index).map(|log| log.owner.clone());
        self.last_answer = owner.map(|owner| LastAnswer { owner, query: new.told(query.values()) });
    }

    /// The log of the owner with this name. If it is a new one, also what the owner holds, and the zone's serial with that.
    fn index_of_name(
        &mut self,
        zones: &[Zone],
        name: NameRef<'_>,
        query: &QueryRecord,
    ) -> Option<(u32, Option<(OwnerState, Serial)>)> {
        let is_below = query.is_below;
        if let Some(&index) = self.index.get(name.as_wire()).filter(|_| !is_below) {
            return Some((index, None));
        }
        let FoundOwner { owner, name, state, serial } = owner_of(zones, name, is_below)?;
        if let Some(&index) = self.index.get(&name) {
            return Some((index, None));
        }
        let index = self.insert(owner, name, query.serial);
        if let Some(state) = &state {
            // Publications are dated in whole seconds, so one of this second may have come after the query.
            let second = query.at.seconds();
            self.change(index, |log| log.held(values_of(state).filter(|value| value.published < second)));
        }
        Some((index, state.map(|state| (state, serial))))
    }

    fn insert(&mut self, owner: Owner, name: Name, changed: Serial) -> u32 {
        let log = OwnerLog::new(owner, name.clone(), self.forgotten, changed);
        self.size += log.size() + PER_OWNER;
        let index = self.logs.insert(log);
        self.index.insert(name, index);
        index
    }

    /// Changes a log, which is the newest from now on.
    fn change(&mut self, index: u32, change: impl FnOnce(&mut OwnerLog)) {
        let Some(log) = self.logs.touch(index) else { return };
        let before = log.size();
        change(log);
        self.size = self.size - before + log.size();
    }

    fn stay_within_memory(&mut self) {
        while self.size > self.limits.memory
            && let Some(oldest) = self.logs.oldest()
        {
            if let Some(mut log) = self.remove(oldest) {
                self.forgotten = self.forgotten.max(log.last_change());
                if let Some(archiving) = &mut self.archiving {
                    log.take_finished(None, &mut archiving.finished);
                    archiving.finished.lost += log.unarchived();
                }
            }
        }
    }

    fn forget(&mut self, name: &Name) {
        if let Some(index) = self.index.get(name).copied() {
            self.remove(index);
        }
    }

    fn remove(&mut self, index: u32) -> Option<OwnerLog> {
        if self.validated.iter().any(|(validated, _)| *validated == index) {
            self.learn();
        }
        let log = self.logs.remove(index)?;
        self.size -= log.size() + PER_OWNER;
        self.index.remove(&log.name);
        Some(log)
    }
}

/// Takes note of a value to learn from; false where there is no room. The value comes again with its next network.
fn note(validated: &mut Vec<(u32, u16)>, value: (u32, u16)) -> bool {
    let has_room = validated.len() < MAX_VALIDATED;
    if has_room {
        validated.push(value);
    }
    has_room
}

/// Changes of an owner of which the log has not heard.
#[derive(Clone, Copy)]
struct Unheard<'z> {
    /// The zone's serial with the last change of which it has.
    changed: Serial,
    /// The zone's serial now.
    serial: Serial,
    present: Present<'z>,
}

/// Adds the values that were published before the log knew of their owner, and the end of those that have expired.
fn complete(values: &mut Vec<ValueEvidence>, held: &[HeldValue<'_>], unheard: Unheard<'_>) {
    let Present { at, now, .. } = unheard.present;
    for value in values.iter_mut().filter(|value| value.retired.is_none()) {
        match held.iter().find(|held| held.text == value.value) {
            Some(held) if held.is_live(now.running) => {}
            Some(held) => {
                value.retired = held.expires.map(|expires| now.date_of(expires).into());
                value.serials.is_expired = true;
            }
            None => {
                value.retired = Some(at);
                value.serials.until = Some(unheard.changed.one_more());
            }
        }
    }
    let is_known = |held: &&HeldValue<'_>, values: &[ValueEvidence]| {
        values.iter().any(|value| value.retired.is_none() && value.value == held.text)
    };
    let missing: Vec<&HeldValue<'_>> =
        held.iter().filter(|held| held.is_live(now.running) && !is_known(held, values)).collect();
    values.extend(missing.into_iter().map(|held| {
        // Its change is on its way if it was published in this second.
        let is_new = held.published == at.seconds();
        ValueEvidence {
            value: held.text.to_owned(),
            published: if is_new { at } else { held.published.into() },
            retired: None,
            serials: ServedSerials { since: is_new.then_some(unheard.serial), ..ServedSerials::default() },
            networks: Vec::new(),
        }
    }));
    values.sort_by_key(|value| std::cmp::Reverse(value.published));
}
