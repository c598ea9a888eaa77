//! Authorizations and their challenges (RFC 8555 sections 7.1.4, 7.5 and 8).

use serde::Deserialize;
use serde_json::json;

use crate::config::Method;
use crate::model::name::owner_label::AcmeAccountLabel;
use crate::model::name::{CHALLENGE_LABEL, PERSIST_LABEL};
use crate::model::url::Url;

use super::account::AcmeAccount;
use super::directory::Meta;
use super::error::{AcmeError, Result};
use super::polling::Attempt;
use super::problem::{IdentifierObject, Problem, or_default, or_empty, readable};

/// The most names of a CA in one challenge (draft-ietf-acme-dns-persist-02 section 3.1).
const MAX_ISSUERS: usize = 10;

/// The states of orders, authorizations and challenges (RFC 8555 section 7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectStatus {
    /// The client has to act.
    Pending,
    /// All authorizations are valid; the CA waits for the certificate request.
    Ready,
    /// The CA is at work.
    Processing,
    /// Done.
    Valid,
    /// Failed.
    Invalid,
    /// Given up by the client.
    Deactivated,
    /// Too old.
    Expired,
    /// Withdrawn by the CA.
    Revoked,
}

impl ObjectStatus {
    /// The name in replies of a CA.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Processing => "processing",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Deactivated => "deactivated",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// What the CA requires for one name. Borrows the account that signs the requests.
#[derive(Debug)]
pub struct Authorization<'a> {
    account: &'a AcmeAccount,
    url: Url,
    object: AuthorizationObject,
    attempt: Attempt,
}

#[derive(Debug, Clone, Deserialize)]
struct AuthorizationObject {
    status: ObjectStatus,
    identifier: IdentifierObject,
    #[serde(default, deserialize_with = "readable")]
    challenges: Vec<Challenge>,
    #[serde(default, deserialize_with = "or_empty")]
    wildcard: bool,
}

/// One way to satisfy an authorization.
#[derive(Debug, Clone, Deserialize)]
pub struct Challenge {
    /// `dns-01`, or the name of another method.
    #[serde(rename = "type")]
    pub kind: String,
    /// The names by which a persistent authorization may identify the CA (draft-ietf-acme-dns-persist-02 section 3.1).
    /// Earlier versions of the draft write the member with hyphens.
    #[serde(default, rename = "issuerDomainNames", alias = "issuer-domain-names", deserialize_with = "or_empty")]
    issuers: Vec<String>,
    url: Url,
    #[serde(default, deserialize_with = "or_empty")]
    token: String,
    #[serde(default, deserialize_with = "or_default")]
    status: Option<ObjectStatus>,
    error: Option<Problem>,
}

impl Challenge {
    /// The token of the key authorization (RFC 8555 section 8.1).
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The names by which a persistent authorization may identify the CA. Fails if the challenge contradicts the directory.
    pub fn issuers(&self, directory: &Meta) -> Result<&[String]> {
        let identities = &directory.caa_identities;
        if self.issuers.is_empty() {
            return Err(AcmeError::Issuers("it does not say by which names records identify the CA"));
        }
        if self.issuers.len() > MAX_ISSUERS {
            return Err(AcmeError::Issuers("it has more than ten names of the CA"));
        }
        // Without a prefix the CA follows an earlier version of the draft, which has neither rule.
        if directory.account_hash_prefix.is_none() {
            return Ok(&self.issuers);
        }
        if directory.issuer_domain_names.iter().any(|name| !self.issuers.contains(name)) {
            return Err(AcmeError::Issuers("it lacks a name that the directory has in `issuerDomainNames`"));
        }
        if !identities.is_empty() && self.issuers.iter().any(|name| !identities.contains(name)) {
            return Err(AcmeError::Issuers("it has a name that the directory does not have in `caaIdentities`"));
        }
        Ok(&self.issuers)
    }

    /// Whether the challenge is for a method and has what that method needs.
    fn is_for(&self, method: Method) -> bool {
        let has_token = method == Method::DnsPersist01 || !self.token.is_empty();
        self.kind == method.as_str() && has_token
    }
}

impl<'a> Authorization<'a> {
    /// Fetches an authorization of an order.
    pub(super) async fn fetch(account: &'a AcmeAccount, url: &Url, attempt: Attempt) -> Result<Self> {
        let object = account.post(url, None).await?.json()?;
        Ok(Self { account, url: url.clone(), object, attempt })
    }

