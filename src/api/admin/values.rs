//! `/txt`: live values, at any name.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::name::{Owner, OwnerLabel};
use crate::publisher::{Author, Publisher};

use super::super::account::read;
use super::super::fields::Fields;
use super::super::reply;
use super::super::views::OwnerView;
use super::{Failure, Params, refused, who};

/// Names in the list of all live values.
const MAX_NAMES: usize = 10_000;
/// Accounts that are read at a time; logins read in between.
const STEP: usize = 1_000;

/// One name's values, or all names that have some.
pub async fn list(State(publisher): State<Publisher>, params: Params) -> Result<Response, Failure> {
    if let Some(name) = params.text("name") {
        let owner = who::owner(&publisher, name.to_owned()).await?;
        return Ok(reply::json(StatusCode::OK, &json!({ "owners": [OwnerView::of(&owner, &publisher)] })));
    }
    let (owners, truncated) = read(&publisher, all).await?;
    Ok(reply::json(StatusCode::OK, &json!({ "owners": owners, "truncated": truncated })))
}

fn all(publisher: &Publisher) -> Result<(Vec<OwnerView>, bool), Failure> {
    let zones = publisher.zones().load();
    let own = zones.iter().map(|zone| Owner { zone: zone.name.clone(), label: OwnerLabel::Challenge });
    let mut found: Vec<OwnerView> = own.map(|owner| OwnerView::of(&owner, publisher)).collect();
    let mut after = None;
    loop {
        let accounts = publisher.accounts(after, STEP, "")?;
        let owners = accounts.iter().flat_map(|account| &account.owners);
        found.extend(owners.map(|owner| OwnerView::of(owner, publisher)));
        found.retain(|owner| !owner.is_empty());
        after = accounts.last().map(|account| account.username);
        if found.len() > MAX_NAMES {
            found.truncate(MAX_NAMES);
            return Ok((found, true));
        }
        if accounts.len() < STEP {
            return Ok((found, false));
        }
    }
}

pub async fn publish(State(publisher): State<Publisher>, fields: Fields) -> Result<Response, Failure> {
    let txt = fields.txt()?;
    let owner = named(&publisher, &fields).await?;
    publisher.publish(Author::Operator, owner.clone(), txt).await.map_err(refused)?;
    Ok(reply::json(StatusCode::OK, &OwnerView::of(&owner, &publisher)))
}

/// Retires the value `txt` at a name, or all values there.
pub async fn retire(State(publisher): State<Publisher>, fields: Fields) -> Result<Response, Failure> {
    let which = fields.some_txt()?;
    let owner = named(&publisher, &fields).await?;
    let retired = publisher.retire(Author::Operator, owner, which).await.map_err(refused)?;
    Ok(reply::json(StatusCode::OK, &json!({ "retired": retired })))
}

async fn named(publisher: &Publisher, fields: &Fields) -> Result<Owner, Failure> {
    let missing = || Failure::field("bad_name", "name", "write a subdomain, a fulldomain, or `_acme-challenge`");
    who::owner(publisher, fields.text("name")?.ok_or_else(missing)?).await
}
