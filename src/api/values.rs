//! `/v1/txt`: publishes values, shows what the queries for them mean, and retires them before their time.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::name::Name;
use crate::model::txt::TxtValue;
use crate::publisher::Publisher;

use super::auth::{Login, Publishing};
use super::error::Failure;
use super::fields::Fields;
use super::own::{own, own_named};
use super::params::Params;
use super::reply;
use super::types::list::List;
use super::types::served::WithServed;
use super::types::values::{NamedValue, Retired};
use super::verdicts::{ChallengeLookup, Verdicts};
use super::wait::WaitFor;

/// Lists the values of the account, served now or until lately, with what the queries for them mean: all of them, those of
/// one name (`subdomain`), or one value (`txt`). `domain` is whose challenge they are for, if that is not the note.
pub async fn list(
    State(publisher): State<Publisher>,
    State(verdicts): State<Verdicts>,
    Login(account, _): Login,
    params: Params,
) -> Result<Response, Failure> {
    let params = params.only(&["subdomain", "zone", "txt", "domain"])?;
    let wanted: Option<TxtValue> = params.parsed("txt")?;
    let domain: Option<Name> = params.parsed("domain")?;
    let owners = match params.parsed("subdomain")? {
        Some(subdomain) => vec![own_named(&account, &subdomain, params.parsed("zone")?.as_ref())?],
        None => account.owners.clone(),
    };
    let mut items = Vec::new();
    let mut challenge = ChallengeLookup::of(&account, domain);
    for owner in &owners {
        let judged = verdicts.judged(owner, &mut challenge, &publisher).await;
        items.extend(judged.into_iter().filter(|value| wanted.is_none_or(|wanted| wanted == value.txt)));
    }
    Ok(reply::json(StatusCode::OK, &List::whole(items)))
}

/// Publishes the value `txt` at `subdomain`, as `POST /update` does. The reply has more to say.
pub async fn publish(
    State(publisher): State<Publisher>,
    Publishing(account, actor): Publishing,
    wait: WaitFor,
    fields: Fields,
) -> Result<Response, Failure> {
    let owner = own(&account, &fields)?;
    let txt = fields.txt()?;
    let waiting = wait.permit(Some(account.username))?;
    let value = publisher.publish(actor, owner.clone(), txt).await?;
    let served = waiting.until_served(&owner, txt).await?;
    let published = NamedValue::of(&owner, &value, publisher.moment());
    Ok(reply::json(StatusCode::OK, &WithServed { published, served }))
}

/// Retires the value `txt` at `subdomain`, or all values there. Retiring a value that is gone succeeds.
pub async fn retire(
    State(publisher): State<Publisher>,
    Login(account, actor): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    let owner = own(&account, &fields)?;
    let which = fields.some_txt()?;
    let retired = publisher.retire(actor, owner, which).await?;
    Ok(reply::json(StatusCode::OK, &Retired { retired }))
}
