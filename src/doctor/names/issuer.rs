//! The CA in use, and the account there, as CAA records name them.

use crate::delegation::issuer::{AccountHash, IssuerIdentity};

use super::super::examination::Examination;

/// What is known of the CA in use.
#[derive(Debug, Clone)]
pub enum KnownIssuer {
    /// The CA, and the account there if there is one.
    Known(Box<IssuerIdentity>),
    /// The directory of the CA, or the account's file, cannot be read now.
    Unknown(String),
}

/// The CA in use, by its directory and the file of the account. Asks nothing of the account.
pub async fn known_issuer(examination: &Examination) -> KnownIssuer {
    let account = match examination.authority.known_account().await {
        Ok(account) => account,
        Err(error) => return KnownIssuer::Unknown(error.to_string()),
    };
    let meta = match examination.reached_authority().await {
        Ok(reached) => &reached.directory.meta,
        Err(error) => return KnownIssuer::Unknown(error.to_string()),
    };
    let method = examination.config.acme.challenge;
    let hash = account.as_ref().and_then(|account| {
        let prefix = meta.account_hash_prefix.clone()?;
        Some(AccountHash { prefix, thumbprint: account.thumbprint.clone() })
    });
    let caa_record = meta.caa_record(account.as_ref().map(|account| &account.url), method);
    KnownIssuer::Known(Box::new(IssuerIdentity {
        caa_identities: meta.caa_identities.clone(),
        issuer_domain_names: meta.issuer_domain_names.clone(),
        // A record that is bound to an account is bound to another one as long as there is none here, and no account has
        // the URL of the directory.
        account: account.map_or_else(|| examination.config.acme.directory.clone(), |account| account.url),
        account_hash: hash,
        method,
        caa_record,
    }))
}
