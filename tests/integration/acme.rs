//! The daemon as a client of a certificate authority: a real one (pebble), and a stand-in for what that never does.

mod account;
mod damaged;
mod faults;
mod hooks;
mod kill;
mod labels;
pub mod managed;
mod methods;
mod optional;
mod own;
#[cfg(feature = "pkcs12")]
mod pkcs12;
mod placement;
mod progress;
mod replacement;
mod revocation;
mod subset;
