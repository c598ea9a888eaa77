//! Orders, their authorizations and challenges (RFC 8555 section 7.1.3 to 7.5).

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tracing::{debug, info, warn};

use crate::config::Method;
use crate::model::identifier::Identifier;
use crate::model::url::Url;

use super::account::Account;
use super::certificate::{certificates, root_of};
use super::error::{AcmeError, Result};
use super::http::Reply;
use super::key::base64url;
use super::pause;
use super::problem::{Named, Problem, or_empty, readable};

/// How long one attempt at an order may take; the next one goes on with it. Until then no rollover gets the account's key.
const PATIENCE: Duration = Duration::from_secs(900);
/// The first pause between two looks; each next one is twice as long, up to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// The bounds of the pause that the CA may ask for between two looks.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// The most alternate chains that are looked at.
const MAX_ALTERNATES: usize = 10;

/// States of orders, authorizations and challenges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Something is to be done.
    Pending,
    /// All is proven; the request can be sent.
    Ready,
    /// The CA is at work.
    Processing,
    /// Done.
    Valid,
    /// Failed.
    Invalid,
    /// Given up by us.
    Deactivated,
    /// Too old.
    Expired,
    /// Taken back by the CA.
    Revoked,
}

/// What is ordered.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The names; at least one.
    pub names: Vec<Identifier>,
    /// The certificate profile.
    pub profile: Option<String>,
    /// The certificate that this one will replace (RFC 9773 section 5), as [`super::certificate::Facts::renewal_id`] names it.
    pub replaces: Option<String>,
}

/// An order. It borrows the account that signs for it.
#[derive(Debug)]
pub struct Order<'a> {
    account: &'a Account,
    url: Url,
    body: Body,
    begun: Instant,
}

#[derive(Debug, Clone, Deserialize)]
struct Body {
    status: Status,
    #[serde(default, deserialize_with = "or_empty")]
    identifiers: Vec<Named>,
    authorizations: Vec<Url>,
    finalize: Url,
    certificate: Option<Url>,
    error: Option<Problem>,
}

impl<'a> Order<'a> {
    /// Orders a certificate (RFC 8555 section 7.4). A CA that does not take `replaces` is asked again without.
    pub async fn place(account: &'a Account, wanted: &Wanted) -> Result<Self> {
        let directory = account.client().directory();
        if let Some(profile) = wanted.profile.as_ref().filter(|name| !directory.meta.profiles.contains_key(*name)) {
            // Not every CA refuses what it does not know.
            let offered = directory.meta.profiles.keys().cloned().collect();
            return Err(AcmeError::Profile { wanted: profile.clone(), offered });
        }
        let names: Vec<Value> = wanted.names.iter().map(|name| json!({ "type": "dns", "value": name })).collect();
        let mut payload = json!({ "identifiers": names });
        if let Some(profile) = &wanted.profile {
            payload["profile"] = profile.as_str().into();
        }
        let replaces = wanted.replaces.as_ref().filter(|_| directory.renewal_info.is_some());
        let placed = match replaces {
            None => account.post(&directory.new_order, Some(&payload)).await,
            Some(replaced) => {
                let mut replacing = payload.clone();
                replacing["replaces"] = replaced.as_str().into();
                match account.post(&directory.new_order, Some(&replacing)).await {
                    // Its error need not tell: a CA that knows the certificate from another account says "unauthorized".
                    Err(error) if error.is_final() => {
                        info!("the CA takes the order only as a new one: {error}");
                        account.post(&directory.new_order, Some(&payload)).await
                    }
                    done => done,
                }
            }
        }?;
        let url = placed.location()?;
        let order = Self { account, url, body: placed.json()?, begun: Instant::now() };
        info!(order = %order.url, names = ?wanted.names, "ordered");
        Ok(order)
    }

    /// An order that was placed before.
    pub async fn resume(account: &'a Account, url: Url) -> Result<Self> {
        let body = account.post(&url, None).await?.json()?;
        Ok(Self { account, url, body, begun: Instant::now() })
    }

    /// Its address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its state as it was last seen.
    pub fn status(&self) -> Status {
        self.body.status
    }

    /// Whether it is for exactly these names.
    pub fn is_for(&self, names: &[Identifier]) -> bool {
        let named = |name: &Identifier| self.body.identifiers.iter().any(|named| named.value == name.to_string());
        self.body.identifiers.len() == names.len() && names.iter().all(named)
    }

