//! `kill -9` in the middle of somebody's writing, again and again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Home, Process, until};

/// Each round: all writers at once, a kill at a moment that differs, a restart, and a look at what each has lost. In every
/// second round that moment comes after an acknowledgement, however slow the machine is.
///
/// `write` takes a number for each thing that it writes, over and over until the daemon is gone; `lost` counts what the daemon
/// acknowledged and does not have. Returns what was lost in all.
pub fn rounds<W: Sync>(
    home: &Home,
    mut daemon: Process,
    rounds: u64,
    writers: &[W],
    write: impl Fn(&W, &Process, &AtomicU64) + Sync,
    lost: impl Fn(&W, &Process) -> usize,
) -> usize {
    let next = AtomicU64::new(0);
    let mut sum = 0;
    for round in 0..rounds {
        std::thread::scope(|scope| {
            let (daemon, write, next) = (&daemon, &write, &next);
            let first = next.load(Ordering::Relaxed);
            writers.iter().for_each(|writer| _ = scope.spawn(move || write(writer, daemon, next)));
            if round % 2 == 1 {
                // One of them has taken its second number.
                let taken = || next.load(Ordering::Relaxed) - first;
                until("somebody's writing is acknowledged", || taken() > writers.len() as u64);
            }
            // From before the first reply to well into the stream of them; 97 has no common factor with 61.
            std::thread::sleep(Duration::from_millis(20 + round * 97 % 61));
            daemon.signal(rustix::process::Signal::KILL);
        });
        drop(daemon);
        daemon = home.start();
        sum += writers.iter().map(|writer| lost(writer, &daemon)).sum::<usize>();
    }
    sum
}

/// Another number for each who asks.
pub fn another(next: &AtomicU64) -> u64 {
    next.fetch_add(1, Ordering::Relaxed)
}
