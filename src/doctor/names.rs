//! Checks of the names of certificates.

mod caa;
mod challenge;
mod dnssec;
mod domains;
mod issuer;
pub mod known;
mod own;
mod records;
mod zone;

use super::check::Check;

/// The checks, from causes to effects.
pub const CHECKS: &[&Check] = &[&zone::CHECK, &dnssec::CHECK, &challenge::CHECK, &caa::CHECK];
