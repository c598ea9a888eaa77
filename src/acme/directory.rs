//! The directory of a CA: its resources and metadata (RFC 8555 section 7.1.1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::url::Url;

use super::problem::{or_empty, readable};

/// A CA's directory. Other members are ignored, such as `newAuthz` (pre-authorization), which no public CA offers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// Issues nonces.
    pub new_nonce: Url,
    /// Creates accounts.
    pub new_account: Url,
    /// Places orders.
    pub new_order: Url,
    /// Revokes certificates.
    pub revoke_cert: Url,
    /// Changes an account's key.
    pub key_change: Url,
    /// Suggests when to renew (RFC 9773). Not every CA does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewal_info: Option<Url>,
    /// Everything else about the CA.
    #[serde(default, deserialize_with = "or_empty")]
    pub meta: Meta,
}

/// The `meta` member of a directory.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// The URL of the terms of service.
    pub terms_of_service: Option<String>,
    /// The URL of the CA's web site.
    pub website: Option<String>,
    /// The names by which CAA records identify the CA (RFC 8659).
    #[serde(deserialize_with = "readable")]
    pub caa_identities: Vec<String>,
    /// The names by which persistent authorizations identify the CA (draft-ietf-acme-dns-persist-02 section 3.2). Not every
    /// CA has any.
    #[serde(deserialize_with = "readable")]
    pub issuer_domain_names: Vec<String>,
    /// The prefix of hashed account names in persistent authorizations (section 4.1 there). Without it they name accounts by
    /// their URLs, as earlier versions of the draft do.
    pub account_hash_prefix: Option<String>,
    /// Whether a new account needs an external account binding (RFC 8555 section 7.3.4).
    #[serde(deserialize_with = "or_empty")]
    pub external_account_required: bool,
    /// The certificate profiles by name, with their descriptions.
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
