//! From names to a certificate: order, prove, finalize, download (RFC 8555 section 7.4).

use std::path::Path;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::config::{self, KeyType};
use crate::file;
use crate::identifier::Identifier;
use crate::name::Owner;
use crate::publisher::{Author, Publisher};
use crate::txt::TxtValue;
use crate::url::Url;

use super::account::{Account, blocking};
use super::certificate::{CertificateKey, Chain};
use super::delegation::Delegation;
use super::error::{AcmeError, Result};
use super::order::{Authorization, Order, Wanted};
use super::state::{failed, private_text};

/// A name and the owner at which its challenge is published: `_acme-challenge.<base>` itself, or where its CNAME leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What the certificate is for.
    pub name: Identifier,
    /// Where its values go.
    pub owner: Owner,
}

/// A certificate to get.
#[derive(Debug)]
pub struct Request<'a> {
    /// The names; at least one.
    pub names: &'a [Placed],
    /// Key type, profile and preferred root.
    pub settings: &'a config::Acme,
    /// The certificate that it will replace.
    pub replaces: Option<String>,
    /// The file that keeps the order and its key until the certificate is there. A later request for the same names
    /// goes on from it, so that a crash wastes no order and loses no certificate.
    pub pending: &'a Path,
}

/// An order under way, as its file says it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Pending {
    account: Url,
    order: Url,
    key: String,
}

/// The servers that must show a zone's values.
pub type Delegations<'a> = &'a mut [(crate::name::ZoneName, Delegation)];

/// Gets a certificate. The values that it publishes are retired when the CA has looked, whatever it has seen; what a
/// crash leaves expires with its lifetime.
pub async fn issue(
    account: &Account,
    publisher: &Publisher,
    delegations: Delegations<'_>,
    request: &Request<'_>,
) -> Result<Chain> {
    let names: Vec<Identifier> = request.names.iter().map(|placed| placed.name.clone()).collect();
    let (mut order, key) = match resumed(account, request, &names).await? {
        Some(found) => found,
        None => placed(account, request, &names).await?,
    };
    prove(account, publisher, delegations, request.names, &mut order).await?;
    order.finalize(&key.request(&names)?).await?;
    let chain = Chain::new(order.download(request.settings.preferred_root.as_deref()).await?, key)?;
    if !chain.facts.is_for(&names) {
        return Err(AcmeError::Certificate(format!("it is for {}", chain.facts.names.join(", "))));
    }
    info!(names = chain.facts.names.join(", "), not_after = %chain.facts.not_after, "the CA has issued a certificate");
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
    let pending = toml::from_str::<Pending>(&text).ok().filter(|pending| pending.account == *account.url());
    let key = pending.as_ref().and_then(|pending| CertificateKey::from_pem(&pending.key).ok());
    let (Some(pending), Some(key)) = (pending, key) else { return Ok(None) };
    match Order::resume(account, pending.order).await {
        Ok(order) if order.is_for(names) && order.status() != super::order::Status::Invalid => {
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
    let key = new_key(request.settings.key_type).await?;
    let (profile, replaces) = (request.settings.profile.clone(), request.replaces.clone());
    let order = Order::place(account, &Wanted { names: names.to_vec(), profile, replaces }).await?;
    let (account, url, pem) = (account.url().clone(), order.url().clone(), key.reveal_pem());
    let pending = Pending { account, order: url, key: pem };
    let text = toml::to_string(&pending).map_err(|error| failed(request.pending, std::io::Error::other(error)))?;
    let path = request.pending.to_owned();
    blocking(move || file::replace(&path, text.as_bytes()).map_err(|source| failed(&path, source))).await?;
    Ok((order, key))
}

async fn new_key(key_type: KeyType) -> Result<CertificateKey> {
    blocking(move || CertificateKey::generate(key_type)).await
}

/// Proves what is not proven yet.
async fn prove(
    account: &Account,
    publisher: &Publisher,
    delegations: Delegations<'_>,
    names: &[Placed],
    order: &mut Order<'_>,
) -> Result<()> {
    let mut authorizations = order.authorizations().await?;
    let mut published = Vec::new();
    let proven = publish(account, publisher, names, &authorizations, &mut published).await;
    let proven = match proven {
        Ok(()) => notify(delegations, &mut authorizations, &published).await,
        failure => failure,
    };
    for (owner, value) in published {
        if let Err(error) = publisher.retire(Author::Operator, owner.clone(), Some(value)).await {
            warn!(%owner, "the challenge's value stays until it expires: {error}");
        }
    }
    proven?;
    order.wait_until_ready().await
}

/// Publishes a value for each challenge.
async fn publish(
    account: &Account,
    publisher: &Publisher,
    names: &[Placed],
    authorizations: &[Authorization<'_>],
    published: &mut Vec<(Owner, TxtValue)>,
) -> Result<()> {
    for authorization in authorizations {
        let Some(challenge) = authorization.challenge()? else { continue };
        let value = account.key().txt_value(challenge.token());
        let is_its = |placed: &&Placed| placed.name.base().to_string() == authorization.base().to_ascii_lowercase();
        let (Some(value), Some(placed)) = (value, names.iter().find(is_its)) else {
            return Err(AcmeError::NoChallenge(authorization.name()));
        };
        publisher.publish(Author::Operator, placed.owner.clone(), value).await?;
        published.push((placed.owner.clone(), value));
    }
    Ok(())
}

/// Looks whether everybody will see the values, tells the CA, and waits for its word on each name.
async fn notify(
    delegations: Delegations<'_>,
    authorizations: &mut [Authorization<'_>],
    published: &[(Owner, TxtValue)],
) -> Result<()> {
    for (zone, delegation) in delegations.iter_mut() {
        let mut owners: Vec<&Owner> = published.iter().map(|(owner, _)| owner).filter(|o| o.zone == *zone).collect();
        owners.sort_unstable();
        owners.dedup();
        for owner in owners {
            let values: Vec<TxtValue> =
                published.iter().filter(|(of, _)| of == owner).map(|(_, value)| *value).collect();
            delegation.shows(owner, &values).await?;
        }
    }
    for authorization in authorizations.iter() {
        if let Some(challenge) = authorization.challenge()? {
            authorization.answer(challenge).await?;
        }
    }
    let mut outcome = Ok(());
    for authorization in authorizations.iter_mut() {
        // Every name's fault is told: one at a time would take a day to mend twenty.
        if let Err(error) = authorization.wait().await {
            warn!("{}", error.explained());
            outcome = outcome.and(Err(error));
        }
    }
    outcome
}
