//! A CA and the daemon's account there. The account is opened when it is first needed, once for all certificates, and
//! used by many orders at the same time. A key rollover has it exclusively.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore};
use tracing::warn;

use crate::config;
use crate::file::state::blocking;
use crate::model::name::owner_label::AcmeAccountLabel;
use crate::model::url::Url;

use super::account::{AccountObject, AcmeAccount};
use super::account_file::StoredAccount;
use super::client::AcmeClient;
use super::error::{AcmeError, Result};
use super::key::JwsKey;
use super::renewal_info::RenewalInfo;
use super::retry_after::RetryAfterGate;
use super::rollover::Abandoned;

/// How long a CA's directory is used before it is fetched again.
const DIRECTORY_LIFETIME: Duration = Duration::from_secs(86_400);
/// How long all callers get the same error after a failure to reach the CA or the account, if the CA sets no time.
const FAILURE_LIFETIME: Duration = Duration::from_secs(60);
/// How long a rollover waits for orders that are under way.
const ROLLOVER_TIMEOUT: Duration = Duration::from_secs(10);
/// The most requests for renewal information at the same time.
const MAX_RENEWAL_REQUESTS: usize = 8;

/// A CA and the daemon's account there. A cheap handle.
#[derive(Clone)]
pub struct Authority(Arc<SharedAccount>);

struct SharedAccount {
    settings: config::Acme,
    opened: std::sync::Mutex<Option<OpenedAccount>>,
    /// Held while the account is opened or gets a new key.
    opening: Mutex<()>,
    gate: RetryAfterGate,
    /// Read by orders, written by a rollover: key authorizations made with the old key would be worthless after it.
    orders: RwLock<()>,
    renewal_requests: Semaphore,
    renewal_gate: RetryAfterGate,
}

#[derive(Clone)]
struct OpenedAccount {
    account: Arc<AcmeAccount>,
    at: Instant,
}

impl OpenedAccount {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < DIRECTORY_LIFETIME
    }
}

/// The account for the time of one order. Its key does not change meanwhile.
#[derive(Debug)]
pub struct HeldAccount<'a> {
    account: Arc<AcmeAccount>,
    _order: RwLockReadGuard<'a, ()>,
}

impl Deref for HeldAccount<'_> {
    type Target = AcmeAccount;

    fn deref(&self) -> &AcmeAccount {
        &self.account
    }
}

/// The account, as its file tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAccount {
    /// The account's URL.
    pub url: Url,
    /// The thumbprint of the account's key (RFC 7638).
    pub thumbprint: String,
}

/// The account for the operator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AcmeAccountReport {
    /// The directory URL of the CA.
    pub directory: Url,
    /// The account's URL.
    pub account: Url,
    /// `valid`, `deactivated` or `revoked`; `unknown` if the CA does not describe accounts.
    pub status: String,
    /// The contact URLs, as far as the CA tells them.
    pub contact: Vec<String>,
    /// The URL of the CA's terms of service.
    pub terms: Option<String>,
    /// The thumbprint of the account's key (RFC 7638).
    pub key: String,
    /// The thumbprint of the new key, while a rollover is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_key: Option<String>,
    /// The account's file.
    pub file: PathBuf,
    /// The account's label for dns-account-01.
    pub label: String,
    /// The CAA record that lets this account alone get certificates.
    pub caa: Option<String>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.0.settings.directory)
    }
}

impl Authority {
    /// The CA of the configuration. Sends no request.
    pub fn new(settings: config::Acme) -> Self {
        Self(Arc::new(SharedAccount {
            settings,
            opened: std::sync::Mutex::default(),
            opening: Mutex::default(),
            gate: RetryAfterGate::default(),
            orders: RwLock::default(),
            renewal_requests: Semaphore::new(MAX_RENEWAL_REQUESTS),
            renewal_gate: RetryAfterGate::default(),
        }))
    }

    /// The configuration.
    pub fn settings(&self) -> &config::Acme {
        &self.0.settings
    }

    fn opened(&self) -> MutexGuard<'_, Option<OpenedAccount>> {
        self.0.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account, created if there is none. One caller opens it for all; if that fails, all callers get the same error
    /// until the CA may be asked again.
    pub async fn account(&self) -> Result<Arc<AcmeAccount>> {
        let known = self.opened().clone();
        let _opening = match &known {
            Some(opened) if opened.is_fresh() => return Ok(opened.account.clone()),
            // One caller fetches the directory again; the others go on with the old one.
            Some(opened) => match self.0.opening.try_lock() {
                Ok(opening) => opening,
                Err(_) => return Ok(opened.account.clone()),
            },
            None => self.0.opening.lock().await,
        };
        // Another caller may have opened it while this one waited.
        let fresh = self.opened().clone().filter(OpenedAccount::is_fresh);
        if let Some(opened) = fresh {
            return Ok(opened.account);
        }
        match self.open().await {
            Ok(account) => {
                *self.opened() = Some(OpenedAccount { account: account.clone(), at: Instant::now() });
                Ok(account)
            }
            Err(error) => known.map(|old| old.account).ok_or(error),
        }
    }

