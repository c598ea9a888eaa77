//! `/txt`: live values, at any name.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::account::Account;
use crate::model::actor::Actor;
use crate::model::name::Owner;
use crate::publisher::Publisher;

use super::super::blocking::read;
use super::super::error::Failure;
use super::super::json_body::JsonBody;
use super::super::params::Params;
use super::super::reply;
use super::super::types::list::List;
use super::super::types::served::WithServed;
use super::super::types::values::{NamedValue, PublishValue, RetireValue, Retired};
use super::super::wait::WaitFor;
use super::refusal::refused;
use super::watch::QueryStreams;
use super::who;

/// The most values in a list of all names.
const MAX_VALUES: usize = 10_000;
/// Accounts that are read at a time, so that logins can read in between.
const STEP: usize = 1_000;

/// What is published at an owner of an account, or of the daemon.
type ItemsOf<T> = fn(&Owner, Option<&Account>, &Publisher) -> Vec<T>;

/// Lists the values of one name, or all values.
pub async fn list(
    State(publisher): State<Publisher>,
    State(streams): State<Option<QueryStreams>>,
    params: Params,
) -> Result<Response, Failure> {
    let mut list = listed(&publisher, params, NamedValue::all_of).await?;
    if let Some(streams) = streams {
        streams.verdicts().judge_list(&mut list.items, &publisher);
    }
    Ok(reply::json(StatusCode::OK, &list))
}

/// Lists what is published at the name in the parameters, or at all names.
pub async fn listed<T: Send + 'static>(
    publisher: &Publisher,
    params: Params,
    of: ItemsOf<T>,
) -> Result<List<T>, Failure> {
    let (items, truncated) = match params.text("name") {
        Some(name) => {
            let owner = who::owner(publisher, name.to_owned()).await?;
            let items = read(publisher, move |publisher| {
                let account = publisher.account_at(&owner)?;
                Ok::<_, Failure>(of(&owner, account.as_ref(), publisher))
            });
            (items.await?, false)
        }
        None => read(publisher, move |publisher| all(publisher, of)).await?,
    };
    Ok(List { items, truncated })
}

fn all<T>(publisher: &Publisher, of: ItemsOf<T>) -> Result<(Vec<T>, bool), Failure> {
    let daemons = publisher.daemons_owners()?;
    let mut found: Vec<T> = daemons.iter().flat_map(|owner| of(owner, None, publisher)).collect();
    let mut after = None;
    loop {
        let accounts = publisher.accounts(after, STEP)?;
        let owners = accounts.iter().flat_map(|account| account.owners.iter().map(move |owner| (owner, account)));
        // One item more than the limit shows that the list goes on. An account may have thousands.
        let room = (MAX_VALUES + 1).saturating_sub(found.len());
        found.extend(owners.flat_map(|(owner, account)| of(owner, Some(account), publisher)).take(room));
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
    Extension(actor): Extension<Actor>,
    wait: WaitFor,
    JsonBody(request): JsonBody<PublishValue>,
) -> Result<Response, Failure> {
    let owner = who::owner(&publisher, request.name).await?;
    let waiting = wait.permit(None)?;
    let value = publisher.publish(actor, owner.clone(), request.txt).await.map_err(refused)?;
    let served = waiting.until_served(&owner, request.txt).await?;
    let published = NamedValue::of(&owner, &value, publisher.moment());
    Ok(reply::json(StatusCode::OK, &WithServed { published, served }))
}

/// Retires the value `txt` of a name, or all values of the name.
pub async fn retire(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    JsonBody(request): JsonBody<RetireValue>,
) -> Result<Response, Failure> {
    let owner = who::owner(&publisher, request.name).await?;
    let retired = publisher.retire(actor, owner, request.txt).await.map_err(refused)?;
    Ok(reply::json(StatusCode::OK, &Retired { retired }))
}
