//! Checks that every loop of the daemon still runs.

use std::time::{Duration, Instant};

/// How long a loop may stall. Each loop runs several times a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// The watched loops, and when each last made progress.
#[derive(Default)]
pub struct Watchdog {
    loops: Vec<Loop>,
}

struct Loop {
    name: &'static str,
    /// Whether the loop has made progress since the last call.
    has_moved: Box<dyn FnMut() -> bool + Send>,
    at: Instant,
}

impl std::fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.loops.iter().map(|looped| looped.name)).finish()
    }
}

impl Watchdog {
    /// Watches a loop that counts its iterations.
    pub fn watch(&mut self, name: &'static str, count: impl Fn() -> u64 + Send + 'static) {
        let mut seen = 0;
        self.watch_alive(name, move || std::mem::replace(&mut seen, count()) != seen);
    }

    /// Watches a thread that may stall for good reasons, but must not end.
    pub fn watch_alive(&mut self, name: &'static str, is_alive: impl FnMut() -> bool + Send + 'static) {
        self.loops.push(Loop { name, has_moved: Box::new(is_alive), at: Instant::now() });
    }

    /// The first loop that has stalled for more than 10 seconds.
    pub fn stopped(&mut self) -> Option<&'static str> {
        let now = Instant::now();
        for looped in &mut self.loops {
            if (looped.has_moved)() {
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
    fn a_stalled_loop_is_named() {
        let rounds = Arc::new(AtomicU64::new(7));
        let counted = rounds.clone();
        let mut watchdog = Watchdog::default();
        watchdog.watch("counting", move || counted.load(Ordering::Relaxed));
        watchdog.watch_alive("waiting", || true);
        assert_eq!(stopped_later(&mut watchdog), None);
        rounds.store(8, Ordering::Relaxed);
        assert_eq!(stopped_later(&mut watchdog), None);
        assert_eq!(stopped_later(&mut watchdog), Some("counting"));
    }

    fn stopped_later(watchdog: &mut Watchdog) -> Option<&'static str> {
        watchdog.loops.iter_mut().for_each(|looped| looped.at -= 2 * PATIENCE);
        watchdog.stopped()
    }
}