    /// The account, by its file; `None` if there is no account yet. Neither asks the CA nor creates an account.
    pub async fn known_account(&self) -> Result<Option<KnownAccount>> {
        let (state, directory) = (self.0.settings.state.clone(), self.0.settings.directory.clone());
        let found = blocking(move || StoredAccount::find(&state, &directory)).await?;
        Ok(found.and_then(|stored| Some(KnownAccount { thumbprint: stored.key.thumbprint(), url: stored.url? })))
    }

    async fn open(&self) -> Result<Arc<AcmeAccount>> {
        self.0.gate.check()?;
        let settings = &self.0.settings;
        match connect(settings).await {
            Ok(account) => Ok(Arc::new(account)),
            Err(error) => {
                warn!("the account with {} cannot be used: {error}", settings.directory);
                self.0.gate.close(&error, FAILURE_LIFETIME);
                Err(error)
            }
        }
    }

    /// The account for one order. A rollover waits until it is dropped.
    pub async fn hold(&self) -> Result<HeldAccount<'_>> {
        let order = self.0.orders.read().await;
        let account = self.account().await?;
        Ok(HeldAccount { account, _order: order })
    }

    /// Lets the next caller try again after a failure, unless the CA has set the time: the operator may have corrected
    /// something.
    pub fn retry_now(&self) {
        self.0.gate.reopen();
    }

    /// Asks the CA when to renew a certificate (RFC 9773 section 4.1), given its
    /// [`renewal_id`](super::certificate::CertificateInfo::renewal_id); `None` if the CA has no renewal information.
    pub async fn renewal_info(&self, id: &str) -> Result<Option<RenewalInfo>> {
        let account = self.account().await?;
        let Some(base) = account.client().directory().renewal_info.as_ref() else { return Ok(None) };
        let Ok(url) = format!("{}/{id}", base.as_str().trim_end_matches('/')).parse() else { return Ok(None) };
        // The semaphore is never closed; if it were, going on would do no harm.
        let _permit = self.0.renewal_requests.acquire().await;
        self.0.renewal_gate.check()?;
        match account.client().get(&url).await {
            Ok(reply) => Ok(Some(RenewalInfo::from_reply(reply))),
            Err(error) => {
                if error.is_temporary() {
                    self.0.renewal_gate.close(&error, FAILURE_LIFETIME);
                }
                Err(error)
            }
        }
    }

    /// The account for an operator, who does not want the error of an earlier attempt.
    async fn account_now(&self) -> Result<Arc<AcmeAccount>> {
        self.retry_now();
        self.account().await
    }

    /// Describes the account: the CA's view, the label for dns-account-01, and the CAA record that binds a domain to it.
    pub async fn report(&self) -> Result<AcmeAccountReport> {
        let account = self.account_now().await?;
        let object = match account.fetch().await {
            Err(error) if error.is_unsupported() => AccountObject { status: "unknown".into(), contact: Vec::new() },
            described => described?,
        };
        Ok(AcmeAccountReport {
            directory: self.0.settings.directory.clone(),
            account: account.url().clone(),
            status: object.status,
            contact: object.contact,
            terms: account.client().directory().meta.terms_of_service.clone(),
            key: account.key().thumbprint(),
            pending_key: account.pending_key().map(JwsKey::thumbprint),
            file: account.path().to_owned(),
            label: AcmeAccountLabel::of(account.url()).as_str().to_owned(),
            caa: account.caa_record(self.0.settings.challenge),
        })
    }

    /// Gives the account a new key. Waits for orders under way, and fails if they take too long.
    pub async fn rollover(&self) -> Result<()> {
        let _exclusive = self.without_orders().await?;
        let account = self.account_now().await?;
        let _opening = self.0.opening.lock().await;
        // Whatever the outcome, the next caller reads the account from its file.
        *self.opened() = None;
        AcmeAccount::clone(&account).rollover().await
    }

    /// Gives up a rollover that is pending, unless the CA knows the new key already.
    pub async fn abandon_rollover(&self) -> Result<Abandoned> {
        let _exclusive = self.without_orders().await?;
        let _opening = self.0.opening.lock().await;
        self.retry_now();
        self.0.gate.check()?;
        *self.opened() = None;
        let settings = &self.0.settings;
        let client = AcmeClient::connect(&settings.directory, settings.ca_root.as_deref()).await?;
        AcmeAccount::abandon_rollover(&client, settings).await
    }

    /// Waits until no order is under way, and keeps others from starting.
    async fn without_orders(&self) -> Result<RwLockWriteGuard<'_, ()>> {
        tokio::time::timeout(ROLLOVER_TIMEOUT, self.0.orders.write()).await.map_err(|_| AcmeError::InUse)
    }

    /// Deactivates the account for good.
    pub async fn deactivate(&self) -> Result<()> {
        self.account_now().await?.deactivate().await
    }

    /// Replaces the contacts that the CA has.
    pub async fn update_contact(&self, contact: &[String]) -> Result<()> {
        self.account_now().await?.update_contact(contact).await?;
        Ok(())
    }
}

async fn connect(settings: &config::Acme) -> Result<AcmeAccount> {
    let client = AcmeClient::connect(&settings.directory, settings.ca_root.as_deref()).await?;
    AcmeAccount::open(client, settings).await
}
