//! Verifies a username and a key, and that the account may be used from the client's address.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tracing::{info, warn};

use crate::crypto::credential_cache::CredentialCache;
use crate::crypto::hasher::{Hasher, HasherError};
use crate::model::account::{Account, AccountStatus, Username};
use crate::model::actor::{Actor, FrontEnd, KeyUsed};
use crate::model::prefix::Prefix;
use crate::model::secret::{ApiKey, ApiKeyHash, HashError};
use crate::model::time::Clock;
use crate::net::rate_limiter::{RateLimiter, Rule};
use crate::publisher::Publisher;
use crate::store::StoreError;

/// The rate of wrong keys for one account from one prefix. A stranger elsewhere never delays the owner, and a broken
/// client does not delay its neighbours' accounts.
const WRONG_KEYS: Rule = Rule {
    free: 5,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    quiet: Duration::from_secs(15 * 60),
};

/// Why a client may not act as an account.
#[derive(Debug, Clone, Error)]
pub enum Denied {
    #[error("the credentials are wrong, the account is disabled, or it may not be used from this address")]
    Forbidden,
    #[error("too many wrong keys; try again in {} seconds", retry_after.as_secs())]
    TooOften { retry_after: Duration },
    #[error("the server is busy; try again in {} seconds", retry_after.as_secs())]
    Busy { retry_after: Duration },
    #[error(transparent)]
    Fault(#[from] StoreError),
}

/// An account whose key was verified.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The account.
    pub account: Arc<Account>,
    /// Whether the key is the one before the last rotation. That key only publishes, until its grace time ends: after
    /// the owner has rotated a stolen key, the thief must not be able to rotate it again.
    pub by_former_key: bool,
}

/// Verifies credentials. A cheap handle.
#[derive(Clone)]
pub struct Credentials(Arc<Inner>);

struct Inner {
    publisher: Publisher,
    hasher: Hasher,
    remembered: CredentialCache,
    clock: Clock,
    wrong_keys: RateLimiter<(Prefix, Username)>,
    /// The hash that keys of unknown accounts are verified against, so that they take as long as keys of accounts with
    /// Argon2id. A bcrypt hash of acme-dns takes longer until its first use.
    dummy: ApiKeyHash,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    /// The publisher has to tell the cache `remembered` of changed accounts. Computes one hash, which takes a few
    /// milliseconds.
    pub fn new(
        publisher: Publisher,
        hasher: Hasher,
        remembered: CredentialCache,
        clock: Clock,
    ) -> Result<Self, HashError> {
        let nobodys = ApiKey::random().map_err(|error| HashError::Argon2(error.to_string()))?;
        let wrong_keys = RateLimiter::new(WRONG_KEYS);
        let dummy = ApiKeyHash::of(&nobodys)?;
        Ok(Self(Arc::new(Inner { publisher, hasher, remembered, clock, wrong_keys, dummy })))
    }

    /// The account with this `username` and `key`, for a client at `client`.
    ///
    /// Takes microseconds if the key was verified before, and a password hash otherwise. A text that is not a UUID, or a
    /// key without 40 characters, is refused at once: that reveals nothing about any account.
    pub async fn verify(&self, username: &str, key: &str, client: IpAddr) -> Result<Verified, Denied> {
        let (Ok(username), Ok(key)) = (username.parse::<Username>(), key.parse::<ApiKey>()) else {
            return Err(Denied::Forbidden);
        };
        let verified = match self.0.remembered.check(username, &key) {
            Some(account) => Verified { account, by_former_key: false },
            None => self.verify_slowly(username, key, client).await?,
        };
        // Checked after the key, so that a stranger cannot find out whether an account is limited to networks.
        if !verified.account.allow_from.allows(client) {
            info!(%username, %client, "denied: not in the account's allowfrom");
            return Err(Denied::Forbidden);
        }
        Ok(verified)
    }

    async fn verify_slowly(&self, username: Username, key: ApiKey, client: IpAddr) -> Result<Verified, Denied> {
        let inner = &self.0;
        let prefix = Prefix::of(client);
        let limiter = (prefix, username);
        inner.wrong_keys.try_now(&limiter, Instant::now()).map_err(|retry_after| Denied::TooOften { retry_after })?;
        // Taken before the account is read: a change after this point keeps the account out of the cache.
        let generation = inner.remembered.generation(username);
        let account = self.read(username).await?;
        let found = inner.hasher.verify(key.clone(), self.hashes(account.as_ref()), prefix).await.map_err(denied)?;
        let active = account.filter(|account| account.status == AccountStatus::Active);
        let (Some(account), Some(found)) = (active, found) else {
            inner.wrong_keys.failed(&limiter, Instant::now());
            info!(%username, %prefix, "denied: wrong key, or no active account");
            return Err(Denied::Forbidden);
        };
        inner.wrong_keys.succeeded(&limiter);
        let account = Arc::new(account);
        // A former key is not cached, because it expires.
        if found == 0 {
            inner.remembered.remember(generation, &key, account.clone());
            self.modernise(&account, key, client);
        }
        Ok(Verified { account, by_former_key: found != 0 })
    }

    /// Reads an account on a blocking thread: a disk that stalls must not stall the async threads.
    async fn read(&self, username: Username) -> Result<Option<Account>, Denied> {
        let publisher = self.0.publisher.clone();
        match tokio::task::spawn_blocking(move || publisher.account(username)).await {
            Ok(found) => Ok(found?),
            // The runtime has ended, or the read has panicked, which is logged.
            Err(_) => Err(Denied::Busy { retry_after: Duration::from_secs(1) }),
        }
    }

    /// The hashes to verify against: of the key, and of the former key in its grace time.
    fn hashes(&self, account: Option<&Account>) -> Vec<ApiKeyHash> {
        let Some(account) = account else { return vec![self.0.dummy.clone()] };
        let now = self.0.clock.running();
        let former = account.former_key.iter().filter(|former| now < former.until).map(|former| former.hash.clone());
        std::iter::once(account.key.clone()).chain(former).collect()
    }

    /// Replaces a bcrypt hash of acme-dns by Argon2id in the background, now that the key is known.
    fn modernise(&self, account: &Account, key: ApiKey, client: IpAddr) {
        if !matches!(account.key, ApiKeyHash::Bcrypt(_)) {
            return;
        }
        let inner = self.0.clone();
        let who = account.username;
        let old = account.key.clone();
        let actor = Actor::account(who, FrontEnd::Api, client, KeyUsed::Current);
        tokio::spawn(async move {
            // If this fails now, the next login does it.
            let Ok(new) = inner.hasher.hash(key.clone(), Prefix::of(client)).await else { return };
            let _announced = inner.remembered.announce(&key, &new);
            if let Err(error) = inner.publisher.rehash(actor, who, old, new).await {
                warn!(username = %who, "cannot replace a bcrypt hash: {error}");
            }
        });
    }
}

fn denied(error: HasherError) -> Denied {
    match error {
        HasherError::Busy { retry_after } => Denied::Busy { retry_after },
        // Loading refuses a stored hash that cannot be read; nothing else fails in a verification.
        HasherError::Hash(_) => Denied::Forbidden,
    }
}

#[cfg(test)]
pub(crate) mod tests;
