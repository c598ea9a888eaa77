//! How the store is: what the last write came to, what takes too long, and which damage was seen.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::StoreError;

/// How long a read or a write may take before the disk counts as stalled.
const STALL: Duration = Duration::from_secs(5);
/// How long after the last write the next heartbeat comes: while writing works, and while it does not.
const HEARTBEAT: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(2)];

/// What is known of the store's state.
#[derive(Debug, Default)]
pub(super) struct Health {
    pub reading: Stopwatch,
    pub writing: Stopwatch,
    /// Damage stays until the next start, which looks through the whole database.
    damage: Mutex<Option<StoreError>>,
    last_write: Mutex<LastWrite>,
}

#[derive(Debug, Default)]
struct LastWrite {
    at: Option<Instant>,
    problem: Option<StoreError>,
}

impl Health {
    /// Takes note of damage that a read or write has met. While it is there nothing is acknowledged.
    pub fn note_damage(&self, error: &StoreError) {
        let mut damage = lock(&self.damage);
        if damage.is_none() && matches!(error, StoreError::Corrupt(_)) {
            error!("changes are refused from now on: {error}");
            *damage = Some(error.clone());
        }
    }

    /// Fails where a read or write has met damage.
    pub fn is_whole(&self) -> Result<(), StoreError> {
        lock(&self.damage).clone().map_or(Ok(()), Err)
    }

    /// Takes note of what a write has come to.
    pub fn wrote(&self, outcome: Result<(), &StoreError>) {
        if let Err(error) = outcome {
            self.note_damage(error);
        }
        let problem = outcome.err().filter(|error| !error.is_of_one_change()).cloned();
        let mut last = lock(&self.last_write);
        last.at = Some(Instant::now());
        match (&last.problem, &problem) {
            (Some(former), Some(error)) if former.reason() == error.reason() => {}
            (_, Some(error)) => error!("changes cannot be stored, and DNS goes on: {error}"),
            (Some(_), None) => info!("changes can be stored again"),
            (None, None) => {}
        }
        last.problem = problem;
    }

    /// How long to wait for a change before the heartbeat tries whether one could be written.
    pub fn until_heartbeat(&self) -> Duration {
        let last = lock(&self.last_write);
        let period = HEARTBEAT[usize::from(last.problem.is_some())];
        last.at.map_or(period, |at| period.saturating_sub(at.elapsed()))
    }

    /// Why a change could not be stored now, as far as is known.
    pub fn problem(&self) -> Option<StoreError> {
        let checks = [self.writing.is_running_well(), self.reading.is_running_well(), self.is_whole()];
        checks.into_iter().find_map(Result::err).or_else(|| lock(&self.last_write).problem.clone())
    }
}

/// Since when something has been under way.
#[derive(Debug, Default)]
pub(super) struct Stopwatch(Mutex<Option<Instant>>);

impl Stopwatch {
    /// Runs until the returned guard is dropped.
    pub fn start(&self) -> Running<'_> {
        *lock(&self.0) = Some(Instant::now());
        Running(self)
    }

    /// Fails where what is under way takes too long.
    pub fn is_running_well(&self) -> Result<(), StoreError> {
        let elapsed = lock(&self.0).map_or(Duration::ZERO, |since| since.elapsed());
        if elapsed < STALL { Ok(()) } else { Err(StoreError::Stalled(elapsed)) }
    }
}

#[derive(Debug)]
pub(super) struct Running<'a>(&'a Stopwatch);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *lock(&self.0.0) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
