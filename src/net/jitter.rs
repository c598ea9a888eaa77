//! Random waits, so that many that wait for the same do not come back at once.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

/// A random share of `whole`: from nothing to all of it.
pub fn jitter(whole: Duration) -> Duration {
    let mut bytes = [0; 4];
    let share = match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_ne_bytes(bytes)) / 4_294_967_296.0,
        // Without randomness, half of it is as good as anything.
        Err(_) => 0.5,
    };
    whole.mul_f64(share)
}

/// Sleeps for `time` and up to a tenth more.
pub async fn pause(time: Duration) {
    tokio::time::sleep(time + jitter(time / 10)).await;
}
