//! `/txt`: live values, at any name.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::model::actor::Actor;
use crate::model::name::Owner;
use crate::publisher::Publisher;

use super::super::blocking::read;
use super::super::error::Failure;
use super::super::json_body::JsonBody;
use super::super::reply;
use super::super::types::list::List;
use super::super::types::values::{NamedValue, PublishValue, RetireValue, Retired};
use super::params::Params;
use super::refusal::refused;
use super::who;

/// The most values in a list of all names.
const MAX_VALUES: usize = 10_000;
/// Accounts that are read at a time, so that logins can read in between.
const STEP: usize = 1_000;

/// Lists the values of one name, or all values.
pub async fn list(State(publisher): State<Publisher>, params: Params) -> Result<Response, Failure> {
    listed(&publisher, params, NamedValue::all_of).await
}

/// Lists what is published at the name in the parameters, or at all names.
pub async fn listed<T: Serialize + Send + 'static>(
    publisher: &Publisher,
    params: Params,
    of: fn(&Owner, &Publisher) -> Vec<T>,
) -> Result<Response, Failure> {
    let (items, truncated) = match params.text("name") {
        Some(name) => (of(&who::owner(publisher, name.to_owned()).await?, publisher), false),
        None => read(publisher, move |publisher| all(publisher, of)).await?,
    };
    Ok(reply::json(StatusCode::OK, &List { items, truncated }))
}

fn all<T>(publisher: &Publisher, of: fn(&Owner, &Publisher) -> Vec<T>) -> Result<(Vec<T>, bool), Failure> {
    let mut found: Vec<T> = publisher.daemons_owners()?.iter().flat_map(|owner| of(owner, publisher)).collect();
    let mut after = None;
    loop {
        let accounts = publisher.accounts(after, STEP, "")?;
        let owners = accounts.iter().flat_map(|account| &account.owners);
        // One item more than the limit shows that the list goes on. An account may have thousands.
        let room = (MAX_VALUES + 1).saturating_sub(found.len());
        found.extend(owners.flat_map(|owner| of(owner, publisher)).take(room));
        after = accounts.last().map(|account| account.username);
        if found.len() > MAX_VALUES {
            found.truncate(MAX_VALUES);
            return Ok((found, true));
        }
        if accounts.len() < STEP {
            return Ok((found, false));
        }
    }
}

pub async fn publish(
    State(publisher): State<Publisher>,
    State(actor): State<Actor>,
    JsonBody(request): JsonBody<PublishValue>,
) -> Result<Response, Failure> {
    let owner = who::owner(&publisher, request.name).await?;
    let value = publisher.publish(actor, owner.clone(), request.txt).await.map_err(refused)?;
    Ok(reply::json(StatusCode::OK, &NamedValue::of(&owner, &value, publisher.now())))
}

/// Retires the value `txt` of a name, or all values of the name.
pub async fn retire(
    State(publisher): State<Publisher>,
    State(actor): State<Actor>,
    JsonBody(request): JsonBody<RetireValue>,
) -> Result<Response, Failure> {
    let owner = who::owner(&publisher, request.name).await?;
    let retired = publisher.retire(actor, owner, request.txt).await.map_err(refused)?;
    Ok(reply::json(StatusCode::OK, &Retired { retired }))
}
