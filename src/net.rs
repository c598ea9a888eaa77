//! Sockets, TLS and the DNS client.
//!
//! Sockets are bound here or taken over from systemd. DNS over TCP and the HTTP API share the accept loop and the limits
//! on open connections: under a flood the connection that has been idle longest makes room for the new one.

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
