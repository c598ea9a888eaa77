//! `GET /v1/queries`: who has asked for an account's names, and what each got; as a list or as Server-Sent Events.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use tokio::sync::mpsc::Receiver;

use crate::model::account::{Account, AccountStatus, Username};
use crate::model::name::Owner;
use crate::model::secret::ApiKeyHash;
use crate::publisher::Publisher;

use super::auth::Login;
use super::blocking::read;
use super::error::Failure;
use super::open_streams::{OpenStreams, StreamPermit};
use super::own::own_named;
use super::params::Params;
use super::query_feed::{FeedMessage, QueryFeed, QuerySelection};
use super::reply;
use super::stream;

/// The parameters.
const KNOWN: [&str; 4] = ["subdomain", "zone", "limit", "since"];

pub async fn list(
    State(feed): State<QueryFeed>,
    State(open): State<OpenStreams>,
    State(publisher): State<Publisher>,
    Login(account, _): Login,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    let params = params.only(&KNOWN)?;
    // Read again: the cached account does not know of its latest names.
    let who = account.username;
    let account = read(&publisher, move |publisher| publisher.account(who)).await?;
    let account = account.ok_or(Failure::Forbidden("this account has been removed"))?;
    let owners = wanted(&account, &params)?;
    if wants_events(&headers) {
        let permit = open.permit(who)?;
        let before = (account.key, account.owners);
        let is_over = move || is_over(publisher.clone(), who, before.clone());
        let messages = feed.follow(owners.into_iter().collect::<BTreeSet<Owner>>(), is_over)?;
        return Ok(events(messages, permit));
    }
    // The apex of a challenge zone may have belonged to another account before.
    let selection = QuerySelection::of(&params)?.not_before(account.created.date.into());
    let list = read(&publisher, move |_| feed.list(&owners, selection)).await?;
    Ok(reply::json(StatusCode::OK, &list))
}

/// The owner in the parameters, or all of the account's.
fn wanted(account: &Account, params: &Params) -> Result<Vec<Owner>, Failure> {
    let zone = params.text("zone").map(str::parse).transpose();
    let zone = zone.map_err(|error| Failure::field("bad_zone", "zone", error))?;
    let Some(text) = params.text("subdomain") else {
        let is_in_zone = |owner: &&Owner| zone.as_ref().is_none_or(|zone| owner.zone == *zone);
        return Ok(account.owners.iter().filter(is_in_zone).cloned().collect());
    };
    let named = text.parse().map_err(|error| Failure::field("bad_subdomain", "subdomain", error))?;
    Ok(vec![own_named(account, &named, zone.as_ref())?])
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream")))
}

/// Whether the account may no longer read, or has other names or another key than before: the client asks again, and
/// shows who it is.
async fn is_over(publisher: Publisher, who: Username, before: (ApiKeyHash, Vec<Owner>)) -> bool {
    match read(&publisher, move |publisher| publisher.account(who)).await {
        Ok(Some(account)) => account.status != AccountStatus::Active || (account.key, account.owners) != before,
        Ok(None) => true,
        // A store that cannot be read says nothing of the account.
        Err(_) => false,
    }
}

/// The queries as Server-Sent Events. The stream counts for the account while its body lives.
fn events(messages: Receiver<FeedMessage>, permit: StreamPermit) -> Response {
    stream::of_events(messages, move |message| {
        let _permit = &permit;
        event(&message)
    })
}

fn event(message: &FeedMessage) -> Bytes {
    match message {
        FeedMessage::Start => Bytes::from_static(b": queries follow\n\n"),
        FeedMessage::Heartbeat => Bytes::from_static(b": still here\n\n"),
        FeedMessage::Query(query) => {
            // invariant: a struct of texts, numbers and lists always becomes JSON, without line breaks
            let json = serde_json::to_string(query).unwrap_or_default();
            format!("event: query\ndata: {json}\n\n").into()
        }
    }
}
