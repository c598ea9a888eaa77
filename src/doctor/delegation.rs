//! Checks of the delegation of the zones.

mod authority;
mod chain;
mod content;
mod delegated;
mod ds;
mod glue;
mod names;
mod nameservers;
mod parent;
mod reachable;
mod strictness;

use super::check::Check;

/// The checks, from causes to effects.
pub const CHECKS: &[&Check] = &[
    &parent::CHECK,
    &chain::CHECK,
    &delegated::CHECK,
    &nameservers::CHECK,
    &names::CHECK,
    &glue::CHECK,
    &reachable::CHECK,
    &authority::CHECK,
    &strictness::CHECK,
    &content::CHECK,
    &ds::CHECK,
];
