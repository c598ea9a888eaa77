//! What the pages work with.

use std::sync::Arc;

use tokio::sync::watch;

use crate::api::admin::ConsoleLinks;
use crate::api::credentials::Credentials;
use crate::metrics::Metrics;
use crate::net::rate_limiter::RateLimiter;
use crate::publisher::Publisher;

use super::admin::AdminClient;
use super::client::{Entrance, Guesser};
use super::doctor::running::Examinations;
use super::origin::Hosts;
use super::queries::live::LiveQueries;
use super::samples::Samples;
use super::session::Sessions;

/// The state of every handler.
pub type Shared = Arc<Console>;

/// What the pages work with.
pub struct Console {
    /// The admin API.
    pub admin: AdminClient,
    /// Accounts, tokens and changes.
    pub publisher: Publisher,
    /// Verifies the keys of accounts.
    pub credentials: Credentials,
    /// The links that sign an operator in.
    pub links: ConsoleLinks,
    /// Counts what is asked and published.
    pub metrics: Arc<Metrics>,
    /// Says that the daemon stops.
    pub shutdown: watch::Receiver<bool>,
    /// The names by which browsers know the console.
    pub hosts: Hosts,
    /// How requests come in.
    pub entrance: Entrance,
    /// The queries and updates of the last hour.
    pub samples: Arc<Samples>,
    /// Queries as they arrive, while somebody looks at them.
    pub live: LiveQueries,
    /// The examination that somebody has asked for.
    pub examinations: Examinations,
    /// Who is signed in.
    pub sessions: Sessions,
    /// Slows down guessing.
    pub wrong: RateLimiter<Guesser>,
}
