//! What the tests are made of: the daemon as a process, a builder of DNS messages, an HTTP client that hides nothing.

pub mod account;
pub mod browser;
pub mod ca_lab;
pub mod clock;
pub mod dns;
pub mod follower;
pub mod http;
pub mod internet;
pub mod kill;
pub mod lab;
pub mod nameserver;
pub mod pebble;
pub mod ports;
pub mod process;
pub mod quic;
pub mod receiver;
pub mod resolver;
pub mod settings;
pub mod signer;
pub mod standin;
pub mod tls;
pub mod tsig;
pub mod update;
pub mod upstream;
pub mod watch;

use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

pub use account::Account;
pub use process::{Home, Launch, Process};
pub use settings::{Settings, ZONE};
pub use watch::Watch;

/// How long anything that must happen may take on a slow machine that runs many tests at once.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long the daemon waits at its end for what is under way; an idle connection must not use it up.
pub const GRACE: Duration = Duration::from_secs(10);

/// Reports a check that cannot run here, and fails with `CI=true`, where every check has to run.
///
/// The report goes to standard error itself: the test harness hides what a passing test prints with `eprintln!`. It also
/// becomes a line of the file that `TXTGATE_TEST_SKIPPED` names, from which `tests/run` counts.
pub fn skip(what: &str, why: &str) {
    _ = std::io::stderr().write_all(format!("\nSKIPPED: {what}: {why}\n").as_bytes());
    if let Some(path) = std::env::var_os("TXTGATE_TEST_SKIPPED") {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(format!("{what}: {why}\n").as_bytes()).unwrap();
    }
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
