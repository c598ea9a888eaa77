//! `POST /present` and `POST /cleanup`: lego's `httpreq`, which Traefik and others speak as well.
//!
//! In the default mode, a request names the record and the value. In `RAW` mode, it holds the challenge as the CA gave
//! it: the domain and the key authorization.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::model::account::Account;
use crate::model::name::{Alias, Name, Owner};
use crate::model::txt::TxtValue;
use crate::publisher::Publisher;

use super::auth::Publishing;
use super::error::Failure;
use super::fields::Fields;
use super::reply;
use super::types::values::Retired;
use super::wait::{WaitFor, marked};

/// The most owners that an error names.
const NAMED: usize = 8;

/// Publishes the challenge's value.
pub async fn present(
    State(publisher): State<Publisher>,
    Publishing(account, actor): Publishing,
    wait: WaitFor,
    fields: Fields,
) -> Result<Response, Failure> {
    let (owner, txt) = challenge(&account, &fields)?;
    let waiting = wait.permit(Some(account.username))?;
    publisher.publish(actor, owner.clone(), txt).await?;
    let served = waiting.until_served(&owner, txt).await?;
    Ok(marked(reply::json(StatusCode::OK, &Presented { txt }), served.as_ref()))
}

#[derive(Serialize)]
struct Presented {
    txt: TxtValue,
}

/// Retires the challenge's value and no other. Retiring a value that is gone succeeds.
pub async fn cleanup(
    State(publisher): State<Publisher>,
    Publishing(account, actor): Publishing,
    fields: Fields,
) -> Result<Response, Failure> {
    let (owner, txt) = challenge(&account, &fields)?;
    let retired = publisher.retire(actor, owner, Some(txt)).await?;
    Ok(reply::json(StatusCode::OK, &Retired { retired }))
}

/// The owner of the challenge, and the value to publish there.
fn challenge(account: &Account, fields: &Fields) -> Result<(Owner, TxtValue), Failure> {
    match (fields.fqdn()?, fields.key_authorization()?) {
        (Some(fqdn), _) => Ok((named(account, &fqdn)?, fields.presented()?)),
        (None, Some(key_authorization)) => Ok((for_domain(account, &fields.domain()?)?, key_authorization.txt_value())),
        (None, None) => {
            let message = "write `fqdn` and `value`, or in RAW mode `domain`, `token` and `keyAuth`";
            Err(Failure::field("bad_fqdn", "fqdn", message))
        }
    }
}

/// The owner with this name, or the owner that the alias with this name stands for.
fn named(account: &Account, fqdn: &Name) -> Result<Owner, Failure> {
    let behind = || account.owner_behind(&Alias::try_from(fqdn.clone()).ok()?).cloned();
    let missing = "this account has neither that name nor an alias of it; `POST /v1/aliases` adds one";
    account.owner_named(fqdn).or_else(behind).ok_or(Failure::Forbidden(missing))
}

/// The account's only owner. Of several owners, the one at the name of the domain's challenge, or the one that the alias
/// with that name stands for.
fn for_domain(account: &Account, domain: &Name) -> Result<Owner, Failure> {
    let given = account.given();
    if let [only] = given[..] {
        return Ok(only.clone());
    }
    let wrong = |message: String| Failure::field("bad_domain", "domain", message);
    let alias = Alias::of_domain(domain).map_err(|error| wrong(error.to_string()))?;
    let own = account.owner_named(alias.name());
    own.or_else(|| account.owner_behind(&alias).cloned()).ok_or_else(|| {
        let owners: Vec<String> = given.iter().take(NAMED).map(ToString::to_string).collect();
        let more = given.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let owners = owners.join(", ");
        wrong(format!("this account has {owners}{more}; add the alias {alias} to the one that is meant"))
    })
}
