//! Sockets: binding them, taking them over from systemd, and keeping the number of open connections in bounds; and whom
//! our own clients trust.
//!
//! DNS over TCP and the HTTP API share all of this, so that one rule holds for both: under a flood the longest idle
//! connection makes room for the new one.

pub mod accept;
pub mod bind;
pub mod connections;
pub mod dns_client;
mod holder;
pub mod inherited;
pub mod jitter;
pub mod rate_limiter;
pub mod roots;
pub mod tls;
