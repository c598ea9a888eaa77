//! Which keys a CA knows.

use serde_json::json;

use crate::model::url::Url;

use super::client::AcmeClient;
use super::error::Result;
use super::jws::Signer;
use super::key::JwsKey;

/// What a CA says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStatus {
    /// The key is that of the account with this URL.
    Known(Url),
    /// No account has the key, or one that cannot be used.
    Unknown,
    /// The CA's replies do not say it.
    Unclear,
}

/// The URL of the account that has a key, if the CA knows one (RFC 8555 section 7.3.1).
pub async fn find(client: &AcmeClient, key: &JwsKey) -> Result<Option<Url>> {
    let payload = json!({ "onlyReturnExisting": true });
    match client.post(Signer::Key(key), &client.directory().new_account, Some(&payload)).await {
        Ok(reply) => reply.location().map(Some),
        Err(error) if error.is("accountDoesNotExist") => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the CA says of a key of an account. Fails only while the CA is busy or cannot be reached.
///
/// Some CAs do not look up keys, or want an external account binding even for that. They are asked for the account in the
/// name of the key.
pub async fn status_of(client: &AcmeClient, key: &JwsKey, account: &Url) -> Result<KeyStatus> {
    match find(client, key).await {
        Ok(Some(url)) => return Ok(KeyStatus::Known(url)),
        Ok(None) => return Ok(KeyStatus::Unknown),
        Err(_) => {}
    }
    match client.post(Signer::Account(key, account), account, None).await {
        Ok(_) => Ok(KeyStatus::Known(account.clone())),
        Err(error) if error.is_temporary() => Err(error),
        Err(error) if error.refuses_signer() => Ok(KeyStatus::Unknown),
        Err(_) => Ok(KeyStatus::Unclear),
    }
}

/// The account of a key that a CA may know already. A CA that does not look up keys finds the account when it is asked to
/// create it.
pub async fn find_if_possible(client: &AcmeClient, key: &JwsKey) -> Result<Option<Url>> {
    match find(client, key).await {
        Err(error) if error.is_temporary() => Err(error),
        Err(_) => Ok(None),
        found => found,
    }
}
