//! The order of the jobs: fair between kinds, then between the prefixes of clients.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::model::prefix::Prefix;

/// The most jobs of each kind that wait: as many as the API has connections. So a fleet behind one address that comes back
/// all at once after a restart is served, some seconds late, rather than refused.
pub const PER_KIND: usize = 1_024;
/// The most jobs of one kind from one failing prefix that wait.
const PER_FAILING_PREFIX: usize = 64;
/// How long a prefix counts as failing after a wrong key.
const FAILING: Duration = Duration::from_secs(60);
/// The most failing prefixes in the table. A full table is emptied.
const MAX_FAILING: usize = 4_096;
/// One job in this many is of a failing prefix, whatever else waits: a client that shares an address with a broken one
/// waits longer, but not for ever.
const FAILING_SHARE: u32 = 8;

/// The purpose of a hash. Each kind has a queue of its own, and they take turns, so that neither starves the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A login.
    Verify,
    /// A new key.
    New,
}

/// The waiting jobs. `J` is the type of a job; tests use numbers.
pub struct Queue<J> {
    verify: Lane<J>,
    new: Lane<J>,
    turn: Kind,
    failing: HashMap<Prefix, Instant>,
    closed: bool,
}

impl<J> Default for Queue<J> {
    fn default() -> Self {
        Self {
            verify: Lane::default(),
            new: Lane::default(),
            turn: Kind::Verify,
            failing: HashMap::new(),
            closed: false,
        }
    }
}

impl<J> Queue<J> {
    /// Adds a job. Returns `false` if there is no room.
    pub fn push(&mut self, kind: Kind, prefix: Prefix, job: J, now: Instant) -> bool {
        let failing = self.failing.get(&prefix).is_some_and(|then| now.duration_since(*then) < FAILING);
        let lane = match kind {
            Kind::Verify => &mut self.verify,
            Kind::New => &mut self.new,
        };
        !self.closed && lane.push(prefix, failing, job)
    }

    /// Takes the next job.
    pub fn pop(&mut self) -> Option<J> {
        let job = match self.turn {
            Kind::Verify => self.verify.pop().or_else(|| self.new.pop()),
            Kind::New => self.new.pop().or_else(|| self.verify.pop()),
        }?;
        self.turn = if self.turn == Kind::Verify { Kind::New } else { Kind::Verify };
        Some(job)
    }

    /// Notes that a client of this prefix came with a wrong key.
    pub fn failed(&mut self, prefix: Prefix, now: Instant) {
        if self.failing.len() >= MAX_FAILING {
            self.failing.retain(|_, then| now.duration_since(*then) < FAILING);
        }
        if self.failing.len() >= MAX_FAILING {
            // So many at once are a flood from everywhere: which prefix came first no longer matters.
            self.failing.clear();
        }
        self.failing.insert(prefix, now);
    }

    /// Accepts no more jobs, and returns those that wait.
    pub fn close(&mut self) -> Vec<J> {
        self.closed = true;
        std::iter::from_fn(|| self.pop()).collect()
    }

    /// Whether the queue is closed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

struct Lane<J> {
    good: Rota<J>,
    failing: Rota<J>,
    served: u32,
}

impl<J> Default for Lane<J> {
    fn default() -> Self {
        Self { good: Rota::default(), failing: Rota::default(), served: 0 }
    }
}

impl<J> Lane<J> {
    fn push(&mut self, prefix: Prefix, failing: bool, job: J) -> bool {
        if failing && self.failing.of(prefix) >= PER_FAILING_PREFIX {
            return false;
        }
        let full = self.good.jobs + self.failing.jobs >= PER_KIND;
        if full && !self.makes_room_for(prefix, failing) {
            return false;
        }
        let rota = if failing { &mut self.failing } else { &mut self.good };
        rota.push(prefix, job);
        true
    }

    /// Drops a job to make room for a prefix that does not fail: one of a failing prefix, or of the prefix with the most
    /// jobs.
    fn makes_room_for(&mut self, prefix: Prefix, failing: bool) -> bool {
        !failing && (self.failing.drop_newest() || self.good.drop_of_longest(self.good.of(prefix) + 1))
    }

    fn pop(&mut self) -> Option<J> {
        let is_turn_of_failing = self.served % FAILING_SHARE == FAILING_SHARE - 1;
        let job = if is_turn_of_failing {
            self.failing.pop().or_else(|| self.good.pop())
        } else {
            self.good.pop().or_else(|| self.failing.pop())
        }?;
        self.served = self.served.wrapping_add(1);
        Some(job)
    }
}

/// Jobs by prefix. Each prefix gets one job done in turn.
struct Rota<J> {
    turns: VecDeque<Prefix>,
    waiting: HashMap<Prefix, VecDeque<J>>,
    jobs: usize,
}

impl<J> Default for Rota<J> {
    fn default() -> Self {
        Self { turns: VecDeque::new(), waiting: HashMap::new(), jobs: 0 }
    }
}

impl<J> Rota<J> {
    fn of(&self, prefix: Prefix) -> usize {
        self.waiting.get(&prefix).map_or(0, VecDeque::len)
    }

