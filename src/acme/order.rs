//! Orders (RFC 8555 sections 7.1.3 and 7.4).

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tracing::{debug, info, warn};

use crate::model::identifier::Identifier;
use crate::model::url::Url;
use crate::net::jitter::pause;

use super::account::AcmeAccount;
use super::authorization::{Authorization, ObjectStatus};
use super::certificate::{certificates, root_of};
use super::error::{AcmeError, Result};
use super::http::AcmeReply;
use super::key::base64url;
use super::polling::{Attempt, FIRST_PAUSE, pause_after};
use super::problem::{IdentifierObject, Problem, or_empty};

/// The most alternate chains that are downloaded.
const MAX_ALTERNATES: usize = 10;

/// The content of a new order.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// The names; at least one.
    pub names: Vec<Identifier>,
    /// The certificate profile.
    pub profile: Option<String>,
    /// The certificate that the new one replaces (RFC 9773 section 5): its
    /// [`renewal_id`](super::certificate::CertificateInfo::renewal_id).
    pub replaces: Option<String>,
}

/// An order. Borrows the account that signs the requests.
#[derive(Debug)]
pub struct Order<'a> {
    account: &'a AcmeAccount,
    url: Url,
    object: OrderObject,
    attempt: Attempt,
}

#[derive(Debug, Clone, Deserialize)]
struct OrderObject {
    status: ObjectStatus,
    #[serde(default, deserialize_with = "or_empty")]
    identifiers: Vec<IdentifierObject>,
    authorizations: Vec<Url>,
    finalize: Url,
    certificate: Option<Url>,
    error: Option<Problem>,
}

impl<'a> Order<'a> {
    /// Places an order (RFC 8555 section 7.4). If the CA refuses `replaces`, the order is placed without it.
    pub async fn place(account: &'a AcmeAccount, new: &NewOrder) -> Result<Self> {
        let directory = account.client().directory();
        if let Some(profile) = &new.profile {
            // Checked here: not every CA refuses a profile that it does not know.
            if !directory.meta.profiles.contains_key(profile) {
                let offered = directory.meta.profiles.keys().cloned().collect();
                return Err(AcmeError::Profile { wanted: profile.clone(), offered });
            }
        }
        let reply = request_order(account, new).await?;
        let url = reply.location()?;
        let order = Self { account, url, object: reply.json()?, attempt: Attempt::begin() };
        info!(order = %order.url, names = ?new.names, "ordered");
        Ok(order)
    }

    /// Resumes an order that was placed before.
    pub async fn resume(account: &'a AcmeAccount, url: Url) -> Result<Self> {
        let object = account.post(&url, None).await?.json()?;
        Ok(Self { account, url, object, attempt: Attempt::begin() })
    }

    /// The order's URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The state that the CA has reported last.
    pub fn status(&self) -> ObjectStatus {
        self.object.status
    }

    /// Whether the order is for exactly these names.
    pub fn is_for(&self, names: &[Identifier]) -> bool {
        let ordered = &self.object.identifiers;
        ordered.len() == names.len()
            && names.iter().all(|name| ordered.iter().any(|identifier| identifier.value == name.to_string()))
    }

    /// Fetches the authorizations: those that are pending, and those that are valid already.
    pub async fn authorizations(&self) -> Result<Vec<Authorization<'a>>> {
        let found = self.object.authorizations.len();
        let names = self.object.identifiers.len();
        if found > names {
            return Err(AcmeError::TooManyAuthorizations { found, names });
        }
        let mut authorizations = Vec::new();
        for url in &self.object.authorizations {
            self.attempt.check("the authorizations")?;
            authorizations.push(Authorization::fetch(self.account, url, self.attempt).await?);
        }
        Ok(authorizations)
    }

    /// Waits until the CA has seen that all authorizations are valid.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        self.wait("the order", |status| status != ObjectStatus::Pending).await
    }

    /// Sends the certificate request (DER) and waits for the certificate.
    pub async fn finalize(&mut self, request: &[u8]) -> Result<()> {
        if self.object.status == ObjectStatus::Ready {
            let payload = json!({ "csr": base64url(request) });
            let reply = self.account.post(&self.object.finalize, Some(&payload)).await?;
            let wait = pause_after(&reply, FIRST_PAUSE);
            self.object = reply.json()?;
            if self.object.status == ObjectStatus::Processing {
                pause(wait).await;
            }
        }
        self.wait("the certificate", |status| !matches!(status, ObjectStatus::Processing | ObjectStatus::Ready)).await
    }

    /// Downloads the certificate and its chain. With `root`, prefers the alternate chain that leads to a root of that
    /// name (RFC 8555 section 7.4.2); if the CA has none, returns the default chain.
    pub async fn download(&self, root: Option<&str>) -> Result<Vec<CertificateDer<'static>>> {
        let Some(url) = &self.object.certificate else {
            return Err(AcmeError::Certificate("the order is valid, but names no certificate".into()));
        };
        let reply = self.account.post(url, None).await?;
        let default = certificates(&reply.body)?;
        let Some(root) = root.filter(|root| root_of(&default).as_deref() != Some(root)) else { return Ok(default) };
        for alternate in reply.links("alternate").into_iter().take(MAX_ALTERNATES) {
            let chain = match self.alternate(&alternate).await {
                Ok(chain) => chain,
                // The default chain will do.
                Err(error) => {
                    warn!(%alternate, "cannot download an alternate chain: {error}");
                    continue;
                }
            };
            debug!(%alternate, root = ?root_of(&chain), "an alternate chain");
            if root_of(&chain).as_deref() == Some(root) && chain.first() == default.first() {
                return Ok(chain);
            }
        }
        let leads_to = root_of(&default).unwrap_or_default();
        info!("the CA has no chain to {root:?}; its default chain leads to {leads_to:?}");
        Ok(default)
    }

    async fn alternate(&self, url: &Url) -> Result<Vec<CertificateDer<'static>>> {
        let reply = self.account.post(url, None).await?;
        certificates(&reply.body)
    }

    /// Polls until `is_done`; fails if the order has failed.
    async fn wait(&mut self, what: &str, is_done: impl Fn(ObjectStatus) -> bool) -> Result<()> {
        if !is_done(self.object.status) {
            self.object =
                self.attempt.poll(self.account, &self.url, what, |object: &OrderObject| is_done(object.status)).await?;
        }
        if self.object.status != ObjectStatus::Invalid {
            return Ok(());
        }
        let names: Vec<&str> = self.object.identifiers.iter().map(|identifier| identifier.value.as_str()).collect();
        let problem = self.object.error.clone().unwrap_or_default();
        Err(AcmeError::NotProven { name: names.join(", "), problem: problem.into() })
    }
}

async fn request_order(account: &AcmeAccount, new: &NewOrder) -> Result<AcmeReply> {
    let directory = account.client().directory();
    let names: Vec<Value> = new.names.iter().map(|name| json!({ "type": "dns", "value": name })).collect();
    let mut payload = json!({ "identifiers": names });
    if let Some(profile) = &new.profile {
        payload["profile"] = profile.as_str().into();
    }
    // A CA without renewal information need not know the member.
    if let Some(replaced) = new.replaces.as_ref().filter(|_| directory.renewal_info.is_some()) {
        let mut replacing = payload.clone();
        replacing["replaces"] = replaced.as_str().into();
        match account.post(&directory.new_order, Some(&replacing)).await {
            // Whatever the error: a CA that knows the certificate from another account says "unauthorized".
            Err(error) if error.is_final() => info!("the CA refuses to replace the certificate: {error}"),
            done => return done,
        }
    }
    account.post(&directory.new_order, Some(&payload)).await
}
