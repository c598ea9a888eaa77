//! Sockets, TLS and the DNS client.
//!
//! Sockets are bound here or taken over from systemd. DNS over TCP and the HTTP API share the accept loop and the limits
//! on open connections: under a flood the connection that has been idle longest makes room for the new one.

pub mod accept;
pub mod bind;
pub mod connections;
pub mod dns_client;
pub mod dnstap;
mod holder;
pub mod https;
pub mod idle;
pub mod inherited;
pub mod interfaces;
pub mod jitter;
pub mod own_sockets;
pub mod proxy_protocol;
pub mod rate_limiter;
pub mod roots;
pub mod tls;
