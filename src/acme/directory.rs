//! The directory of a CA: its resources and metadata (RFC 8555 section 7.1.1).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::config::Method;
use crate::model::url::Url;

use super::problem::{or_default, readable};

/// A CA's directory. Other members are ignored, such as `newAuthz` (pre-authorization), which no public CA offers.
///
/// Only the first three resources lead to certificates. The others count as absent if they cannot be read, because
/// certificates must not depend on them.
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
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub revoke_cert: Option<Url>,
    /// Changes an account's key.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub key_change: Option<Url>,
    /// Suggests when to renew (RFC 9773). Not every CA does.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub renewal_info: Option<Url>,
    /// Everything else about the CA.
    #[serde(default, deserialize_with = "or_default")]
    pub meta: Meta,
}

/// The `meta` member of a directory.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// The URL of the terms of service.
    #[serde(deserialize_with = "or_default")]
    pub terms_of_service: Option<String>,
    /// The URL of the CA's web site.
    #[serde(deserialize_with = "or_default")]
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
    #[serde(deserialize_with = "or_default")]
    pub account_hash_prefix: Option<String>,
    /// Whether a new account needs an external account binding (RFC 8555 section 7.3.4).
    #[serde(deserialize_with = "or_default")]
    pub external_account_required: bool,
    /// The certificate profiles by name, with their descriptions.
    #[serde(deserialize_with = "profiles")]
    pub profiles: BTreeMap<String, String>,
}

impl Meta {
    /// The data of the CAA record (RFC 8657) that lets the account alone get certificates, and by this method alone; `None`
    /// if the CA does not say by which name CAA records identify it. Without an account: any account of the CA.
    pub fn caa_record(&self, account: Option<&Url>, method: Method) -> Option<String> {
        let identity = self.caa_identities.first()?;
        let account = account.map(|account| format!("; accounturi={account}")).unwrap_or_default();
        Some(format!("CAA 0 issue \"{identity}{account}; validationmethods={method}\""))
    }
}

/// Reads profiles. A description that is not a text is shown as the JSON that it is.
fn profiles<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let all: Map<String, Value> = or_default(from)?;
    let described = all.into_iter().map(|(name, description)| match description {
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    });
    Ok(described.collect())
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

    const NEEDED: &str =
        r#""newNonce":"https://ca.test/n","newAccount":"https://ca.test/a","newOrder":"https://ca.test/o""#;

    #[test]
    fn a_directory_without_the_optional_steps_or_with_nonsense_in_their_place_can_be_used() {
        for optional in [
            "",
            r#","revokeCert":null,"keyChange":null,"renewalInfo":null,"meta":null"#,
            r#","revokeCert":7,"keyChange":"nowhere","renewalInfo":{"url":"x"},"meta":"none""#,
            r#","keyChange":["https://ca.test/k"],"meta":{"termsOfService":{"en":"x"},"website":1,"caaIdentities":"ca.test",
                "issuerDomainNames":{},"accountHashPrefix":[],"externalAccountRequired":"no","profiles":["classic"]}"#,
        ] {
            let directory: Directory = serde_json::from_str(&format!("{{{NEEDED}{optional}}}")).expect(optional);
            let absent = [directory.revoke_cert, directory.key_change, directory.renewal_info];
            assert!(absent.iter().all(Option::is_none), "{absent:?}");
            assert!(directory.meta.terms_of_service.is_none() && directory.meta.profiles.is_empty(), "{optional}");
        }
        let described = format!(r#"{{{NEEDED},"meta":{{"profiles":{{"a":"text","b":{{"days":6}}}}}}}}"#);
        let directory: Directory = serde_json::from_str(&described).unwrap();
        let profiles: Vec<_> = directory.meta.profiles.iter().map(|(name, text)| format!("{name}={text}")).collect();
        assert_eq!(profiles, ["a=text", r#"b={"days":6}"#]);
        assert!(serde_json::from_str::<Directory>(r#"{"newNonce":"https://ca.test/n"}"#).is_err());
    }
}
