//! The one DNS client of this program: for checks of the DNS around the server and for the operator's commands.
//!
//! A [`DnsClient`] asks in two ways. Recursive resolvers answer for the DNS at large, as they do for a CA: where a CNAME
//! leads, which CAs may issue, who serves a zone. A direct question goes to one nameserver, as from a resolver on its way
//! down from the root. All clones of a client share one limit of questions under way. The client caches nothing, because
//! somebody has usually just changed the records that are checked. The daemon's own answers never wait for this client.

mod address;
mod blocking;
mod client;
mod direct;
mod error;
mod exchange;
mod names;
mod recursion;
mod recursive;
mod reply;
mod strict;
mod upstream;

pub use address::{DNS_PORT, server_address};
pub use blocking::BlockingDnsClient;
pub use client::{Detours, DnsClient};
pub use direct::Protocol;
pub use error::{AskError, LookupError, MAX_CHAIN};
pub use reply::DnsReply;
pub use strict::StrictReply;
pub use upstream::{Upstream, UpstreamError};

#[cfg(test)]
pub(crate) mod tests;
