//! New API keys: hashed, and announced to the cache, so that the first update with a key is as fast as the next ones.

use crate::model::prefix::Prefix;
use crate::model::secret::{ApiKey, ApiKeyHash};

use super::credential_cache::{AnnouncedKey, CredentialCache};
use super::hasher::{Hasher, HasherError};

/// Issues API keys. A cheap handle.
#[derive(Clone, Debug)]
pub struct KeyIssuer {
    hasher: Hasher,
    cache: CredentialCache,
}

/// A key to show once, and its hash to store. To be kept until the hash is stored: the key is announced that long.
#[derive(Debug)]
pub struct IssuedKey {
    /// The key.
    pub key: ApiKey,
    /// The key's hash.
    pub hash: ApiKeyHash,
    _announced: AnnouncedKey,
}

impl KeyIssuer {
    /// An issuer that announces its keys to `cache`.
    pub fn new(hasher: Hasher, cache: CredentialCache) -> Self {
        Self { hasher, cache }
    }

    /// Hashes a key and announces it. `prefix` is that of the client, among whom the hashing threads are shared.
    pub async fn issue(&self, key: ApiKey, prefix: Prefix) -> Result<IssuedKey, HasherError> {
        let hash = self.hasher.hash(key.clone(), prefix).await?;
        let announced = self.cache.announce(&key, &hash);
        Ok(IssuedKey { key, hash, _announced: announced })
    }
}
