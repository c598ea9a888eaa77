//! A CA and our account there, as the daemon holds them: opened when first needed, and for one user at a time where
//! keys change.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::config;
use crate::name::owner::AcmeAccountLabel;

use super::account::Account;
use super::caa;
use super::client::Client;
use super::error::{AcmeError, Result};

/// How long a CA's directory is believed.
const DIRECTORY_LIFETIME: Duration = Duration::from_secs(86_400);

/// A CA and our account there; a cheap handle.
///
/// Whoever works with the account holds it ([`Authority::account`]), and a rollover waits for them, as they for it: a key
/// authorization made with the old key would be worth nothing.
#[derive(Clone)]
pub struct Authority(Arc<Inner>);

struct Inner {
    settings: config::Acme,
    opened: RwLock<Option<Opened>>,
}

struct Opened {
    account: Account,
    at: Instant,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.0.settings.directory)
    }
}

impl Authority {
    /// The CA of the configuration. Nothing is asked yet.
    pub fn new(settings: config::Acme) -> Self {
        Self(Arc::new(Inner { settings, opened: RwLock::default() }))
    }

    /// The configuration.
    pub fn settings(&self) -> &config::Acme {
        &self.0.settings
    }

    /// Our account, made where there is none. Hold it for as long as one order takes.
    pub async fn account(&self) -> Result<RwLockReadGuard<'_, Account>> {
        let fresh = |opened: &Option<Opened>| opened.as_ref().is_some_and(|o| o.at.elapsed() < DIRECTORY_LIFETIME);
        let mut held = self.0.opened.read().await;
        if !fresh(&held) {
            drop(held);
            let mut writing = self.0.opened.write().await;
            // Another one may have been quicker.
            if !fresh(&writing) {
                *writing = None;
                *writing = Some(Opened { account: self.open().await?, at: Instant::now() });
            }
            held = RwLockWriteGuard::downgrade(writing);
        }
        // It is there, or the `?` above has left.
        let lost = |_| AcmeError::Setup("the account was closed while it was opened".into());
        RwLockReadGuard::try_map(held, |opened| opened.as_ref().map(|opened| &opened.account)).map_err(lost)
    }

    async fn open(&self) -> Result<Account> {
        let settings = &self.0.settings;
        let client = Client::connect(&settings.directory, settings.ca_root.as_deref()).await?;
        Account::open(client, settings).await
    }

    /// What there is to know of the account: the CA's view of it, its label for dns-account-01, and what to write into CAA
    /// records.
    pub async fn show(&self) -> Result<Value> {
        let account = self.account().await?;
        let (view, meta) = (account.view().await?, &account.client().directory().meta);
        Ok(json!({
            "directory": self.0.settings.directory,
            "account": account.url(),
            "status": view.status,
            "contact": view.contact,
            "terms": meta.terms_of_service,
            "key": account.key().thumbprint(),
            "file": account.path(),
            "label": AcmeAccountLabel::of(account.url()).as_str(),
            "caa": caa::recommended(&account, self.0.settings.challenge),
        }))
    }

    /// Gives the account another key.
    pub async fn rollover(&self) -> Result<()> {
        drop(self.account().await?);
        let mut opened = self.0.opened.write().await;
        let Some(mut account) = opened.take().map(|opened| opened.account) else { return Ok(()) };
        // Whatever comes of it, the next one to need the account reads it from its file.
        account.rollover().await
    }

    /// Deactivates the account for good.
    pub async fn deactivate(&self) -> Result<()> {
        self.account().await?.deactivate().await
    }

    /// Tells the CA other contacts.
    pub async fn update_contact(&self, contact: &[String]) -> Result<()> {
        self.account().await?.update_contact(contact).await.map(|_| ())
    }
}