    /// What is to be proven, and what is already.
    pub async fn authorizations(&self) -> Result<Vec<Authorization<'a>>> {
        let (wanted, names) = (self.body.authorizations.len(), self.body.identifiers.len());
        if wanted > names {
            return Err(AcmeError::TooManyProofs { found: wanted, names });
        }
        let mut found = Vec::new();
        for url in &self.body.authorizations {
            in_time(self.begun, "the authorizations")?;
            let body = self.account.post(url, None).await?.json()?;
            found.push(Authorization { account: self.account, url: url.clone(), body, begun: self.begun });
        }
        Ok(found)
    }

    /// Waits until all is proven as far as the CA is concerned.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        self.wait("the order", |status| status != Status::Pending).await
    }

    /// Sends the certificate request and waits for the certificate.
    pub async fn finalize(&mut self, request: &[u8]) -> Result<()> {
        if self.body.status == Status::Ready {
            let payload = json!({ "csr": base64url(request) });
            let reply = self.account.post(&self.body.finalize, Some(&payload)).await?;
            let wait = pause_after(&reply, PAUSES.0);
            self.body = reply.json()?;
            if self.body.status == Status::Processing {
                pause(wait).await;
            }
        }
        self.wait("the certificate", |status| !matches!(status, Status::Processing | Status::Ready)).await
    }

    /// The certificate and the chain to its root. With `root` the alternate chain that leads to a root of that name, if
    /// the CA has it, else its first one (RFC 8555 section 7.4.2).
    pub async fn download(&self, root: Option<&str>) -> Result<Vec<CertificateDer<'static>>> {
        let Some(url) = &self.body.certificate else {
            return Err(AcmeError::Certificate("the order is valid and names none".into()));
        };
        let reply = self.account.post(url, None).await?;
        let first = certificates(&reply.body)?;
        let Some(root) = root.filter(|root| root_of(&first).as_deref() != Some(root)) else { return Ok(first) };
        for alternate in reply.links("alternate").into_iter().take(MAX_ALTERNATES) {
            let fetched = self.account.post(&alternate, None).await;
            let chain = match fetched.and_then(|reply| certificates(&reply.body)) {
                Ok(chain) => chain,
                // The first chain is good without.
                Err(error) => {
                    warn!(%alternate, "an alternate chain cannot be had: {error}");
                    continue;
                }
            };
            debug!(%alternate, root = ?root_of(&chain), "an alternate chain");
            if root_of(&chain).as_deref() == Some(root) && chain.first() == first.first() {
                return Ok(chain);
            }
        }
        info!("the CA has no chain to {root:?}; its first one leads to {:?}", root_of(&first).unwrap_or_default());
        Ok(first)
    }

    /// Looks until `is_done`, or the order has failed.
    async fn wait(&mut self, what: &str, is_done: impl Fn(Status) -> bool) -> Result<()> {
        if !is_done(self.body.status) {
            self.body = poll(self.account, &self.url, (what, self.begun), |body: &Body| is_done(body.status)).await?;
        }
        match self.body.status {
            Status::Invalid => {
                let names: Vec<&str> = self.body.identifiers.iter().map(|named| named.value.as_str()).collect();
                let problem = self.body.error.clone().unwrap_or_default().into();
                Err(AcmeError::NotProven { name: names.join(", "), problem })
            }
            _ => Ok(()),
        }
    }
}

/// What must be proven for one name.
#[derive(Debug)]
pub struct Authorization<'a> {
    account: &'a Account,
    url: Url,
    body: AuthorizationBody,
    begun: Instant,
}

#[derive(Debug, Clone, Deserialize)]
struct AuthorizationBody {
    status: Status,
    identifier: Named,
    #[serde(default, deserialize_with = "readable")]
    challenges: Vec<Challenge>,
    #[serde(default, deserialize_with = "or_empty")]
    wildcard: bool,
}

/// One way to prove it.
#[derive(Debug, Clone, Deserialize)]
pub struct Challenge {
    /// `dns-01`, or another method's name.
    #[serde(rename = "type")]
    pub kind: String,
    /// The names by which a persistent authorization may know the CA (draft-ietf-acme-dns-persist-02 section 3.1); the
    /// draft's earlier versions write them with hyphens.
    #[serde(default, rename = "issuerDomainNames", alias = "issuer-domain-names", deserialize_with = "or_empty")]
    pub issuers: Vec<String>,
    url: Url,
    #[serde(default, deserialize_with = "or_empty")]
    token: String,
    error: Option<Problem>,
}

