//! Everything between the sockets and the disk. The daemon serves from these services; the CLI uses them directly when no
//! daemon runs.

use std::sync::Arc;

use axum::Router;
use tracing::error;

use crate::api::Verdicts;
use crate::api::admin::{self, DaemonServices, Facts};
use crate::api::credentials::Credentials;
use crate::config::Config;
use crate::crypto::credential_cache::CredentialCache;
use crate::crypto::hasher::Hasher;
use crate::crypto::key_issuer::KeyIssuer;
use crate::crypto::keyring::Keyring;
use crate::delegation::propagation::Propagation;
use crate::dns::watch::Watchers;
use crate::metrics::Metrics;
use crate::model::account::Username;
use crate::model::time::Clock;
use crate::net::dns_client::DnsClient;
use crate::publisher::{Publisher, load};
use crate::querylog::QueryLog;
use crate::replication::Transfers;
use crate::store::writer::{AccountListener, Writer, WriterThread};
use crate::store::{Creation, Store};
use crate::zone::Zones;

use super::error::DaemonError;
use super::first_start;

/// An open store, and the services that use it.
#[derive(Debug)]
pub struct Services {
    pub(super) clock: Clock,
    pub(super) zones: Zones,
    pub(super) metrics: Arc<Metrics>,
    pub(super) publisher: Publisher,
    pub(super) keys: KeyIssuer,
    pub(super) credentials: Credentials,
    pub(super) keyring: Keyring,
    /// The one DNS client: every check of the daemon asks through a clone of it, so that one limit holds for all.
    pub(super) dns_client: DnsClient,
    pub(super) propagation: Propagation,
    pub(super) watchers: Watchers,
    pub(super) query_log: QueryLog,
    pub(super) transfers: Transfers,
    pub(super) writer: Writer,
    thread: WriterThread,
}

impl Services {
    /// Opens the store under its lock, loads the zones and starts the writer. A database that is missing is created only
    /// where nothing shows that there was one.
    pub fn open(config: &Config) -> Result<Self, DaemonError> {
        let evidence = first_start::evidence(config);
        Self::open_recorded(config, &Creation::First { evidence })
    }

    /// The same with a new database, whatever was there before.
    pub fn init(config: &Config) -> Result<Self, DaemonError> {
        Self::open_recorded(config, &Creation::Anew)
    }

    /// The same with a database in a temporary folder, which the configuration does not name.
    pub fn rehearse(config: &Config) -> Result<Self, DaemonError> {
        Self::over(Store::open(&config.database)?, config)
    }

    fn open_recorded(config: &Config, creation: &Creation) -> Result<Self, DaemonError> {
        let store = Store::open_or_create(&config.database, creation)?;
        first_start::record_database(config);
        Self::over(store, config)
    }

    fn over(store: Arc<Store>, config: &Config) -> Result<Self, DaemonError> {
        let metrics = Arc::new(Metrics::default());
        let (running, last_commit) = store.read(|rows| Ok((rows.running_time()?, rows.last_commit()?)))?;
        let clock = Clock::start(running).after(last_commit);
        let zones = load(&store, &config.zones, &config.values, &clock)?;
        let cache = CredentialCache::new()?;
        let keyring = keyring(&store, config)?;
        let listener = account_listener(cache.clone(), keyring.clone());
        let (writer, thread) = Writer::start(store.clone(), zones.clone(), clock.clone(), metrics.clone(), listener)?;
        let publisher =
            Publisher::new(store, writer.clone(), zones.clone(), clock.clone(), config.values, metrics.clone());
        let hasher = Hasher::start(metrics.clone())?;
        let keys = KeyIssuer::new(hasher.clone(), cache.clone());
        let credentials = Credentials::new(publisher.clone(), hasher, cache, clock.clone())?;
        let watchers = Watchers::default();
        let query_log = QueryLog::new(config.query_log, zones.clone(), clock.clone(), metrics.clone());
        let transfers = Transfers::new(zones.clone(), config);
        let dns_client = DnsClient::new(&config.resolvers).with_detours(config.detours.clone());
        let limit = config.updates.wait_limit;
        let propagation = Propagation::new(&dns_client, zones.clone(), clock.clone(), limit, metrics.clone());
        Ok(Self {
            clock,
            zones,
            metrics,
            publisher,
            keys,
            credentials,
            keyring,
            dns_client,
            propagation,
            watchers,
            query_log,
            transfers,
            writer,
            thread,
        })
    }

    /// The write path.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// The router of the admin API over these services. Each request needs its actor as an extension.
    pub fn operator_router(&self, facts: Facts, daemon: DaemonServices) -> Router {
        let publisher = self.publisher.clone();
        let keys = self.keys.clone();
        let keyring = self.keyring.clone();
        admin::router(publisher, keys, keyring, self.metrics.clone(), facts, daemon)
    }

    /// What the queries for values mean.
    pub(super) fn verdicts(&self) -> Verdicts {
        Verdicts::new(self.query_log.clone(), self.dns_client.clone())
    }

    /// Writes pending changes and closes the store. Blocks.
    pub fn close(self) {
        self.thread.stop();
        self.query_log.close();
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
        cache.account_changed(who, account.as_ref());
        keyring.put(who, account);
    })
}
