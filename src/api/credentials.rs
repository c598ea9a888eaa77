//! Whether a username and a key are an account's, and whether it may be used from where the client is.

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

/// Wrong keys of one account from one prefix: a stranger elsewhere never delays the owner, and one broken client does
/// not delay its neighbours' accounts.
const WRONG_KEYS: Rule = Rule {
    free: 5,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    quiet: Duration::from_secs(15 * 60),
};

/// Why somebody may not act as an account.
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

/// An account whose key was shown.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The account.
    pub account: Arc<Account>,
    /// Whether the key is the one before the last rotation. It publishes until its grace time ends and does nothing
    /// else: whoever rotated a stolen key must not find the thief rotating it again.
    pub by_former_key: bool,
}

/// Verifies credentials; a cheap handle.
#[derive(Clone)]
pub struct Credentials(Arc<Inner>);

struct Inner {
    publisher: Publisher,
    hasher: Hasher,
    remembered: CredentialCache,
    clock: Clock,
    wrong_keys: RateLimiter<(Prefix, Username)>,
    /// What keys of unknown accounts are verified against, so that they cost the same as those of an account with
    /// Argon2id; acme-dns's bcrypt, until its first use, still takes longer.
    dummy: ApiKeyHash,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    /// `remembered` is the one that forgets whom the publisher changes. Computes one hash: a few milliseconds.
    pub fn new(
        publisher: Publisher,
        hasher: Hasher,
        remembered: CredentialCache,
        clock: Clock,
    ) -> Result<Self, HashError> {
        let nobodys = ApiKey::random().map_err(|error| HashError::Argon2(error.to_string()))?;
        let (wrong_keys, dummy) = (RateLimiter::new(WRONG_KEYS), ApiKeyHash::of(&nobodys)?);
        Ok(Self(Arc::new(Inner { publisher, hasher, remembered, clock, wrong_keys, dummy })))
    }

    /// The account that `username` and `key` open from `client`.
    ///
    /// Takes microseconds where the key was verified before, else a password hash. What is not a UUID and not 40
    /// characters is refused at once: its form tells the sender nothing about anybody's account.
    pub async fn verify(&self, username: &str, key: &str, client: IpAddr) -> Result<Verified, Denied> {
        let (Ok(username), Ok(key)) = (username.parse::<Username>(), key.parse::<ApiKey>()) else {
            return Err(Denied::Forbidden);
        };
        let verified = match self.0.remembered.check(username, &key) {
            Some(account) => Verified { account, by_former_key: false },
            None => self.verify_slowly(username, key, client).await?,
        };
        // Only after the key: whether an account is limited to networks is its owner's business.
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
        // Before the account is read: a change from here on keeps what is found below from being remembered.
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
        // A former key works for a limited time and is not remembered: its time would have to be remembered as well.
        if found == 0 {
            inner.remembered.remember(generation, &key, account.clone());
            self.modernise(&account, key, client);
        }
        Ok(Verified { account, by_former_key: found != 0 })
    }

    /// Reads an account off the async threads: a disk that stalls must not stall them.
    async fn read(&self, username: Username) -> Result<Option<Account>, Denied> {
        let publisher = self.0.publisher.clone();
        match tokio::task::spawn_blocking(move || publisher.account(username)).await {
            Ok(found) => Ok(found?),
            // Cancelled by the end of the runtime, or a panic that has been reported.
            Err(_) => Err(Denied::Busy { retry_after: Duration::from_secs(1) }),
        }
    }

    /// What to verify against: the key, then the one before it in its grace time.
    fn hashes(&self, account: Option<&Account>) -> Vec<ApiKeyHash> {
        let Some(account) = account else { return vec![self.0.dummy.clone()] };
        let now = self.0.clock.now();
        let former = account.former_key.iter().filter(|former| now < former.until).map(|former| former.hash.clone());
        std::iter::once(account.key.clone()).chain(former).collect()
    }

    /// Replaces acme-dns's bcrypt by Argon2id in the background, now that the key is at hand.
    fn modernise(&self, account: &Account, key: ApiKey, client: IpAddr) {
        if !matches!(account.key, ApiKeyHash::Bcrypt(_)) {
            return;
        }
        let inner = self.0.clone();
        let who = account.username;
        let old = account.key.clone();
        let actor = Actor::account(who, FrontEnd::Api, client, KeyUsed::Current);
        tokio::spawn(async move {
            // Where this cannot be done now, the next login does it.
            let Ok(new) = inner.hasher.hash(key, Prefix::of(client)).await else { return };
            if let Err(error) = inner.publisher.rehash(actor, who, old, new).await {
                warn!(username = %who, "cannot replace a bcrypt hash: {error}");
            }
        });
    }
}

fn denied(error: HasherError) -> Denied {
    match error {
        HasherError::Busy { retry_after } => Denied::Busy { retry_after },
        // A stored hash that does not read is refused when it is loaded; nothing else fails in a verification.
        HasherError::Hash(_) => Denied::Forbidden,
    }
}

#[cfg(test)]
pub(crate) mod tests;
