//! `GET /accounts`: lists of accounts.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::account::listing::{AccountQuery, Place, StateFilter};
use crate::model::name::ZoneName;
use crate::model::text::listed;
use crate::publisher::Publisher;

use super::super::blocking::read;
use super::super::error::Failure;
use super::super::params::Params;
use super::super::reply;
use super::super::types::account_list::{AccountList, ListAccounts, MAX_PAGE, PAGE};
use super::super::types::accounts::AccountView;
use super::watch::QueryStreams;

/// A page of the accounts that fulfil all parameters.
pub async fn list(
    State(publisher): State<Publisher>,
    State(streams): State<Option<QueryStreams>>,
    params: Params,
) -> Result<Response, Failure> {
    let request = requested(params)?;
    let verdicts = streams.filter(|_| request.verdicts.unwrap_or(false));
    let query = query(request)?;
    let list = read(&publisher, move |publisher| {
        if let Some(zone) = &query.zone {
            is_known(publisher, zone)?;
        }
        let page = publisher.list_accounts(&query)?;
        let mut items = page.accounts.iter().map(|account| AccountView::listed(account, publisher)).collect::<Vec<_>>();
        if let Some(streams) = verdicts {
            streams.verdicts().judge_accounts(&mut items, &page.accounts);
        }
        let (truncated, next) = (page.next.is_some(), page.next);
        Ok::<_, Failure>(AccountList { items, truncated, next, previous: page.previous, total: page.total })
    });
    Ok(reply::json(StatusCode::OK, &list.await?))
}

fn requested(params: Params) -> Result<ListAccounts, Failure> {
    let params = params.only(&ListAccounts::NAMES)?;
    Ok(ListAccounts {
        search: params.explained("search")?,
        state: params.explained("state")?,
        zone: params.explained("zone")?,
        overdue: params.parsed("overdue")?,
        sort: params.explained("sort")?,
        order: params.explained("order")?,
        after: params.explained("after")?,
        before: params.explained("before")?,
        limit: params.parsed("limit")?,
        verdicts: params.parsed("verdicts")?,
    })
}

/// What the store is asked.
fn query(request: ListAccounts) -> Result<AccountQuery, Failure> {
    let sort = request.sort();
    let is_overdue = request.overdue.unwrap_or(false);
    if let Some(state @ (StateFilter::Disabled | StateFilter::Deleted)) = request.state
        && is_overdue
    {
        return Err(contradiction(
            "state",
            format!("only active accounts are overdue: leave out `overdue`, or `state`, which is {state}"),
        ));
    }
    let place = match (request.after, request.before) {
        (Some(_), Some(_)) => {
            return Err(contradiction(
                "before",
                "`after` and `before` exclude each other: a page begins after a cursor, or ends before one".to_owned(),
            ));
        }
        (Some(cursor), None) => Place::After(cursor),
        (None, Some(cursor)) => Place::Before(cursor),
        (None, None) => Place::Start,
    };
    if let Place::After(cursor) | Place::Before(cursor) = &place
        && cursor.sort() != sort
    {
        let name = if matches!(place, Place::After(_)) { "after" } else { "before" };
        return Err(contradiction(
            name,
            format!(
                "`{name}` is a cursor of a list sorted by {}, and this one is sorted by {sort}: begin with its first page",
                cursor.sort()
            ),
        ));
    }
    Ok(AccountQuery {
        search: request.search,
        state: request.state,
        zone: request.zone,
        is_overdue,
        sort,
        order: request.order.unwrap_or_else(|| sort.usual_order()),
        place,
        limit: request.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE),
    })
}

fn contradiction(field: &'static str, message: String) -> Failure {
    Failure::field("bad_parameter", field, message)
}

/// A zone that is served, or in which accounts have names still.
fn is_known(publisher: &Publisher, zone: &ZoneName) -> Result<(), Failure> {
    let zones = publisher.zones().load();
    if zones.iter().any(|served| served.name == *zone) || publisher.store().read(|rows| rows.has_owners_in(zone))? {
        return Ok(());
    }
    let served = listed(zones.iter().map(|served| &served.name));
    Err(contradiction("zone", format!("`zone`: there is no zone {zone} here; there is {served}")))
}
