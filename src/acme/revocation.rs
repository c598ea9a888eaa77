//! Revocation (RFC 8555 section 7.6): by the account that got the certificate, or by the certificate's own key.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::warn;

use super::account::Account;
use super::client::Client;
use super::error::Result;
use super::jws::Signer;
use super::key::{Key, base64url};

/// Why a certificate is revoked (RFC 5280 section 5.3.1): those that subscribers may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// None is given.
    Unspecified,
    /// Somebody else has the key.
    KeyCompromise,
    /// The names belong to another organisation now.
    AffiliationChanged,
    /// Another certificate has taken its place.
    Superseded,
    /// The site is no longer there.
    CessationOfOperation,
}

impl Reason {
    /// The number in a CRL.
    pub fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
        }
    }
}

/// Who asks for it.
#[derive(Debug)]
pub enum By<'a> {
    /// The account that got it, or one that has proven all of its names.
    Account(&'a Account),
    /// Whoever has its key; needs no account.
    CertificateKey(&'a Client, &'a Key),
}

/// Revokes a certificate, in DER.
pub async fn revoke(by: By<'_>, certificate: &[u8], reason: Reason) -> Result<()> {
    let payload = json!({ "certificate": base64url(certificate), "reason": reason.code() });
    match by {
        By::Account(account) => account.post(&account.client().directory().revoke_cert, Some(&payload)).await,
        By::CertificateKey(client, key) => {
            client.post(Signer::Key(key), &client.directory().revoke_cert, Some(&payload)).await
        }
    }?;
    warn!(?reason, "a certificate is revoked");
    Ok(())
}
