//! How long a new token is valid, of either kind.

use std::time::Duration;

use crate::model::time::Span;

use super::super::error::Failure;

/// The longest that a token can be valid.
const MAX_LIFETIME: Duration = Duration::from_secs(400 * 86_400);

/// The lifetime in a request, or else the usual one.
pub fn of_request(requested: Option<Span>, usual: Duration) -> Result<Duration, Failure> {
    let lifetime = requested.map_or(usual, |lifetime| lifetime.0);
    if lifetime.is_zero() || lifetime > MAX_LIFETIME {
        return Err(Failure::field("bad_lifetime", "lifetime", "write from 1s to 400d"));
    }
    Ok(lifetime)
}
