//! The daemon's account with a CA (RFC 8555 section 7.3): created, given a new key, deactivated. A crash at any moment
//! loses nothing.
//!
//! Each key is on disk before the CA sees it. If a reply never comes, the daemon asks the CA which keys it knows.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::config::{self, Method};
use crate::file::state::blocking;
use crate::model::url::Url;

use super::account_file::StoredAccount;
use super::client::AcmeClient;
use super::error::{AcmeError, Result};
use super::http::AcmeReply;
use super::jws::{Signer, external_binding, jwk, sign};
use super::key::JwsKey;

/// An account that the CA knows.
#[derive(Clone, Debug)]
pub struct AcmeAccount {
    client: AcmeClient,
    stored: StoredAccount,
    url: Url,
}

/// An account as the CA describes it (RFC 8555 section 7.1.2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountObject {
    /// `valid`, `deactivated` or `revoked`.
    pub status: String,
    /// The contact URLs. Not every CA tells them.
    #[serde(default)]
    pub contact: Vec<String>,
}

impl AcmeAccount {
    /// Opens the account in the state folder. Creates one if there is none, and finishes what a crash has interrupted.
    pub async fn open(client: AcmeClient, settings: &config::Acme) -> Result<Self> {
        let state = settings.state.clone();
        let directory = settings.directory.clone();
        let stored = blocking(move || StoredAccount::open(&state, &directory)).await?;
        let (stored, refusal) = finish_rollover(&client, stored).await?;
        if let Some(refusal) = refusal {
            warn!("the account keeps its key: {}", refusal.explained());
        }
        if let Some(url) = stored.url.clone() {
            return Ok(Self { client, stored, url });
        }
        // A CA for customers may refuse to look up an unknown key, so a new key is not looked up.
        let found = if stored.is_new { None } else { find(&client, &stored.key).await? };
        let url = match found {
            Some(url) => url,
            None => create(&client, &stored.key, settings).await?,
        };
        let stored = save(StoredAccount { url: Some(url.clone()), ..stored }).await?;
        Ok(Self { client, stored, url })
    }

    /// The account's URL, which is its `accounturi` in CAA records (RFC 8657).
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The account's key.
    pub fn key(&self) -> &JwsKey {
        &self.stored.key
    }

    /// The path of the account's file.
    pub fn path(&self) -> &Path {
        &self.stored.path
    }

    /// The CA.
    pub fn client(&self) -> &AcmeClient {
        &self.client
    }

    /// The data of the CAA record (RFC 8657) that lets this account alone get certificates, and by this method alone;
    /// `None` if the CA does not say by which name CAA records identify it.
    pub fn caa_record(&self, method: Method) -> Option<String> {
        let identity = self.client.directory().meta.caa_identities.first()?;
        let account = &self.url;
        Some(format!("CAA 0 issue \"{identity}; accounturi={account}; validationmethods={method}\""))
    }

    /// A POST signed by the account; without a payload, a POST-as-GET.
    pub async fn post(&self, url: &Url, payload: Option<&Value>) -> Result<AcmeReply> {
        self.client.post(Signer::Account(&self.stored.key, &self.url), url, payload).await
    }

    /// Asks the CA for its description of the account.
    pub async fn fetch(&self) -> Result<AccountObject> {
        self.post(&self.url, None).await?.json()
    }

    /// Replaces the contacts (RFC 8555 section 7.3.2), and returns the CA's new description.
    pub async fn update_contact(&self, contact: &[String]) -> Result<AccountObject> {
        let object = self.post(&self.url, Some(&json!({ "contact": contact }))).await?.json()?;
        info!(account = %self.url, "the CA has the new contacts");
        Ok(object)
    }

    /// Gives the account a new key (RFC 8555 section 7.3.5).
    ///
    /// The new key is written to disk first. The old key stays until the CA has accepted the new one. After an error the
    /// file may hold both; the next [`AcmeAccount::open`] finishes the rollover.
    pub async fn rollover(&mut self) -> Result<()> {
        let next_key = Some(Arc::new(JwsKey::generate()?));
        self.stored = save(StoredAccount { next_key, ..self.stored.clone() }).await?;
        let (stored, refusal) = finish_rollover(&self.client, self.stored.clone()).await?;
        self.stored = stored;
        refusal.map_or(Ok(()), Err)
    }

