//! Our account with a CA (RFC 8555 section 7.3): made, given another key, deactivated, so that a crash at any moment
//! loses nothing.
//!
//! Every key is on disk before the CA hears of it. What the CA has done when a reply never came is found out by asking
//! it which keys it knows.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::config;
use crate::model::url::Url;

use super::client::Client;
use super::error::{AcmeError, Result};
use super::http::Reply;
use super::jws::{Signer, external_binding, jwk, sign};
use super::key::Key;
use super::state::AccountFile;

/// An account that the CA knows.
#[derive(Clone, Debug)]
pub struct Account {
    client: Client,
    file: AccountFile,
    url: Url,
}

/// What the CA says of an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountView {
    /// `valid`, `deactivated` or `revoked`.
    pub status: String,
    /// Whom the CA writes to. Not every CA tells.
    #[serde(default)]
    pub contact: Vec<String>,
}

impl Account {
    /// The account of the state folder. One is made where there is none; what a crash has interrupted is finished.
    pub async fn open(client: Client, settings: &config::Acme) -> Result<Self> {
        let (state, directory) = (settings.state.clone(), settings.directory.clone());
        let file = blocking(move || AccountFile::open(&state, &directory)).await?;
        let (file, refusal) = finish_rollover(&client, file).await?;
        if let Some(refusal) = refusal {
            warn!("the account keeps its key: {}", refusal.explained());
        }
        if let Some(url) = file.url.clone() {
            return Ok(Self { client, file, url });
        }
        // A CA for customers may refuse to look for a key of nobody, so it is not asked for one that has just been made.
        let found = if file.is_new { None } else { known(&client, &file.key).await? };
        let url = match found {
            Some(url) => url,
            None => create(&client, &file.key, settings).await?,
        };
        let file = saved(AccountFile { url: Some(url.clone()), ..file }).await?;
        Ok(Self { client, file, url })
    }

    /// The account's address, as CAA records name it (`accounturi`, RFC 8657).
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its key.
    pub fn key(&self) -> &Key {
        &self.file.key
    }

    /// The file that keeps it.
    pub fn path(&self) -> &std::path::Path {
        &self.file.path
    }

    /// The CA.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A POST that the account signs; `None` is POST-as-GET.
    pub async fn post(&self, url: &Url, payload: Option<&Value>) -> Result<Reply> {
        self.client.post(Signer::Account(&self.file.key, &self.url), url, payload).await
    }

    /// What the CA says of it.
    pub async fn view(&self) -> Result<AccountView> {
        self.post(&self.url, None).await?.json()
    }

    /// Replaces the contacts (RFC 8555 section 7.3.2); the CA's view afterwards.
    pub async fn update_contact(&self, contact: &[String]) -> Result<AccountView> {
        let view = self.post(&self.url, Some(&json!({ "contact": contact }))).await?.json()?;
        info!(account = %self.url, "the CA has the new contacts");
        Ok(view)
    }

    /// Gives the account another key (RFC 8555 section 7.3.5).
    ///
    /// The new key is on disk first, and the old one until the CA has said yes. After an error the file may hold both;
    /// the next [`Account::open`] finishes what was begun.
    pub async fn rollover(&mut self) -> Result<()> {
        let next_key = Some(Arc::new(Key::generate()?));
        self.file = saved(AccountFile { next_key, ..self.file.clone() }).await?;
        let (file, refusal) = finish_rollover(&self.client, self.file.clone()).await?;
        self.file = file;
        refusal.map_or(Ok(()), Err)
    }

    /// Deactivates it for good (RFC 8555 section 7.3.6). Believed only when the CA says so.
    pub async fn deactivate(&self) -> Result<()> {
        let payload = json!({ "status": "deactivated" });
        let view: AccountView = self.post(&self.url, Some(&payload)).await?.json()?;
        if view.status != "deactivated" {
            return Err(AcmeError::NotDeactivated { found: view.status });
        }
        warn!(account = %self.url, "the account is deactivated");
        Ok(())
    }
}

/// Brings a rollover to its end, whether it has just begun or a crash has cut it short: a file with one key, and why
/// the CA has refused the other one, if it has.
///
/// The new key is given up only after a refusal and the CA's word that it does not know it: a request that was lost may
/// still have reached the CA, and then the old key is of no use any more.
async fn finish_rollover(client: &Client, file: AccountFile) -> Result<(AccountFile, Option<AcmeError>)> {
    let (Some(next), Some(url)) = (file.next_key.clone(), file.url.clone()) else { return Ok((file, None)) };
    let taken = AccountFile { key: next.clone(), next_key: None, ..file.clone() };
    match change_key(client, &file.key, &url, &next).await {
        Ok(()) => {
            info!(account = %url, "the CA has the account's new key");
            Ok((saved(taken).await?, None))
        }
        Err(error) if error.is_final() => {
            // However the CA spells the address now: nobody but this account has ever used the key.
            if let Some(url) = known(client, &next).await? {
                return Ok((saved(AccountFile { url: Some(url), ..taken }).await?, None));
            }
            Ok((saved(AccountFile { next_key: None, ..file }).await?, Some(error)))
        }
        Err(error) => Err(error),
    }
}

async fn change_key(client: &Client, old: &Key, account: &Url, new: &Key) -> Result<()> {
    let url = &client.directory().key_change;
    let claim = json!({ "account": account, "oldKey": jwk(old) });
    let proof = sign(&Signer::Key(new), url, None, Some(&claim))?;
    client.post(Signer::Account(old, account), url, Some(&proof)).await.map(|_| ())
}

/// The account of a key, if the CA has one (RFC 8555 section 7.3.1).
async fn known(client: &Client, key: &Key) -> Result<Option<Url>> {
    let payload = json!({ "onlyReturnExisting": true });
    match client.post(Signer::Key(key), &client.directory().new_account, Some(&payload)).await {
        Ok(reply) => reply.location().map(Some),
        // The second by a CA that wants a new account bound to one of its own even where none is to be made.
        Err(error) if error.is("accountDoesNotExist") || error.is("externalAccountRequired") => Ok(None),
        Err(error) => Err(error),
    }
}

async fn create(client: &Client, key: &Key, settings: &config::Acme) -> Result<Url> {
    let directory = client.directory();
    if directory.meta.terms_of_service.is_some() && !settings.terms_agreed {
        return Err(AcmeError::Terms { terms: directory.meta.terms_of_service.clone() });
    }
    let mut payload = json!({ "termsOfServiceAgreed": settings.terms_agreed, "contact": settings.contact });
    match &settings.external_account {
        Some(external) => {
            let binding = external_binding(&external.kid, external.reveal(), &directory.new_account, key)?;
            payload["externalAccountBinding"] = binding;
        }
        None if directory.meta.external_account_required => return Err(AcmeError::ExternalAccount),
        None => {}
    }
    let url = client.post(Signer::Key(key), &directory.new_account, Some(&payload)).await?.location()?;
    info!(account = %url, "the CA has made an account");
    Ok(url)
}

async fn saved(file: AccountFile) -> Result<AccountFile> {
    blocking(move || file.save().map(|()| file)).await
}

/// Work with files, away from the threads that serve.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let lost = |error: tokio::task::JoinError| AcmeError::Setup(error.to_string());
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}
