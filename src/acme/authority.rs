//! A CA and our account there, as the daemon holds them: opened when first needed, by one for all, and used by many at
//! once. Only what changes the account's key has it alone.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{Mutex, RwLock, RwLockReadGuard, Semaphore};
use tracing::warn;

use crate::config;
use crate::model::name::owner::AcmeAccountLabel;

use super::account::Account;
use super::client::Client;
use super::error::{AcmeError, Result};
use super::http::Reply;
use super::retry_after::Refusal;
use crate::delegation::caa;

/// How long a CA's directory is believed.
const DIRECTORY_LIFETIME: Duration = Duration::from_secs(86_400);
/// How long a failure to reach the CA or the account is everybody's, where the CA does not say.
const REST: Duration = Duration::from_secs(60);
/// How long a rollover waits for orders that are under way.
const ROLLOVER_PATIENCE: Duration = Duration::from_secs(10);
/// Requests for renewal information at once.
const ASKING: usize = 8;

/// A CA and our account there; a cheap handle.
#[derive(Clone)]
pub struct Authority(Arc<Inner>);

struct Inner {
    settings: config::Acme,
    opened: std::sync::Mutex<Option<Opened>>,
    /// Held by whoever opens the account, or gives it another key.
    opening: Mutex<()>,
    refusal: Refusal,
    /// Shared by orders: a key authorization made with the old key would be worth nothing, so a rollover has it alone.
    orders: RwLock<()>,
    asking: Semaphore,
    /// Why there is no renewal information for anybody.
    uninformed: Refusal,
}

#[derive(Clone)]
struct Opened {
    account: Arc<Account>,
    at: Instant,
}

impl Opened {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < DIRECTORY_LIFETIME
    }
}

/// Our account for as long as one order takes: its key stays what it is.
#[derive(Debug)]
pub struct Held<'a> {
    account: Arc<Account>,
    _order: RwLockReadGuard<'a, ()>,
}

impl Deref for Held<'_> {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.account
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.0.settings.directory)
    }
}

impl Authority {
    /// The CA of the configuration. Nothing is asked yet.
    pub fn new(settings: config::Acme) -> Self {
        let (opened, opening, orders) = (std::sync::Mutex::default(), Mutex::default(), RwLock::default());
        let (refusal, uninformed, asking) = (Refusal::default(), Refusal::default(), Semaphore::new(ASKING));
        Self(Arc::new(Inner { settings, opened, opening, refusal, orders, asking, uninformed }))
    }

    /// The configuration.
    pub fn settings(&self) -> &config::Acme {
        &self.0.settings
    }

    fn opened(&self) -> MutexGuard<'_, Option<Opened>> {
        self.0.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Our account, made where there is none. One caller opens it for all; where that fails, all hear why until the CA may
    /// be asked again.
    pub async fn account(&self) -> Result<Arc<Account>> {
        let known = self.opened().clone();
        let _opening = match &known {
            Some(opened) if opened.is_fresh() => return Ok(opened.account.clone()),
            // One looks whether the directory has changed, and the others need not wait for that.
            Some(opened) => match self.0.opening.try_lock() {
                Ok(opening) => opening,
                Err(_) => return Ok(opened.account.clone()),
            },
            None => self.0.opening.lock().await,
        };
        // Another one may have been quicker.
        let quicker = self.opened().clone().filter(Opened::is_fresh);
        if let Some(opened) = quicker {
            return Ok(opened.account);
        }
        match (self.open().await, known) {
            (Ok(account), _) => {
                *self.opened() = Some(Opened { account: account.clone(), at: Instant::now() });
                Ok(account)
            }
            (Err(_), Some(old)) => Ok(old.account),
            (Err(error), None) => Err(error),
        }
    }

    async fn open(&self) -> Result<Arc<Account>> {
        let Inner { settings, refusal, .. } = &*self.0;
        refusal.check()?;
        let opened = async {
            let client = Client::connect(&settings.directory, settings.ca_root.as_deref()).await?;
            Account::open(client, settings).await.map(Arc::new)
        };
        opened.await.inspect_err(|error| {
            warn!("the account with {} cannot be used: {error}", settings.directory);
            refusal.note(error, REST);
        })
    }

    /// Our account, for one order.
    pub async fn hold(&self) -> Result<Held<'_>> {
        let order = self.0.orders.read().await;
        Ok(Held { account: self.account().await?, _order: order })
    }

    /// Something may have been mended: the next one to need the account tries again, unless the CA has said when.
    pub fn mended(&self) {
        self.0.refusal.forgive();
    }

    /// What the CA says of when to renew a certificate (RFC 9773 section 4.1), by its
    /// [`super::certificate::Facts::renewal_id`]; `None` where it never does.
    pub async fn renewal_info(&self, id: &str) -> Result<Option<Reply>> {
        let account = self.account().await?;
        let base = account.client().directory().renewal_info.as_ref();
        let url = base.map(|base| format!("{}/{id}", base.as_str().trim_end_matches('/')));
        let Some(url) = url.and_then(|url| url.parse().ok()) else { return Ok(None) };
        // Never closed; if it were, going on would be as good.
        let _place = self.0.asking.acquire().await;
        self.0.uninformed.check()?;
        let reply = account.client().get(&url).await.inspect_err(|error| {
            if error.is_of_the_moment() {
                self.0.uninformed.note(error, REST);
            }
        });
        reply.map(Some)
    }

    /// Our account, for somebody who waits for it.
    async fn asked(&self) -> Result<Arc<Account>> {
        self.mended();
        self.account().await
    }

    /// What there is to know of the account: the CA's view of it, its label for dns-account-01, and what to write into CAA
    /// records.
    pub async fn show(&self) -> Result<Value> {
        let account = self.asked().await?;
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

    /// Gives the account another key, when the orders that are under way are done; an error where they take long.
    pub async fn rollover(&self) -> Result<()> {
        let alone = tokio::time::timeout(ROLLOVER_PATIENCE, self.0.orders.write());
        let _alone = alone.await.map_err(|_| AcmeError::InUse)?;
        let account = self.asked().await?;
        let _opening = self.0.opening.lock().await;
        // Whatever comes of it, the next one to need the account reads it from its file.
        *self.opened() = None;
        Account::clone(&account).rollover().await
    }

    /// Deactivates the account for good.
    pub async fn deactivate(&self) -> Result<()> {
        self.asked().await?.deactivate().await
    }

    /// Tells the CA other contacts.
    pub async fn update_contact(&self, contact: &[String]) -> Result<()> {
        self.asked().await?.update_contact(contact).await.map(|_| ())
    }
}
