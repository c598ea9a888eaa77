//! Everything between the sockets and the disk. The daemon serves from these services; the CLI uses them directly when no
//! daemon runs.

use std::sync::Arc;

use axum::Router;
use tracing::error;

use crate::api::admin::{self, Facts, WatchHook};
use crate::api::credentials::Credentials;
use crate::certificates::Certificates;
use crate::config::Config;
use crate::crypto::credential_cache::CredentialCache;
use crate::crypto::hasher::Hasher;
use crate::crypto::keyring::Keyring;
use crate::dns::watch::Watchers;
use crate::metrics::Metrics;
use crate::model::account::Username;
use crate::model::time::Clock;
use crate::net::dns_client::DnsClient;
use crate::publisher::{Publisher, load};
use crate::store::Store;
use crate::store::writer::{AccountListener, Writer, WriterThread};
use crate::zone::Zones;

use super::error::DaemonError;

/// An open store, and the services that use it.
#[derive(Debug)]
pub struct Services {
    pub(super) clock: Clock,
    pub(super) zones: Zones,
    pub(super) metrics: Arc<Metrics>,
    pub(super) publisher: Publisher,
    pub(super) hasher: Hasher,
    pub(super) credentials: Credentials,
    pub(super) keyring: Keyring,
    /// The one DNS client: every check of the daemon asks through a clone of it, so that one limit holds for all.
    pub(super) dns_client: DnsClient,
    pub(super) watchers: Watchers,
    pub(super) writer: Writer,
    thread: WriterThread,
}

impl Services {
    /// Opens the store under its lock, loads the zones and starts the writer.
    pub fn open(config: &Config) -> Result<Self, DaemonError> {
        let metrics = Arc::new(Metrics::default());
        let store = Store::open(&config.database)?;
        let (newest, last_commit) = store.read(|rows| Ok((rows.newest()?, rows.last_commit()?)))?;
        let clock = Clock::start(newest).after(last_commit);
        let zones = load(&store, &config.zones, &config.values, &clock)?;
        let cache = CredentialCache::new()?;
        let keyring = keyring(&store, config)?;
        let listener = account_listener(cache.clone(), keyring.clone());
        let (writer, thread) = Writer::start(store.clone(), zones.clone(), clock.clone(), metrics.clone(), listener)?;
        let publisher =
            Publisher::new(store, writer.clone(), zones.clone(), clock.clone(), config.values, metrics.clone());
        let hasher = Hasher::start(metrics.clone())?;
        let credentials = Credentials::new(publisher.clone(), hasher.clone(), cache, clock.clone())?;
        let watchers = Watchers::default();
        let dns_client = DnsClient::new(&config.resolvers);
        Ok(Self {
            clock,
            zones,
            metrics,
            publisher,
            hasher,
            credentials,
            keyring,
            dns_client,
            watchers,
            writer,
            thread,
        })
    }

    /// The write path.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// The router of the admin API over these services.
    pub fn operator_router(
        &self,
        facts: Facts,
        watch: Option<WatchHook>,
        certificates: Option<Certificates>,
    ) -> Router {
        let publisher = self.publisher.clone();
        let hasher = self.hasher.clone();
        let keyring = self.keyring.clone();
        admin::router(publisher, hasher, keyring, self.metrics.clone(), facts, watch, certificates)
    }

    /// Writes pending changes and closes the store. Blocks.
    pub fn close(self) {
        self.thread.stop();
    }
}

/// Loads the TSIG keys of all accounts.
fn keyring(store: &Store, config: &Config) -> Result<Keyring, DaemonError> {
    let keyring = Keyring::open(&config.database, config.dns.tsig_md5)?;
    let accounts = store.read(|rows| rows.with_tsig())?;
    let unusable: Vec<Username> = accounts
        .into_iter()
        .map(|account| (account.username, keyring.put(account.username, Some(account))))
        .filter_map(|(username, is_unusable)| is_unusable.then_some(username))
        .collect();
    if let Some(first) = unusable.first() {
        error!(
            accounts = unusable.len(),
            %first,
            "some TSIG keys cannot be used: their secret is not the one beside the database, or they are for hmac-md5, \
             which the configuration does not allow; restore the secret's file, or create new keys with `txtgate account \
             tsig create`"
        );
    }
    Ok(keyring)
}

/// Updates the copies in memory of an account after a commit: the cached credentials and the TSIG key.
fn account_listener(cache: CredentialCache, keyring: Keyring) -> AccountListener {
    Box::new(move |who, account| {
        cache.forget(who);
        keyring.put(who, account);
    })
}
