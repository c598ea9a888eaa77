//! `GET /queries`: who has asked for an account's names, and what each got; as a list, or as lines while they arrive.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::sync::mpsc::channel;

use crate::publisher::Publisher;

use super::super::blocking::read;
use super::super::error::Failure;
use super::super::params::Params;
use super::super::query_feed::{FeedMessage, QuerySelection};
use super::super::reply;
use super::super::stream;
use super::watch::QueryStreams;
use super::who;

/// Lines that wait for a slow reader.
const MAX_WAITING: usize = 64;

pub async fn list(
    State(streams): State<Option<QueryStreams>>,
    State(publisher): State<Publisher>,
    params: Params,
) -> Result<Response, Failure> {
    let params = params.only(&["name", "limit", "since", "follow"])?;
    let Some(streams) = streams else {
        return Err(Failure::NotFound(
            "the query log is the daemon's, and no daemon runs; start it with `txtgate serve`".into(),
        ));
    };
    let Some(name) = params.text("name").map(str::to_owned) else {
        return Err(Failure::field("bad_name", "name", "name an account by its domain, label, fulldomain or username"));
    };
    let owners = read(&publisher, move |publisher| who::find_owners(publisher, &name)).await?;
    let feed = streams.feed();
    if params.parsed("follow")?.unwrap_or(false) {
        let mut messages = feed.follow(owners.into_iter().collect(), || std::future::ready(false))?;
        let (lines, reader) = channel(MAX_WAITING);
        tokio::spawn(async move {
            while let Some(message) = messages.recv().await {
                let line = match message {
                    // invariant: a struct of texts, numbers and lists always becomes JSON
                    FeedMessage::Query(query) => serde_json::to_string(&query).unwrap_or_default(),
                    FeedMessage::Heartbeat if lines.is_closed() => return,
                    FeedMessage::Heartbeat | FeedMessage::Start => continue,
                };
                if lines.send(line).await.is_err() {
                    return;
                }
            }
        });
        return Ok(stream::of_lines(reader));
    }
    let selection = QuerySelection::of(&params)?;
    let feed = feed.clone();
    let list = read(&publisher, move |_| feed.list(&owners, selection)).await?;
    Ok(reply::json(StatusCode::OK, &list))
}
