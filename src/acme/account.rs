//! The daemon's account with a CA (RFC 8555 section 7.3): created, given a new key, deactivated. A crash at any moment
//! loses nothing.
//!
//! Each key is on disk before the CA sees it. If a reply never comes, the daemon asks the CA which keys it knows.

use std::path::Path;

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
use super::jws::{Signer, external_binding};
use super::key::JwsKey;
use super::known_key::find_if_possible;
use super::problem::or_default;
use super::rollover::{self, Abandoned, pending, save};

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
    #[serde(default, deserialize_with = "or_default")]
    pub contact: Vec<String>,
}

impl AcmeAccount {
    /// Opens the account in the state folder. Creates one if there is none, and finishes what a crash has interrupted.
    pub async fn open(client: AcmeClient, settings: &config::Acme) -> Result<Self> {
        let stored = open_file(settings).await?;
        let attempted = rollover::resume(&client, stored).await?;
        if let Some(problem) = &attempted.problem {
            let state = if attempted.stored.next_key.is_some() { "pending" } else { "given up" };
            warn!(
                "the account's key rollover is {state}, and the account goes on with its key: {}",
                problem.explained()
            );
        }
        let stored = attempted.stored;
        if let Some(url) = stored.url.clone() {
            return Ok(Self { client, stored, url });
        }
        // A CA for customers may refuse to look up an unknown key, so a new key is not looked up.
        let found = if stored.is_new { None } else { find_if_possible(&client, &stored.key).await? };
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

    /// The new key of a rollover that is pending.
    pub fn pending_key(&self) -> Option<&JwsKey> {
        self.stored.next_key.as_deref()
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
        self.client.directory().meta.caa_record(Some(&self.url), method)
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

    /// Gives the account a new key (RFC 8555 section 7.3.5). After an error the rollover may be pending; the next
    /// [`AcmeAccount::open`] goes on with it.
    pub async fn rollover(self) -> Result<()> {
        let attempted = rollover::begin(&self.client, self.stored).await?;
        match attempted.problem {
            Some(problem) if attempted.stored.next_key.is_some() => Err(pending(problem)),
            Some(problem) => Err(AcmeError::KeyKept(problem.into())),
            None => Ok(()),
        }
    }

    /// Gives up a rollover that is pending.
    pub async fn abandon_rollover(client: &AcmeClient, settings: &config::Acme) -> Result<Abandoned> {
        rollover::abandon(client, open_file(settings).await?).await
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

async fn open_file(settings: &config::Acme) -> Result<StoredAccount> {
    let state = settings.state.clone();
    let directory = settings.directory.clone();
    blocking(move || StoredAccount::open(&state, &directory)).await
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
    let mut created = client.post(Signer::Key(key), &directory.new_account, Some(&payload)).await;
    if let Err(error) = &created
        && !settings.contact.is_empty()
        && refuses_contacts(error)
    {
        // Certificates do not need contacts.
        payload["contact"] = json!([]);
        if let Ok(reply) = client.post(Signer::Key(key), &directory.new_account, Some(&payload)).await {
            warn!("the CA has created the account without its contacts: {}", error.explained());
            created = Ok(reply);
        }
    }
    let url = created?.location()?;
    info!(account = %url, "the CA has created an account");
    Ok(url)
}

fn refuses_contacts(error: &AcmeError) -> bool {
    let names = ["invalidContact", "unsupportedContact", "malformed"];
    names.iter().any(|name| error.is(name)) || error.is_unsupported()
}