    fn push(&mut self, prefix: Prefix, job: J) {
        let jobs = self.waiting.entry(prefix).or_default();
        if jobs.is_empty() {
            self.turns.push_back(prefix);
        }
        jobs.push_back(job);
        self.jobs += 1;
    }

    fn pop(&mut self) -> Option<J> {
        let prefix = self.turns.pop_front()?;
        let jobs = self.waiting.get_mut(&prefix)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.waiting.remove(&prefix);
        } else {
            self.turns.push_back(prefix);
        }
        self.jobs -= 1;
        job
    }

    /// Drops the last job of the prefix whose turn comes last. Returns `false` if there is none.
    fn drop_newest(&mut self) -> bool {
        self.turns.back().copied().is_some_and(|prefix| self.drop_of(prefix))
    }

    /// Drops the last job of the prefix with the most jobs. Returns `false` if no prefix has more than `limit`. Looks at every
    /// prefix: a hash costs a thousand times as much.
    fn drop_of_longest(&mut self, limit: usize) -> bool {
        let longest = self.waiting.iter().max_by_key(|(_, jobs)| jobs.len());
        let longest = longest.filter(|(_, jobs)| jobs.len() > limit).map(|(prefix, _)| *prefix);
        longest.is_some_and(|prefix| self.drop_of(prefix))
    }

    fn drop_of(&mut self, prefix: Prefix) -> bool {
        let Some(jobs) = self.waiting.get_mut(&prefix) else { return false };
        jobs.pop_back();
        self.jobs -= 1;
        if jobs.is_empty() {
            self.waiting.remove(&prefix);
            self.turns.retain(|turn| *turn != prefix);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(last: usize) -> Prefix {
        let [.., high, low] = last.to_be_bytes();
        Prefix::V4([10, high, low])
    }

    fn order(queue: &mut Queue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn prefixes_take_turns() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for (from, job) in [(1, 10), (1, 11), (1, 12), (2, 20), (3, 30)] {
            assert!(queue.push(Kind::Verify, prefix(from), job, now));
        }
        assert_eq!(order(&mut queue), [10, 20, 30, 11, 12]);
    }

    #[test]
    fn kinds_take_turns() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for job in 0..3 {
            queue.push(Kind::Verify, prefix(1), job, now);
            queue.push(Kind::New, prefix(2), job + 10, now);
        }
        queue.push(Kind::New, prefix(3), 13, now);
        assert_eq!(order(&mut queue), [0, 10, 1, 13, 2, 11, 12]);
    }

    #[test]
    fn failing_prefixes_come_last_but_not_never() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.failed(prefix(1), now);
        for job in 100..102 {
            queue.push(Kind::Verify, prefix(1), job, now);
        }
        for job in 0..10 {
            queue.push(Kind::Verify, prefix(2), job, now);
        }
        assert_eq!(order(&mut queue), [0, 1, 2, 3, 4, 5, 6, 100, 7, 8, 9, 101]);
        let later = now + FAILING;
        queue.push(Kind::Verify, prefix(1), 200, later);
        queue.push(Kind::Verify, prefix(2), 1, later);
        assert_eq!(order(&mut queue), [200, 1]);
    }

    #[test]
    fn a_fleet_fills_the_queue_and_makes_room_for_others() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let pushed = (0..2_000).filter(|job| queue.push(Kind::Verify, prefix(1), *job, now)).count();
        assert_eq!(pushed, PER_KIND);
        for other in 2..10 {
            assert!(queue.push(Kind::Verify, prefix(other), 9_000, now));
        }
        assert!(queue.push(Kind::New, prefix(1), 1, now), "the other kind has room");
        assert_eq!(order(&mut queue).len(), PER_KIND + 1);
    }

    #[test]
    fn a_failing_prefix_fills_its_share_only() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.failed(prefix(1), now);
        let pushed = (0..100).filter(|job| queue.push(Kind::Verify, prefix(1), *job, now)).count();
        assert_eq!(pushed, PER_FAILING_PREFIX);
    }

    #[test]
    fn whoever_fails_makes_room_for_whoever_does_not() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for from in 0..PER_KIND {
            queue.failed(prefix(from), now);
            assert!(queue.push(Kind::Verify, prefix(from), 0, now));
        }
        assert!(!queue.push(Kind::Verify, prefix(3), 0, now));
        assert!(queue.push(Kind::Verify, prefix(PER_KIND), 7, now));
        assert_eq!(queue.pop(), Some(7));
        assert_eq!(order(&mut queue).len(), PER_KIND - 1);
    }

    #[test]
    fn a_closed_queue_gives_its_jobs_back_and_takes_none() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.push(Kind::New, prefix(1), 1, now);
        assert_eq!(queue.close(), [1]);
        assert!(queue.is_closed() && !queue.push(Kind::New, prefix(1), 1, now));
    }
}
