//! Random waits, so that many clients that wait for the same event do not come back at the same time.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

/// A random time between zero and `whole`.
pub fn jitter(whole: Duration) -> Duration {
    let mut bytes = [0; 4];
    let share = match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_ne_bytes(bytes)) / 4_294_967_296.0,
        // Without randomness, half of it is as good as any other share.
        Err(_) => 0.5,
    };
    whole.mul_f64(share)
}

/// Sleeps for `time`, and up to a tenth longer.
pub async fn pause(time: Duration) {
    tokio::time::sleep(time + jitter(time / 10)).await;
}
