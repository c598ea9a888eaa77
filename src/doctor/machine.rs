//! Checks of the machine, the daemon and its configuration.

mod addresses;
mod api;
mod authority;
mod clock;
mod configuration;
mod daemon;
mod database;
mod disk;
mod firewall;
mod limits;
mod listeners;
mod ports;

use super::check::Check;

/// The checks, from causes to effects.
pub const CHECKS: &[&Check] = &[
    &configuration::CHECK,
    &disk::CHECK,
    &database::CHECK,
    &ports::CHECK,
    &daemon::CHECK,
    &listeners::CHECK,
    &addresses::CHECK,
    &firewall::CHECK,
    &limits::CHECK,
    &authority::CHECK,
    &clock::CHECK,
    &api::CHECK,
];
