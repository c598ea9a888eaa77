//! The daemon as a client of a certificate authority: a real one (pebble), and a stand-in for what that never does.

mod account;
mod own;
mod revocation;
