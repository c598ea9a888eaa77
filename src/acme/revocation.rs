//! Revocation (RFC 8555 section 7.6), signed by an account or by the certificate's own key.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::warn;

use crate::model::url::Url;

use super::account::AcmeAccount;
use super::client::AcmeClient;
use super::error::{AcmeError, Result};
use super::jws::Signer;
use super::key::{JwsKey, base64url};

/// The reason of a revocation (RFC 5280 section 5.3.1): those that subscribers may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationReason {
    /// No reason is given.
    Unspecified,
    /// Somebody else has the key.
    KeyCompromise,
    /// The names belong to another organisation now.
    AffiliationChanged,
    /// Another certificate has replaced this one.
    Superseded,
    /// The site has closed.
    CessationOfOperation,
}

impl RevocationReason {
    /// The name in the words of RFC 5280.
    fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key compromise",
            Self::AffiliationChanged => "affiliation changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation of operation",
        }
    }

    /// The code in a CRL.
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

/// Who signs the request.
#[derive(Debug)]
pub enum RevokedBy<'a> {
    /// The account that ordered the certificate, or one that has proven all its names.
    Account(&'a AcmeAccount),
    /// The certificate's own key; no account is needed.
    CertificateKey(&'a AcmeClient, &'a JwsKey),
}

/// Revokes a certificate (DER).
pub async fn revoke(by: RevokedBy<'_>, certificate: &[u8], reason: RevocationReason) -> Result<()> {
    let payload = json!({ "certificate": base64url(certificate), "reason": reason.code() });
    match by {
        RevokedBy::Account(account) => account.post(resource(account.client())?, Some(&payload)).await,
        RevokedBy::CertificateKey(client, key) => {
            client.post(Signer::Key(key), resource(client)?, Some(&payload)).await
        }
    }?;
    warn!(reason = reason.as_str(), "a certificate is revoked");
    Ok(())
}

/// The URL that takes revocations. A CA need not have one.
fn resource(client: &AcmeClient) -> Result<&Url> {
    client.directory().revoke_cert.as_ref().ok_or(AcmeError::NotOffered("revokeCert"))
}
