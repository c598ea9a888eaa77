//! What the tests are made of: the daemon as a process, a builder of DNS messages, an HTTP client that hides nothing.

pub mod account;
pub mod dns;
pub mod http;
pub mod internet;
pub mod kill;
pub mod nameserver;
pub mod pebble;
pub mod process;
pub mod quic;
pub mod resolver;
pub mod settings;
pub mod standin;
pub mod tls;
pub mod tsig;
pub mod update;
pub mod upstream;
pub mod watch;

use std::time::{Duration, Instant};

pub use account::Account;
pub use process::{Home, Launch, Process};
pub use settings::{Settings, ZONE};
pub use watch::Watch;

/// How long something that must happen may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Says loudly that a check was left out, and fails where nothing may be.
pub fn skip(what: &str, why: &str) {
    eprintln!("\n*** SKIP: {what}: {why}\n");
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{what} was skipped: {why}");
}

/// Waits until `done` says so.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A TXT value that differs with `number`.
pub fn value(number: u64) -> String {
    format!("{number:_>43}")
}
