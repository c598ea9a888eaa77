//! What a CA offers and where (RFC 8555 section 7.1.1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::url::Url;

use super::problem::{or_empty, readable};

/// A CA's directory. What it has beside these is not used: `newAuthz`, pre-authorization, is offered by no public CA.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// Where nonces come from.
    pub new_nonce: Url,
    /// Where accounts are made.
    pub new_account: Url,
    /// Where certificates are ordered.
    pub new_order: Url,
    /// Where they are revoked.
    pub revoke_cert: Url,
    /// Where an account gets another key.
    pub key_change: Url,
    /// Where the CA tells when to renew (RFC 9773); not everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewal_info: Option<Url>,
    /// What else there is to know.
    #[serde(default, deserialize_with = "or_empty")]
    pub meta: Meta,
}

/// The `meta` member of a directory.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// The terms of service's address.
    pub terms_of_service: Option<String>,
    /// The CA's web site.
    pub website: Option<String>,
    /// The names by which CAA records allow it (RFC 8659).
    #[serde(deserialize_with = "readable")]
    pub caa_identities: Vec<String>,
    /// Those by which persistent authorizations know it (draft-ietf-acme-dns-persist-02 section 3.2); not everywhere.
    #[serde(deserialize_with = "readable")]
    pub issuer_domain_names: Vec<String>,
    /// What the hashed names of accounts in persistent authorizations begin with (section 4.1 there). Without it they name
    /// accounts by their URLs, as that draft's earlier versions do.
    pub account_hash_prefix: Option<String>,
    /// Whether a new account must be bound to one that exists (RFC 8555 section 7.3.4).
    #[serde(deserialize_with = "or_empty")]
    pub external_account_required: bool,
    /// The certificate profiles by name, with what they are.
    #[serde(deserialize_with = "or_empty")]
    pub profiles: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_nothing_at_all() {
        let meta = r#"{"termsOfService":null,"website":null,"caaIdentities":null,"issuerDomainNames":null,
            "externalAccountRequired":null,"profiles":null}"#;
        let meta: Meta = serde_json::from_str(meta).unwrap();
        assert!(meta.caa_identities.is_empty() && meta.profiles.is_empty() && !meta.external_account_required);
    }
}
