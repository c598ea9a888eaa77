//! Orders (RFC 8555 sections 7.1.3 and 7.4).

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tracing::{debug, info, warn};

use crate::model::identifier::Identifier;
use crate::model::text::listed;
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
    /// Whether a certificate of the CA's default profile is better than none: another one is about to expire.
    pub may_lack_profile: bool,
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
    ///
    /// An order without its profile is placed where the CA has no profiles at all or does not take one that it lists, and
    /// where `may_lack_profile`. Otherwise a profile that the CA does not list is an error.
    pub async fn place(account: &'a AcmeAccount, new: &NewOrder) -> Result<Self> {
        let profile = usable_profile(account, new)?;
        let (url, object) = request_order(account, new, profile).await?;
        let order = Self { account, url, object, attempt: Attempt::begin() };
        info!(order = %order.url, names = %listed(&new.names), "ordered");
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
            debug!(%alternate, root = root_of(&chain), "an alternate chain");
            if root_of(&chain).as_deref() == Some(root) && chain.first() == default.first() {
                return Ok(chain);
            }
        }
        let leads_to = root_of(&default).unwrap_or_else(|| "a root without a name".to_owned());
        info!("the CA has no chain to {root}; its default chain leads to {leads_to}");
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
        Err(AcmeError::NotProven { name: names.join(", "), record: None, problem: problem.into(), seen: None })
    }
}

/// The profile to ask for. Checked here: not every CA refuses a profile that it does not know.
fn usable_profile<'a>(account: &AcmeAccount, new: &'a NewOrder) -> Result<Option<&'a str>> {
    let offered = &account.client().directory().meta.profiles;
    let Some(wanted) = new.profile.as_deref().filter(|wanted| !offered.contains_key(*wanted)) else {
        return Ok(new.profile.as_deref());
    };
    if !offered.is_empty() && !new.may_lack_profile {
        return Err(AcmeError::Profile { wanted: wanted.to_owned(), offered: offered.keys().cloned().collect() });
    }
    warn!(profile = wanted, "the CA has no such certificate profile; the order is placed without it");
    Ok(None)
}

/// Sends the order, without the optional members that the CA refuses.
async fn request_order(account: &AcmeAccount, new: &NewOrder, profile: Option<&str>) -> Result<(Url, OrderObject)> {
    let directory = account.client().directory();
    let names: Vec<Value> = new.names.iter().map(|name| json!({ "type": "dns", "value": name })).collect();
    let mut payload = json!({ "identifiers": names });
    if let Some(profile) = profile {
        payload["profile"] = profile.into();
    }
    // A CA without renewal information need not know the member.
    if let Some(replaced) = new.replaces.as_ref().filter(|_| directory.renewal_info.is_some()) {
        payload["replaces"] = replaced.as_str().into();
    }
    loop {
        let reply = account.post(&directory.new_order, Some(&payload)).await;
        let error = match reply.and_then(created) {
            Ok(order) => return Ok(order),
            Err(error) => error,
        };
        // The other errors would be the same without a member.
        if error.is_temporary() || error.is("rateLimited") || error.is("badNonce") {
            return Err(error);
        }
        // Whatever the error: a CA that knows the certificate from another account says "unauthorized".
        if remove(&mut payload, "replaces") {
            info!("the CA refuses to replace the certificate: {error}");
        } else if refuses_profile(&error) && remove(&mut payload, "profile") {
            warn!("the CA refuses the certificate profile, and the order is placed without it: {error}");
        } else {
            return Err(error);
        }
    }
}

/// The order that a request has created.
fn created(reply: AcmeReply) -> Result<(Url, OrderObject)> {
    Ok((reply.location()?, reply.json()?))
}

/// Removes a member of an order. Returns whether it was there.
fn remove(payload: &mut Value, member: &str) -> bool {
    payload.as_object_mut().and_then(|members| members.remove(member)).is_some()
}

fn refuses_profile(error: &AcmeError) -> bool {
    error.is("invalidProfile") || error.is("malformed") || error.is_unsupported()
}
