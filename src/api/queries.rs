//! `GET /v1/queries`: who has asked for an account's names, and what each got; as a list or as Server-Sent Events.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::body::Frame;
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

/// Server-Sent Events, until the channel closes.
fn events(messages: Receiver<FeedMessage>, permit: StreamPermit) -> Response {
    let mut response = Response::new(Body::new(EventBody { messages, has_begun: false, _permit: permit }));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx collects a reply before it passes it on, unless told otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct EventBody {
    messages: Receiver<FeedMessage>,
    has_begun: bool,
    _permit: StreamPermit,
}

impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.has_begun {
            self.has_begun = true;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b": queries follow\n\n")))));
        }
        self.messages.poll_recv(context).map(|message| message.map(|message| Ok(Frame::data(event(&message)))))
    }
}

fn event(message: &FeedMessage) -> Bytes {
    match message {
        FeedMessage::Heartbeat => Bytes::from_static(b": still here\n\n"),
        FeedMessage::Query(query) => {
            // invariant: a struct of texts, numbers and lists always becomes JSON, without line breaks
            let json = serde_json::to_string(query).unwrap_or_default();
            format!("event: query\ndata: {json}\n\n").into()
        }
    }
}
