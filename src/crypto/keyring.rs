//! The TSIG keys in use, and the master secret from which they are all derived.
//!
//! The keys of accounts are in memory: a message is verified on the query path, which must not wait for the disk. The
//! master secret is in a file of its own beside the database.

mod recent;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use thiserror::Error;

use crate::crypto::tsig::{MasterSecret, MasterSecretError, TsigKey};
use crate::file::{self, Unread, Unusable};
use crate::model::account::{Account, AccountStatus, Username};
use crate::model::name::NameRef;
use crate::model::secret::RandomError;
use crate::model::tsig::{Algorithm, Derivation};

pub use recent::{Admission, Recent, Ticket};

const HEAD: &str = "\
# The secret from which all TSIG keys of this server are derived. Anybody who can read this file and the database can
# publish in the name of every account with such a key. Keep a copy: without it all of these keys have to be replaced.

";

/// Why a key cannot be derived, or the master secret cannot be used.
#[derive(Debug, Clone, Error)]
pub enum KeyringError {
    #[error("others can read {}, from which the TSIG keys are derived (mode {mode:o}); run `chmod 600` on it", path.display())]
    NotPrivate { path: PathBuf, mode: u32 },
    #[error(
        "{} is damaged: {source}; restore it from a copy, or remove it and create the accounts' TSIG keys again",
        path.display()
    )]
    Damaged { path: PathBuf, source: MasterSecretError },
    #[error("cannot use the secret from which the TSIG keys are derived, {}", Unusable(path, source))]
    File { path: PathBuf, source: Arc<io::Error> },
    #[error(
        "hmac-md5 is not allowed here; choose hmac-sha256, or set `tsig-md5 = true` in [dns] for clients that support nothing else"
    )]
    Md5,
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// The keys. A cheap handle.
#[derive(Clone, Debug)]
pub struct Keyring(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    allows_md5: bool,
    /// `None` if no account has ever had a key.
    master: Mutex<Option<MasterSecret>>,
    holders: RwLock<HashMap<Username, Arc<TsigHolder>>>,
    /// The number of holders. Most servers have none, and then no lock is taken.
    count: AtomicUsize,
}

/// An active account that has a key.
#[derive(Debug)]
pub struct TsigHolder {
    /// The account, as last stored.
    pub account: Account,
    /// The account's key.
    pub key: TsigKey,
    /// The account's recent messages.
    pub recent: Arc<Recent>,
}

impl Keyring {
    /// The file of the master secret.
    pub fn path(database: &Path) -> PathBuf {
        database.with_added_extension("tsig")
    }

    /// A keyring without keys, and the master secret beside the database, if there is one.
    pub fn open(database: &Path, allows_md5: bool) -> Result<Self, KeyringError> {
        let path = Self::path(database);
        let master = Mutex::new(read(&path)?);
        let holders = RwLock::default();
        let count = AtomicUsize::new(0);
        Ok(Self(Arc::new(Shared { path, allows_md5, master, holders, count })))
    }

    /// The derivation of a new key. The first call creates the master secret and its file.
    pub fn derivation(&self, algorithm: Algorithm) -> Result<Derivation, KeyringError> {
        if algorithm == Algorithm::HmacMd5 && !self.0.allows_md5 {
            return Err(KeyringError::Md5);
        }
        Ok(self.master()?.derivation(algorithm)?)
    }

    /// The derivation of a key that another server has made; `None` where the secret has another length than those that
    /// servers make. The first call creates the master secret and its file.
    pub fn take_over(
        &self,
        who: Username,
        algorithm: Algorithm,
        secret: &[u8],
    ) -> Result<Option<Derivation>, KeyringError> {
        if algorithm == Algorithm::HmacMd5 && !self.0.allows_md5 {
            return Err(KeyringError::Md5);
        }
        Ok(self.master()?.wrap(who, algorithm, secret)?)
    }

    fn master(&self) -> Result<MasterSecret, KeyringError> {
        let mut master = self.0.master.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *master {
            Some(master) => Ok(master.clone()),
            none => Ok(none.insert(create(&self.0.path)?).clone()),
        }
    }

    /// An account's key; `None` if it was derived from another master secret, or if its algorithm is not allowed.
    pub fn key(&self, who: Username, derivation: &Derivation) -> Option<TsigKey> {
        if derivation.algorithm == Algorithm::HmacMd5 && !self.0.allows_md5 {
            return None;
        }
        self.0.master.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.key(who, derivation)
    }

    /// Replaces an account by what is stored now; `None` removes it. Returns whether it has a key that cannot be used.
    pub fn put(&self, who: Username, account: Option<Account>) -> bool {
        let derivation = account.as_ref().and_then(|account| account.tsig.clone());
        let key = derivation.as_ref().and_then(|derivation| self.key(who, derivation));
        let is_unusable = derivation.is_some() && key.is_none();
        let active = account.filter(|account| account.status == AccountStatus::Active);
        let mut holders = self.0.holders.write().unwrap_or_else(PoisonError::into_inner);
        let before = holders.remove(&who);
        if let Some((account, key)) = active.zip(key) {
            // A message with the same key must not be carried out twice.
            let recent = before.map(|before| before.recent.clone()).unwrap_or_default();
            holders.insert(who, Arc::new(TsigHolder { account, key, recent }));
        }
        self.0.count.store(holders.len(), Ordering::Release);
        is_unusable
    }

    /// The holder of the key with this name. The name is the account's username as its only label.
    pub fn holder(&self, key_name: NameRef<'_>) -> Option<Arc<TsigHolder>> {
        let mut labels = key_name.labels();
        let (Some(label), None) = (labels.next(), labels.next()) else { return None };
        let username: Username = std::str::from_utf8(label).ok().filter(|text| text.len() == 36)?.parse().ok()?;
        self.0.holders.read().unwrap_or_else(PoisonError::into_inner).get(&username).cloned()
    }

    /// Whether no account has a key.
    pub fn is_empty(&self) -> bool {
        self.0.count.load(Ordering::Acquire) == 0
    }
}

fn read(path: &Path) -> Result<Option<MasterSecret>, KeyringError> {
    let found = file::private_text(path).map_err(|error| match error {
        Unread::NotPrivate(mode) => KeyringError::NotPrivate { path: path.to_owned(), mode },
        Unread::File(source) => failed(path, source),
    })?;
    let Some(text) = found else { return Ok(None) };
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let master = lines.next().unwrap_or_default().parse();
    master.map(Some).map_err(|source| KeyringError::Damaged { path: path.to_owned(), source })
}

fn create(path: &Path) -> Result<MasterSecret, KeyringError> {
    let master = MasterSecret::random()?;
    file::replace(path, format!("{HEAD}{}\n", master.reveal()).as_bytes()).map_err(|source| failed(path, source))?;
    Ok(master)
}

fn failed(path: &Path, source: io::Error) -> KeyringError {
    KeyringError::File { path: path.to_owned(), source: source.into() }
}

#[cfg(test)]
mod tests;
