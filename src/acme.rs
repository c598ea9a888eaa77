//! The daemon as a client of a certificate authority (RFC 8555).
//!
//! One client of our own for all of it, and no library beside it: what a daemon needs that must not lose an account at
//! any moment (every key on disk before the CA sees it, both kept until the CA has said which one it knows, a
//! deactivation that is believed only when the CA says so, the wait that a busy CA asks for) goes through every layer
//! of a client down to its nonces. The cryptography is ring's, HTTP hyper's, certificate requests rcgen's.
//!
//! From the bottom up: [`key`] signs, [`jws`] is what is signed, [`http`] carries it, [`problem`] is what the CA says
//! when it refuses; [`client`] is a CA by its [`directory`], [`account`] is ours there, kept by [`state`].

pub mod account;
pub mod authority;
pub mod certificate;
pub mod client;
pub mod directory;
pub mod error;
pub mod http;
pub mod jws;
pub mod key;
pub mod order;
pub mod problem;
pub mod retry_after;
pub mod revocation;
pub mod state;

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

pub use authority::Authority;
pub use error::AcmeError;

/// A random share of a time, from nothing to all of it: so that many that wait for the same do not come at once.
pub fn jitter(whole: Duration) -> Duration {
    let mut bytes = [0; 4];
    // Without randomness half of it is as good as anything.
    let share =
        SystemRandom::new().fill(&mut bytes).map_or(0.5, |()| f64::from(u32::from_ne_bytes(bytes)) / 4_294_967_296.0);
    whole.mul_f64(share)
}

/// Waits for a time and up to a tenth more.
async fn pause(time: Duration) {
    tokio::time::sleep(time + jitter(time / 10)).await;
}
