//! From names to a certificate: order, prove, finalize, download (RFC 8555 section 7.4).

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::config::{self, KeyType, Method};
use crate::file;
use crate::model::identifier::Identifier;
use crate::model::name::Owner;
use crate::model::txt::TxtValue;
use crate::model::txt::persist::PersistValue;
use crate::model::url::Url;
use crate::net::lookup::Lookup;
use crate::publisher::{Author, Publisher};

use super::grants::{self, Grant};
use super::progress::{Progress, State};
use crate::acme::account::{Account, blocking};
use crate::acme::certificate::{CertificateKey, Chain};
use crate::acme::error::{AcmeError, Result};
use crate::acme::order::{Authorization, Challenge, Order, Status, Wanted};
use crate::acme::retry_after::Refusal;
use crate::acme::state::{failed, private_text};
use crate::delegation::challenge_target::{self, Placed};
use crate::delegation::nameservers::Delegation;
use crate::delegation::persist::{Grantee, Sought};

/// What it takes to prove names.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// Our account.
    pub account: &'a Account,
    /// The write road.
    pub publisher: &'a Publisher,
    /// Who looks at the zones of others.
    pub lookup: &'a Lookup,
}

/// A certificate to get.
#[derive(Debug)]
pub struct Request<'a> {
    /// The names; at least one.
    pub names: &'a [Placed],
    /// Method, key type, profile and preferred root.
    pub settings: &'a config::Acme,
    /// The certificate that it will replace.
    pub replaces: Option<String>,
    /// The file that keeps the order and its key until the certificate is there. A later request for the same names
    /// goes on from it, so that a crash wastes no order and loses no certificate.
    pub pending: &'a Path,
    /// The file that keeps which persistent authorizations the certificate relies on.
    pub grants: &'a Path,
    /// Hears how far each name is.
    pub progress: &'a Progress,
    /// Remembers until when the CA wants to hear nothing of this certificate.
    pub refusal: &'a Refusal,
}

/// An order under way, as its file says it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Pending {
    account: Url,
    order: Url,
    key_type: KeyType,
    profile: Option<String>,
    key: String,
}

impl Pending {
    /// Whether it is what is wanted, of this account.
    fn suits(&self, account: &Account, settings: &config::Acme) -> bool {
        self.account == *account.url() && self.key_type == settings.key_type && self.profile == settings.profile
    }
}

/// The servers that must show a zone's values.
pub type Delegations<'a> = &'a mut [(crate::model::name::ZoneName, Delegation)];

/// Gets a certificate. The challenges' values that it publishes are retired when the CA has looked, whatever it has seen;
/// what a crash leaves expires with its lifetime. Persistent authorizations stay; those that the certificate does not
/// rely on any more are withdrawn when it is there.
pub async fn issue(means: Means<'_>, delegations: Delegations<'_>, request: &Request<'_>) -> Result<Chain> {
    // It has no say for others: most limits are those of a name.
    request.refusal.check()?;
    let done = attempt(means, delegations, request).await;
    if let Err(error) = &done {
        request.refusal.note(error, Duration::ZERO);
    }
    if done.as_ref().is_err_and(AcmeError::ends_the_order) {
        // What has failed is told first.
        if let Err(error) = forget(request.pending).await {
            warn!("the order that has failed is gone on with: {error}");
        }
    }
    done
}

async fn attempt(means: Means<'_>, delegations: Delegations<'_>, request: &Request<'_>) -> Result<Chain> {
    let names: Vec<Identifier> = request.names.iter().map(|placed| placed.name.clone()).collect();
    let (mut order, key) = match resumed(means.account, request, &names).await? {
        Some(found) => found,
        None => placed(means.account, request, &names).await?,
    };
    let granted = match order.status() {
        Status::Pending => prove(means, delegations, request, &mut order).await?,
        // What was proven may be too old by now to be proven again: the certificate is had without.
        _ => {
            names.iter().for_each(|name| request.progress.reach(&name.to_string(), State::Proven));
            Vec::new()
        }
    };
    order.finalize(&key.request(&names)?).await?;
    let chain = Chain::new(order.download(request.settings.preferred_root.as_deref()).await?, key)?;
    if !chain.facts.is_for(&names) {
        return Err(AcmeError::Certificate(format!("it is for {}", chain.facts.names.join(", "))));
    }
    info!(names = chain.facts.names.join(", "), not_after = %chain.facts.not_after, "the CA has issued a certificate");
    let used = request.names.iter().filter(|_| request.settings.challenge == Method::DnsPersist01);
    let used: Vec<String> = used.map(|placed| placed.looked_at.to_string()).collect();
    // The certificate is there, whatever becomes of this.
    if let Err(error) = grants::withdraw_others(means.publisher, request.grants, &used, &granted).await {
        warn!("persistent authorizations that may not be needed any more still stand: {}", error.explained());
    }
    Ok(chain)
}

