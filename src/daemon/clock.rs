//! Logs an error while the machine's clock is implausible: the daemon signs nothing then, and otherwise only validating
//! resolvers elsewhere would notice.

use std::time::Duration;

use tracing::{error, info};

use crate::model::time::Behind;
use crate::publisher::Publisher;

/// Between two looks.
const ROUND: Duration = Duration::from_secs(10);

/// Looks at the clock now and every 10 seconds, for as long as the daemon runs.
pub async fn keep_looking(publisher: Publisher) {
    let mut rounds = tokio::time::interval(ROUND);
    let mut was_behind = false;
    loop {
        rounds.tick().await;
        let is_signed = publisher.zones().load().iter().any(|zone| zone.signing.is_some());
        let behind = publisher.machine_clock().err().filter(|_| is_signed);
        match behind {
            Some(behind) if !was_behind => say(behind),
            None if was_behind => info!("the machine's clock is believed again: what is asked for is signed"),
            _ => {}
        }
        was_behind = behind.is_some();
    }
}

fn say(behind: Behind) {
    error!(
        "{behind}: nothing new is signed, and validating resolvers get SERVFAIL. Set it right; if it is right, and was \
         ahead then, run `txtgate dnssec trust-clock`"
    );
}