    /// Deactivates the account for good (RFC 8555 section 7.3.6). Succeeds only if the CA confirms it.
    pub async fn deactivate(&self) -> Result<()> {
        let payload = json!({ "status": "deactivated" });
        let object: AccountObject = self.post(&self.url, Some(&payload)).await?.json()?;
        if object.status != "deactivated" {
            return Err(AcmeError::NotDeactivated { found: object.status });
        }
        warn!(account = %self.url, "the account is deactivated");
        Ok(())
    }
}

/// Finishes a rollover, whether it has just begun or a crash has interrupted it. Returns the account with one key, and
/// the error if the CA has refused the new one.
///
/// Gives up the new key only if the CA has refused it and does not know it: a request whose reply was lost may have
/// reached the CA, and then the old key is worthless.
async fn finish_rollover(client: &AcmeClient, stored: StoredAccount) -> Result<(StoredAccount, Option<AcmeError>)> {
    let (Some(next), Some(url)) = (stored.next_key.clone(), stored.url.clone()) else { return Ok((stored, None)) };
    let changed = StoredAccount { key: next.clone(), next_key: None, ..stored.clone() };
    match change_key(client, &stored.key, &url, &next).await {
        Ok(()) => {
            info!(account = %url, "the CA has the account's new key");
            Ok((save(changed).await?, None))
        }
        Err(error) if error.is_final() => {
            // The CA may spell the URL differently now. No other account has ever used the new key.
            if let Some(url) = find(client, &next).await? {
                return Ok((save(StoredAccount { url: Some(url), ..changed }).await?, None));
            }
            Ok((save(StoredAccount { next_key: None, ..stored }).await?, Some(error)))
        }
        Err(error) => Err(error),
    }
}

async fn change_key(client: &AcmeClient, old: &JwsKey, account: &Url, new: &JwsKey) -> Result<()> {
    let url = &client.directory().key_change;
    let claim = json!({ "account": account, "oldKey": jwk(old) });
    let signed = sign(&Signer::Key(new), url, None, Some(&claim))?;
    client.post(Signer::Account(old, account), url, Some(&signed)).await?;
    Ok(())
}

/// The URL of the account that has a key, if the CA knows one (RFC 8555 section 7.3.1).
async fn find(client: &AcmeClient, key: &JwsKey) -> Result<Option<Url>> {
    let payload = json!({ "onlyReturnExisting": true });
    match client.post(Signer::Key(key), &client.directory().new_account, Some(&payload)).await {
        Ok(reply) => reply.location().map(Some),
        // Some CAs require an external account binding even if no account is to be created.
        Err(error) if error.is("accountDoesNotExist") || error.is("externalAccountRequired") => Ok(None),
        Err(error) => Err(error),
    }
}

async fn create(client: &AcmeClient, key: &JwsKey, settings: &config::Acme) -> Result<Url> {
    let directory = client.directory();
    if directory.meta.terms_of_service.is_some() && !settings.terms_agreed {
        return Err(AcmeError::Terms { terms: directory.meta.terms_of_service.clone() });
    }
    let mut payload = json!({ "termsOfServiceAgreed": settings.terms_agreed, "contact": settings.contact });
    match &settings.external_account {
        Some(external) => {
            let binding = external_binding(&external.kid, external.reveal(), &directory.new_account, key);
            payload["externalAccountBinding"] = binding;
        }
        None if directory.meta.external_account_required => return Err(AcmeError::ExternalAccount),
        None => {}
    }
    let reply = client.post(Signer::Key(key), &directory.new_account, Some(&payload)).await?;
    let url = reply.location()?;
    info!(account = %url, "the CA has created an account");
    Ok(url)
}

async fn save(stored: StoredAccount) -> Result<StoredAccount> {
    blocking(move || stored.save().map(|()| stored)).await
}