/// Forgets the order under way: its certificate has been stored.
pub async fn forget(pending: &Path) -> Result<()> {
    let pending = pending.to_owned();
    blocking(move || match std::fs::remove_file(&pending) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&pending, error)),
        _ => Ok(()),
    })
    .await
}

/// The order that a crash or a failure has left, where it can still give a certificate for these names.
async fn resumed<'a>(
    account: &'a Account,
    request: &Request<'_>,
    names: &[Identifier],
) -> Result<Option<(Order<'a>, CertificateKey)>> {
    let path = request.pending.to_owned();
    let Some(text) = blocking(move || private_text(&path)).await? else { return Ok(None) };
    let pending = toml::from_str::<Pending>(&text).ok().filter(|pending| pending.suits(account, request.settings));
    let key = pending.as_ref().and_then(|pending| CertificateKey::from_pem(&pending.key).ok());
    let (Some(pending), Some(key)) = (pending, key) else { return Ok(None) };
    match Order::resume(account, pending.order).await {
        Ok(order) if order.is_for(names) && order.status() != Status::Invalid => {
            info!(order = %order.url(), "going on with an order");
            Ok(Some((order, key)))
        }
        Ok(_) => Ok(None),
        Err(error) if error.is_final() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A new order. Its key is on disk before it can be worth anything.
async fn placed<'a>(
    account: &'a Account,
    request: &Request<'_>,
    names: &[Identifier],
) -> Result<(Order<'a>, CertificateKey)> {
    let (key_type, profile) = (request.settings.key_type, request.settings.profile.clone());
    let key = new_key(key_type).await?;
    let wanted = Wanted { names: names.to_vec(), profile: profile.clone(), replaces: request.replaces.clone() };
    let order = Order::place(account, &wanted).await?;
    let (account, url, key_text) = (account.url().clone(), order.url().clone(), key.reveal_pem());
    let pending = Pending { account, order: url, key_type, profile, key: key_text };
    let text = toml::to_string(&pending).map_err(|error| failed(request.pending, std::io::Error::other(error)))?;
    let path = request.pending.to_owned();
    blocking(move || file::replace(&path, text.as_bytes()).map_err(|source| failed(&path, source))).await?;
    Ok((order, key))
}

async fn new_key(key_type: KeyType) -> Result<CertificateKey> {
    blocking(move || CertificateKey::generate(key_type)).await
}

/// What is published for an authorization.
#[derive(Debug, Clone)]
enum Value {
    /// A challenge's.
    Challenge(TxtValue),
    /// One that stays.
    Persistent(PersistValue),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Challenge(value) => value.fmt(f),
            Self::Persistent(value) => value.fmt(f),
        }
    }
}

/// What has been published, and where.
type Published = Vec<(Owner, Value)>;

/// Proves what is not proven yet; the persistent authorizations that the CA was to see.
async fn prove(
    means: Means<'_>,
    delegations: Delegations<'_>,
    request: &Request<'_>,
    order: &mut Order<'_>,
) -> Result<Vec<Grant>> {
    let mut authorizations = order.authorizations().await?;
    let mut published = Published::new();
    let prepared = match request.settings.challenge {
        Method::Dns01 | Method::DnsAccount01 => {
            publish(means, request, &authorizations, &mut published).await.map(|()| Vec::new())
        }
        Method::DnsPersist01 => grant(means, request, &authorizations, &mut published).await,
    };
    let proven = match prepared {
        Ok(granted) => notify(delegations, request, &mut authorizations, &published).await.map(|()| granted),
        Err(error) => Err(error),
    };
    for (owner, value) in published {
        let Value::Challenge(value) = value else { continue };
        if let Err(error) = means.publisher.retire(Author::Operator, owner.clone(), Some(value)).await {
            warn!(%owner, "the challenge's value stays until it expires: {error}");
        }
    }
    let granted = proven?;
    order.wait_until_ready().await?;
    Ok(granted)
}

/// Where the name of an authorization is proven.
fn place_of<'p>(request: &Request<'p>, authorization: &Authorization<'_>) -> Result<&'p Placed> {
    let is_its = |placed: &&Placed| placed.name.base().to_string() == authorization.base().to_ascii_lowercase();
    request.names.iter().find(is_its).ok_or_else(|| AcmeError::Unordered(authorization.name()))
}

/// The names that are proven at an owner.
fn names_at<'r>(request: &'r Request<'_>, owner: &'r Owner) -> impl Iterator<Item = String> + 'r {
    request
        .names
        .iter()
        .filter(move |placed| placed.owner.as_ref() == Some(owner))
        .map(|placed| placed.name.to_string())
}

