//! Whether every loop still goes round.

use std::time::{Duration, Instant};

/// How long a loop may stand still. Each goes round several times a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// A loop's name and its count.
type Loop = (&'static str, Box<dyn Fn() -> u64 + Send>);

/// The loops' counts, and when each was last seen to grow.
#[derive(Default)]
pub struct Pulse {
    loops: Vec<(Loop, u64, Instant)>,
}

impl std::fmt::Debug for Pulse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.loops.iter().map(|((name, _), ..)| name)).finish()
    }
}

impl Pulse {
    /// Watches a loop's count from now on.
    pub fn watch(&mut self, name: &'static str, count: impl Fn() -> u64 + Send + 'static) {
        self.loops.push(((name, Box::new(count)), 0, Instant::now()));
    }

    /// The first loop that has stood still for over 10 seconds of being looked at.
    pub fn stopped(&mut self) -> Option<&'static str> {
        let now = Instant::now();
        for ((_, count), seen, at) in &mut self.loops {
            let current = count();
            if current != *seen {
                (*seen, *at) = (current, now);
            }
        }
        self.loops.iter().find(|(.., at)| now.duration_since(*at) > PATIENCE).map(|((name, _), ..)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stands_still_is_named() {
        let mut pulse = Pulse::default();
        pulse.watch("moving", || 7);
        pulse.watch("stuck", || 0);
        assert_eq!(pulse.stopped(), None);
        for (.., at) in &mut pulse.loops {
            *at -= 2 * PATIENCE;
        }
        pulse.loops[0].1 = 6;
        assert_eq!(pulse.stopped(), Some("stuck"));
    }
}
