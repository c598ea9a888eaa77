//! Everything between the sockets and the disk: what the daemon serves from, and what the operator's commands work on
//! when no daemon runs.

use std::sync::Arc;

use axum::Router;

use crate::api::admin::{self, Acme, Facts, Watch};
use crate::config::Config;
use crate::credentials::Credentials;
use crate::dns::watch::Watchers;
use crate::hasher::Hasher;
use crate::metrics::Metrics;
use crate::publisher::{Publisher, load};
use crate::remembered::Remembered;
use crate::store::Store;
use crate::store::writer::{Writer, WriterThread};
use crate::time::Clock;
use crate::zone::Zones;

use super::DaemonError;

/// An opened store and the road to it.
#[derive(Debug)]
pub struct House {
    pub(super) clock: Clock,
    pub(super) zones: Zones,
    pub(super) metrics: Arc<Metrics>,
    pub(super) publisher: Publisher,
    pub(super) hasher: Hasher,
    pub(super) credentials: Credentials,
    pub(super) watchers: Watchers,
    pub(super) writer: Writer,
    thread: WriterThread,
}

impl House {
    /// Opens the store under its lock, loads the zones and starts the writer.
    pub fn open(config: &Config) -> Result<Self, DaemonError> {
        let metrics = Arc::new(Metrics::default());
        let store = Store::open(&config.database)?;
        let (newest, last_commit) = store.read(|rows| Ok((rows.newest()?, rows.last_commit()?)))?;
        let clock = Clock::start(newest).after(last_commit);
        let zones = load(&store, &config.zones, &clock)?;
        let (writer, thread) = Writer::start(store.clone(), zones.clone(), clock.clone(), metrics.clone())?;
        let remembered = Remembered::new()?;
        let forgetful = remembered.clone();
        let publisher = Publisher::new(
            store,
            writer.clone(),
            zones.clone(),
            clock.clone(),
            config.values,
            metrics.clone(),
            move |username| forgetful.forget(username),
        );
        let hasher = Hasher::start(metrics.clone())?;
        let credentials = Credentials::new(publisher.clone(), hasher.clone(), remembered, clock.clone())?;
        let watchers = Watchers::default();
        Ok(Self { clock, zones, metrics, publisher, hasher, credentials, watchers, writer, thread })
    }

    /// The operator's router over this house.
    pub fn operator_router(&self, facts: Facts, watch: Option<Watch>, acme: Option<Acme>) -> Router {
        let (publisher, hasher) = (self.publisher.clone(), self.hasher.clone());
        admin::router(publisher, hasher, self.metrics.clone(), facts, watch, acme)
    }

    /// Writes what waits and closes the store. Blocks.
    pub fn close(self) {
        self.thread.stop();
    }
}