    /// The name, with `*.` for a wildcard.
    pub fn name(&self) -> String {
        let prefix = if self.object.wildcard { "*." } else { "" };
        format!("{prefix}{}", self.object.identifier.value)
    }

    /// The name without `*.`.
    pub fn base(&self) -> &str {
        &self.object.identifier.value
    }

    /// The challenge of a method that is to be answered; `None` if the authorization is valid already.
    pub fn challenge(&self, method: Method) -> Result<Option<&Challenge>> {
        match self.object.status {
            ObjectStatus::Valid => Ok(None),
            ObjectStatus::Pending => {
                let found = self.object.challenges.iter().find(|challenge| challenge.is_for(method));
                found.map(Some).ok_or_else(|| self.no_challenge(method))
            }
            _ => Err(self.failure()),
        }
    }

    fn no_challenge(&self, wanted: Method) -> AcmeError {
        let offered = self.object.challenges.iter().map(|challenge| challenge.kind.clone()).collect();
        AcmeError::NoChallenge { name: self.name(), wanted, offered }
    }

    /// Tells the CA that the challenge can be validated (RFC 8555 section 7.5.1).
    pub async fn answer(&self, challenge: &Challenge) -> Result<()> {
        self.attempt.check("the answers")?;
        self.account.post(&challenge.url, Some(&json!({}))).await?;
        Ok(())
    }

    /// Waits until the CA has validated the challenge, or failed to.
    pub async fn wait(&mut self) -> Result<()> {
        self.object = self.attempt.poll(self.account, &self.url, &self.name(), is_decided).await?;
        if self.object.status == ObjectStatus::Valid { Ok(()) } else { Err(self.failure()) }
    }

    /// Why the authorization is not valid: the error of its challenge, in the CA's words.
    fn failure(&self) -> AcmeError {
        let failed = self.object.challenges.iter().find(|challenge| challenge.error.is_some());
        let record = failed.and_then(|challenge| self.record_of(challenge));
        let problem = failed.and_then(|challenge| challenge.error.clone()).unwrap_or_else(|| Problem {
            detail: Some(format!("its authorization is {}", self.object.status.as_str())),
            ..Problem::default()
        });
        AcmeError::NotProven { name: self.name(), record, problem: problem.into(), seen: None }
    }

    /// The name at which the CA looks for the answer to a challenge.
    fn record_of(&self, challenge: &Challenge) -> Option<String> {
        let base = self.base();
        match challenge.kind.as_str() {
            "dns-01" => Some(format!("{CHALLENGE_LABEL}.{base}")),
            "dns-account-01" => {
                let label = AcmeAccountLabel::of(self.account.url());
                Some(format!("{}.{CHALLENGE_LABEL}.{base}", label.as_str()))
            }
            "dns-persist-01" => Some(format!("{PERSIST_LABEL}.{base}")),
            _ => None,
        }
    }
}

/// Whether the CA has looked and come to an end. Some CAs leave a challenge pending that they could not validate, for the
/// client to answer once more; while a CA tries again by itself, the challenge is in process (RFC 8555 section 8.2).
fn is_decided(object: &AuthorizationObject) -> bool {
    let has_failed =
        |challenge: &Challenge| challenge.error.is_some() && challenge.status == Some(ObjectStatus::Pending);
    object.status != ObjectStatus::Pending || object.challenges.iter().any(has_failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_challenge_does_not_hide_a_known_one() {
        let text = r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"wildcard":null,"challenges":[
            {"type":"dns-persist-01","url":"https://ca.test/1","token":null,"issuerDomainNames":null},
            {"type":"new-02","url":null,"error":7},
            {"type":"dns-01","url":"https://ca.test/2","token":"t","error":null}]}"#;
        let object: AuthorizationObject = serde_json::from_str(text).unwrap();
        let kinds: Vec<&str> = object.challenges.iter().map(|one| one.kind.as_str()).collect();
        assert_eq!((kinds, object.wildcard), (vec!["dns-persist-01", "dns-01"], false));
        assert!(!is_decided(&object));
        for (status, ended) in [("pending", true), ("processing", false)] {
            let text = text.replace(
                "\"token\":\"t\",\"error\":null",
                &format!("\"token\":\"t\",\"status\":\"{status}\",\"error\":{{}}"),
            );
            assert_eq!(is_decided(&serde_json::from_str(&text).unwrap()), ended, "{text}");
        }
        let nothing = r#"{"status":"valid","identifier":{"type":"dns","value":"a.test"},"challenges":null}"#;
        assert!(serde_json::from_str::<AuthorizationObject>(nothing).unwrap().challenges.is_empty());
    }
}
