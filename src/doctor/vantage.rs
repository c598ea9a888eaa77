//! Checks of what recursive resolvers elsewhere see.

mod resolvers;

use super::check::Check;

/// The checks, from causes to effects.
pub const CHECKS: &[&Check] = &[&resolvers::CHECK];
