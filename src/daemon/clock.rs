//! Logs an error when the machine's clock cannot be trusted. Nothing is signed then, and otherwise only validating
//! resolvers elsewhere would notice.

use std::time::Duration;

use tracing::{error, info};

use crate::model::time::Behind;
use crate::publisher::Publisher;

/// The time between two checks.
const ROUND: Duration = Duration::from_secs(10);

/// Checks the clock now and every 10 seconds, for as long as the daemon runs.
pub async fn keep_checking(publisher: Publisher) {
    let mut rounds = tokio::time::interval(ROUND);
    let mut was_behind = false;
    loop {
        rounds.tick().await;
        let is_signed = publisher.zones().load().iter().any(|zone| zone.signing.is_some());
        let behind = publisher.machine_clock().err().filter(|_| is_signed);
        match behind {
            Some(behind) if !was_behind => log(behind),
            None if was_behind => info!("the machine's clock is plausible again: answers are signed"),
            _ => {}
        }
        was_behind = behind.is_some();
    }
}

fn log(behind: Behind) {
    error!(
        "{behind}: nothing new is signed, and validating resolvers get SERVFAIL. Correct the clock. If it is right now and \
         was ahead before, run `txtgate dnssec trust-clock`"
    );
}
