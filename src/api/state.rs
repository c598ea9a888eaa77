//! What the endpoints of the public API work with.

use std::sync::Arc;

use axum::extract::FromRef;

use crate::crypto::key_issuer::KeyIssuer;
use crate::net::dns_client::DnsClient;
use crate::publisher::Publisher;

use super::client_ip::Clients;
use super::credentials::Credentials;
use super::open_streams::OpenStreams;
use super::query_feed::QueryFeed;
use super::register::Registrar;
use super::verdicts::Verdicts;

/// The handles go with each request as one reference. An endpoint takes the one or two that it needs out of them.
pub(super) type SharedState = Arc<PublicState>;

/// What the endpoints work with.
pub(super) struct PublicState {
    /// The write path.
    pub publisher: Publisher,
    /// Verifies API keys.
    pub credentials: Credentials,
    /// Issues new API keys.
    pub keys: KeyIssuer,
    /// Admits registrations.
    pub registrar: Registrar,
    /// Finds the address of a client.
    pub clients: Clients,
    /// Asks the DNS of others.
    pub lookup: DnsClient,
    /// Knows who has asked for the names of accounts.
    pub queries: QueryFeed,
    /// Limits the streams of each account.
    pub streams: OpenStreams,
    /// Says what the queries for values mean.
    pub verdicts: Verdicts,
}

macro_rules! extractable {
    ($($name:ident: $handle:ty),*) => {
        $(impl FromRef<SharedState> for $handle {
            fn from_ref(handles: &SharedState) -> Self {
                handles.$name.clone()
            }
        })*
    };
}
extractable!(
    publisher: Publisher,
    credentials: Credentials,
    keys: KeyIssuer,
    registrar: Registrar,
    clients: Clients,
    lookup: DnsClient,
    queries: QueryFeed,
    streams: OpenStreams,
    verdicts: Verdicts
);