impl Authorization<'_> {
    /// The name, with `*.` where it is for a wildcard.
    pub fn name(&self) -> String {
        format!("{}{}", if self.body.wildcard { "*." } else { "" }, self.body.identifier.value)
    }

    /// The name whose `_acme-challenge` is looked at.
    pub fn base(&self) -> &str {
        &self.body.identifier.value
    }

    /// The challenge of a method to answer; `None` where the name is proven already. One that needs a token has one.
    pub fn challenge(&self, method: Method) -> Result<Option<&Challenge>> {
        match self.body.status {
            Status::Valid => Ok(None),
            Status::Pending => {
                let challenges = &self.body.challenges;
                let is_whole = |challenge: &Challenge| method == Method::DnsPersist01 || !challenge.token.is_empty();
                let found = challenges.iter().find(|one| one.kind == method.as_str() && is_whole(one));
                let offered = || challenges.iter().map(|one| one.kind.clone()).collect();
                let none = || AcmeError::NoChallenge { name: self.name(), wanted: method, offered: offered() };
                found.map(Some).ok_or_else(none)
            }
            _ => Err(self.failure()),
        }
    }

    /// Tells the CA that it may look (RFC 8555 section 7.5.1).
    pub async fn answer(&self, challenge: &Challenge) -> Result<()> {
        in_time(self.begun, "the answers")?;
        self.account.post(&challenge.url, Some(&json!({}))).await.map(|_| ())
    }

    /// Waits until the CA has looked; an error where it has not seen what it should.
    pub async fn wait(&mut self) -> Result<()> {
        let is_done = |body: &AuthorizationBody| body.status != Status::Pending;
        self.body = poll(self.account, &self.url, (&self.name(), self.begun), is_done).await?;
        if self.body.status == Status::Valid { Ok(()) } else { Err(self.failure()) }
    }

    /// Why it is not valid: the challenge's own error, as the CA has told it.
    fn failure(&self) -> AcmeError {
        let told = self.body.challenges.iter().find_map(|challenge| challenge.error.clone());
        let state =
            || Problem { detail: Some(format!("its authorization is {:?}", self.body.status)), ..Problem::default() };
        AcmeError::NotProven { name: self.name(), problem: told.unwrap_or_else(state).into() }
    }
}

impl Challenge {
    /// What goes into the key authorization (RFC 8555 section 8.1).
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// Looks at a resource until it is done, as often as the CA wants it, else ever less often.
async fn poll<T: for<'de> Deserialize<'de>>(
    account: &Account,
    url: &Url,
    (what, begun): (&str, Instant),
    is_done: impl Fn(&T) -> bool,
) -> Result<T> {
    let (mut step, longest) = PAUSES;
    loop {
        let reply: Reply = account.post(url, None).await?;
        let wait = pause_after(&reply, step);
        let body: T = reply.json()?;
        if is_done(&body) {
            return Ok(body);
        }
        in_time(begun, what)?;
        pause(wait).await;
        step = (2 * step).min(longest);
    }
}

/// The pause before the next look: what the CA asks for, else our own. Less than a second is nothing that it asks for, but
/// a zero, or a date of a clock behind ours.
fn pause_after(reply: &Reply, step: Duration) -> Duration {
    reply.retry_after().filter(|wait| *wait >= SHORTEST_PAUSE).map_or(step, |wait| wait.min(LONGEST_PAUSE))
}

/// An error where the order has taken too long.
fn in_time(begun: Instant, what: &str) -> Result<()> {
    let waited = begun.elapsed();
    if waited <= PATIENCE { Ok(()) } else { Err(AcmeError::Slow { what: what.to_owned(), waited }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_that_we_do_not_know_costs_no_other() {
        let text = r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"wildcard":null,"challenges":[
            {"type":"dns-persist-01","url":"https://ca.test/1","token":null,"issuerDomainNames":null},
            {"type":"new-02","url":null,"error":7},
            {"type":"dns-01","url":"https://ca.test/2","token":"t","error":null}]}"#;
        let body: AuthorizationBody = serde_json::from_str(text).unwrap();
        let kinds: Vec<&str> = body.challenges.iter().map(|one| one.kind.as_str()).collect();
        assert_eq!((kinds, body.wildcard), (vec!["dns-persist-01", "dns-01"], false));
        let nothing = r#"{"status":"valid","identifier":{"type":"dns","value":"a.test"},"challenges":null}"#;
        assert!(serde_json::from_str::<AuthorizationBody>(nothing).unwrap().challenges.is_empty());
    }
}