/// The challenge to answer; `None` where the name is proven already.
fn challenge_of<'c>(request: &Request<'_>, authorization: &'c Authorization<'_>) -> Result<Option<&'c Challenge>> {
    let (name, found) = (authorization.name(), authorization.challenge(request.settings.challenge));
    let found = found.or_else(|error| request.progress.note(&name, State::Failed, Err(error)))?;
    if found.is_none() {
        request.progress.reach(&name, State::Proven);
    }
    Ok(found)
}

/// Publishes a value for each challenge.
async fn publish(
    means: Means<'_>,
    request: &Request<'_>,
    authorizations: &[Authorization<'_>],
    published: &mut Published,
) -> Result<()> {
    for authorization in authorizations {
        let Some(challenge) = challenge_of(request, authorization)? else { continue };
        let value = means.account.key().txt_value(challenge.token());
        let (Some(value), Some(owner)) = (value, &place_of(request, authorization)?.owner) else {
            return Err(AcmeError::Unordered(authorization.name()));
        };
        means.publisher.publish(Author::Operator, owner.clone(), value).await?;
        request.progress.reach(&authorization.name(), State::Published);
        published.push((owner.clone(), Value::Challenge(value)));
    }
    Ok(())
}

/// Sees to it that there is a persistent authorization for each challenge: published by us, or in somebody else's zone.
/// What is missing there is told all at once, and before anything is published.
async fn grant(
    means: Means<'_>,
    request: &Request<'_>,
    authorizations: &[Authorization<'_>],
    published: &mut Published,
) -> Result<Vec<Grant>> {
    let (mut granted, mut missing) = (Vec::new(), Vec::new());
    for authorization in authorizations {
        let Some(challenge) = challenge_of(request, authorization)? else { continue };
        let placed = place_of(request, authorization)?;
        // One value for a name and its wildcard.
        let is_wildcard =
            request.names.iter().any(|other| other.looked_at == placed.looked_at && other.name.is_wildcard());
        let grantee = Grantee::of_challenge(means.account, request.settings.persist_lifetime, &challenge.issuers)?;
        let base = placed.name.base();
        let name = placed.looked_at.to_string();
        if let Some(owner) = &placed.owner {
            let value = grantee.choose(means.publisher, owner, base, is_wildcard)?;
            granted.push(Grant { name, owner: Some(owner.to_string()), value: value.to_string() });
            published.push((owner.clone(), Value::Persistent(value)));
        } else {
            // What cannot be seen from here is left to the CA: it was looked at before.
            let sought = Sought { base, looked_at: &placed.looked_at, is_wildcard, trusting: true };
            match challenge_target::theirs(means.publisher, means.lookup, &grantee, sought).await? {
                Ok(value) => granted.push(Grant { name, owner: None, value }),
                Err(record) => {
                    request.progress.miss(&authorization.name(), &record.found);
                    missing.push(record);
                }
            }
        }
    }
    missing.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    if !missing.is_empty() {
        // The name and its wildcard miss the same.
        missing.dedup_by(|one, other| one.name == other.name);
        return Err(AcmeError::NotAuthorized(missing));
    }
    grants::remember(request.grants, &granted).await?;
    for (owner, value) in published.iter() {
        if let Value::Persistent(value) = value {
            Grant::publish(means.publisher, owner, value).await?;
            names_at(request, owner).for_each(|name| request.progress.reach(&name, State::Published));
        }
    }
    Ok(granted)
}

/// Looks whether everybody will see the values, tells the CA, and waits for its word on each name.
async fn notify(
    delegations: Delegations<'_>,
    request: &Request<'_>,
    authorizations: &mut [Authorization<'_>],
    published: &[(Owner, Value)],
) -> Result<()> {
    for (zone, delegation) in delegations.iter_mut() {
        let mut owners: Vec<&Owner> = published.iter().map(|(owner, _)| owner).filter(|o| o.zone == *zone).collect();
        owners.sort_unstable();
        owners.dedup();
        for owner in owners {
            let values: Vec<String> =
                published.iter().filter(|(of, _)| of == owner).map(|(_, value)| value.to_string()).collect();
            let shown = delegation.shows(owner, &values).await;
            for name in names_at(request, owner) {
                _ = request.progress.note(&name, State::Seen, shown.clone());
            }
            shown?;
        }
    }
    for authorization in authorizations.iter() {
        if let Some(challenge) = authorization.challenge(request.settings.challenge)? {
            authorization.answer(challenge).await?;
            request.progress.reach(&authorization.name(), State::Answered);
        }
    }
    let mut outcome = Ok(());
    for authorization in authorizations.iter_mut() {
        // Every name's fault is told: one at a time would take a day to mend twenty.
        let proven = authorization.wait().await;
        if let Err(error) = request.progress.note(&authorization.name(), State::Proven, proven) {
            warn!("{}", error.explained());
            outcome = outcome.and(Err(error));
        }
    }
    outcome
}
