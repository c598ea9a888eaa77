//! The rollover of an account's key (RFC 8555 section 7.3.5): begun, finished after a crash, given up.
//!
//! Both keys are on disk until the CA has said which one it knows. A CA need not offer rollovers, and its refusal must
//! not keep the account from being used: where the former key still works, the account goes on with it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::info;

use crate::file::state::blocking;
use crate::model::url::Url;

use super::account_file::StoredAccount;
use super::client::AcmeClient;
use super::error::{AcmeError, Result};
use super::jws::{Signer, jwk, sign};
use super::key::JwsKey;
use super::known_key::{KeyStatus, status_of};

/// The member of the directory.
const KEY_CHANGE: &str = "keyChange";

/// An account after an attempt at a rollover. It has one key, or both if the rollover is still pending.
#[derive(Debug)]
pub struct Attempted {
    /// The account.
    pub stored: StoredAccount,
    /// Why the account does not have the new key.
    pub problem: Option<AcmeError>,
}

/// What has become of a rollover that was to be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Abandoned {
    /// No rollover was pending.
    NothingPending,
    /// The account keeps its former key.
    FormerKey,
    /// The CA knows the new key already, so the account has that one.
    NewKey,
}

/// Begins a rollover. After an error the file may hold both keys; [`resume`] goes on from there.
pub async fn begin(client: &AcmeClient, stored: StoredAccount) -> Result<Attempted> {
    if client.directory().key_change.is_none() {
        return Err(AcmeError::NotOffered(KEY_CHANGE));
    }
    let next_key = Some(Arc::new(JwsKey::generate()?));
    let stored = save(StoredAccount { next_key, ..stored }).await?;
    attempt(client, stored, false).await
}

/// Goes on with a rollover that is pending, if one is.
pub async fn resume(client: &AcmeClient, stored: StoredAccount) -> Result<Attempted> {
    attempt(client, stored, true).await
}

/// Asks the CA to change the key, and which of the keys it knows then.
async fn attempt(client: &AcmeClient, stored: StoredAccount, is_repeated: bool) -> Result<Attempted> {
    let (Some(next), Some(url)) = (stored.next_key.clone(), stored.url.clone()) else {
        return Ok(Attempted { stored, problem: None });
    };
    let reply = change_key(client, &stored.key, &url, &next).await;
    let new = status_of(client, &next, &url).await.map_err(pending)?;
    let problem = match (reply, new.clone()) {
        // Some CAs spell the URL differently when they are asked for it. No other account has ever used the new key.
        (Err(_), KeyStatus::Known(found)) => return finish(stored, next, found).await,
        (Ok(()), KeyStatus::Known(_) | KeyStatus::Unclear) => return finish(stored, next, url).await,
        (Ok(()), KeyStatus::Unknown) => AcmeError::KeyNotChanged,
        (Err(problem), _) => problem,
    };
    let former = status_of(client, &stored.key, &url).await.map_err(pending)?;
    if matches!(problem, AcmeError::KeyNotChanged) && former == KeyStatus::Unknown {
        return finish(stored, next, url).await;
    }
    // A request without a clear reply may still reach the CA. The second one has had its time.
    let is_over = match former {
        KeyStatus::Known(_) => is_repeated || !problem.is_unclear(),
        KeyStatus::Unknown | KeyStatus::Unclear => new == KeyStatus::Unknown && !problem.is_unclear(),
    };
    let stored = if is_over { save(StoredAccount { next_key: None, ..stored }).await? } else { stored };
    Ok(Attempted { stored, problem: Some(problem) })
}

/// The error of a rollover whose two keys are both on disk.
pub fn pending(cause: AcmeError) -> AcmeError {
    AcmeError::RolloverPending(cause.into())
}

async fn finish(stored: StoredAccount, next: Arc<JwsKey>, url: Url) -> Result<Attempted> {
    info!(account = %url, "the CA has the account's new key");
    let stored = save(StoredAccount { key: next, next_key: None, url: Some(url), ..stored }).await?;
    Ok(Attempted { stored, problem: None })
}

async fn change_key(client: &AcmeClient, old: &JwsKey, account: &Url, new: &JwsKey) -> Result<()> {
    let url = client.directory().key_change.as_ref().ok_or(AcmeError::NotOffered(KEY_CHANGE))?;
    let claim = json!({ "account": account, "oldKey": jwk(old) });
    let signed = sign(&Signer::Key(new), url, None, Some(&claim))?;
    client.post(Signer::Account(old, account), url, Some(&signed)).await?;
    Ok(())
}

/// Gives up a rollover that is pending, without another attempt. A key that the CA knows is never given up.
pub async fn abandon(client: &AcmeClient, stored: StoredAccount) -> Result<Abandoned> {
    let (Some(next), Some(url)) = (stored.next_key.clone(), stored.url.clone()) else {
        return Ok(Abandoned::NothingPending);
    };
    match status_of(client, &next, &url).await? {
        KeyStatus::Known(found) => {
            finish(stored, next, found).await?;
            return Ok(Abandoned::NewKey);
        }
        KeyStatus::Unclear if status_of(client, &stored.key, &url).await? == KeyStatus::Unknown => {
            return Err(AcmeError::FormerKeyUnknown);
        }
        KeyStatus::Unclear | KeyStatus::Unknown => {}
    }
    info!(account = %url, "the key rollover is given up; the account keeps its former key");
    save(StoredAccount { next_key: None, ..stored }).await?;
    Ok(Abandoned::FormerKey)
}

/// Writes an account to its file.
pub async fn save(stored: StoredAccount) -> Result<StoredAccount> {
    blocking(move || stored.save().map(|()| stored)).await
}
