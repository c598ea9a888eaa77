//! Whether every loop still goes round.

use std::time::{Duration, Instant};

/// How long a loop may stand still. Each goes round several times a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// The loops, and when each was last seen to have gone round.
#[derive(Default)]
pub struct Watchdog {
    loops: Vec<Loop>,
}

struct Loop {
    name: &'static str,
    /// Whether it has gone round since it was last asked.
    moved: Box<dyn FnMut() -> bool + Send>,
    at: Instant,
}

impl std::fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.loops.iter().map(|looped| looped.name)).finish()
    }
}

impl Watchdog {
    /// Watches a loop that counts its rounds.
    pub fn watch(&mut self, name: &'static str, count: impl Fn() -> u64 + Send + 'static) {
        let mut seen = 0;
        self.watch_alive(name, move || std::mem::replace(&mut seen, count()) != seen);
    }

    /// Watches a thread that may stand still for good reasons, but must be there.
    pub fn watch_alive(&mut self, name: &'static str, moved: impl FnMut() -> bool + Send + 'static) {
        self.loops.push(Loop { name, moved: Box::new(moved), at: Instant::now() });
    }

    /// The first loop that has stood still for over 10 seconds of being looked at.
    pub fn stopped(&mut self) -> Option<&'static str> {
        let now = Instant::now();
        for looped in &mut self.loops {
            if (looped.moved)() {
                looped.at = now;
            }
        }
        self.loops.iter().find(|looped| now.duration_since(looped.at) > PATIENCE).map(|looped| looped.name)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_loop_that_stands_still_is_named() {
        let rounds = Arc::new(AtomicU64::new(7));
        let counted = rounds.clone();
        let mut watchdog = Watchdog::default();
        watchdog.watch("counting", move || counted.load(Ordering::Relaxed));
        watchdog.watch_alive("waiting", || true);
        let later = |watchdog: &mut Watchdog| {
            watchdog.loops.iter_mut().for_each(|looped| looped.at -= 2 * PATIENCE);
            watchdog.stopped()
        };
        assert_eq!(later(&mut watchdog), None);
        rounds.store(8, Ordering::Relaxed);
        assert_eq!(later(&mut watchdog), None);
        assert_eq!(later(&mut watchdog), Some("counting"));
    }
}
