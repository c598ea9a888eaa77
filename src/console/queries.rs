//! Queries: the last ones for a name, or all as they arrive.

pub mod live;
mod row;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;

use crate::api::types::queries::QueryList;
use crate::model::admin_token::AdminScope;

use super::admin::Refusal;
use super::error::PageError;
use super::events::{Followed, follow};
use super::page::{Page, Section, empty, encoded};
use super::signed_in::SignedIn;
use super::state::Shared;

use row::Row;

/// The rows of the page.
const MOST: usize = 100;
/// The queries of a name that a filter chooses from.
const SEARCHED: usize = 1_000;

/// The pages.
pub fn routes() -> Router<Shared> {
    Router::new().route("/queries", get(show)).route("/queries/events", get(events))
}

async fn events(State(console): State<Shared>, signed_in: SignedIn) -> Result<Response, PageError> {
    check(&signed_in)?;
    Ok(follow(console, signed_in, Followed::Messages))
}

/// What the address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    /// A domain, label, fulldomain or username; empty: all names.
    name: String,
    /// The beginning of an address.
    source: String,
    #[serde(rename = "type")]
    rtype: String,
    /// `value`: with a published value; `none`: without; `problem`: neither sent nor a plain answer.
    outcome: String,
}

impl Filter {
    fn trimmed(self) -> Self {
        let trim = |text: String| text.trim().to_owned();
        Self { name: trim(self.name), source: trim(self.source), rtype: trim(self.rtype), outcome: trim(self.outcome) }
    }

    fn admits(&self, row: &Row) -> bool {
        let outcome = match self.outcome.as_str() {
            "value" => !row.values.is_empty(),
            "none" => row.values.is_empty(),
            "problem" => !matches!(row.outcome.as_str(), "NOERROR" | "NXDOMAIN"),
            _ => true,
        };
        let is_type = self.rtype.is_empty() || row.rtype.eq_ignore_ascii_case(&self.rtype);
        outcome && is_type && row.source.starts_with(&self.source)
    }

    fn is_narrow(&self) -> bool {
        !(self.source.is_empty() && self.rtype.is_empty() && self.outcome.is_empty())
    }
}

/// The queries, and since when none is missing.
struct Found {
    rows: Vec<Row>,
    since: String,
}

async fn show(
    State(console): State<Shared>,
    signed_in: SignedIn,
    uri: Uri,
    Query(filter): Query<Filter>,
) -> Result<Response, PageError> {
    check(&signed_in)?;
    let filter = filter.trimmed();
    let found = match filter.name.is_empty() {
        true => all(&console, &signed_in, &filter).await,
        false => of_name(&console, &signed_in, &filter).await,
    };
    let status = found.as_ref().map_or_else(|refusal| refusal.status, |_| StatusCode::OK);
    let events = if filter.name.is_empty() { "/queries/events" } else { "/events" };
    // A page of a refusal stays: loading it again at each event would not help.
    let live = found.is_ok().then_some(events);
    let content = html! {
        (form(&filter, &uri))
        div #queries data-live { (table(&filter, &found)) }
    };
    let page = Page { title: "Queries", section: Section::Queries, signed_in: &signed_in, live, content };
    Ok((status, page.render()).into_response())
}

/// The messages are collected for everybody who looks, so the admin API does not check each.
fn check(signed_in: &SignedIn) -> Result<(), PageError> {
    if signed_in.session.visitor.may(AdminScope::Read) { Ok(()) } else { Err(PageError::Scope("read")) }
}

/// The last messages of all that arrive.
async fn all(console: &Shared, who: &SignedIn, filter: &Filter) -> Result<Found, Refusal> {
    let live = &console.live;
    live.look();
    let now = console.publisher.moment().date.to_string();
    if let Some(collection) = live.begin(&now) {
        let watch = console.admin.deliver(who, Method::GET, "/watch", Body::empty()).await?;
        tokio::spawn(collection.collect(watch.into_body()));
    }
    let (messages, since) = live.messages();
    let since = since.unwrap_or(now);
    let rows = messages.into_iter().map(Row::from).filter(|row| filter.admits(row)).take(MOST).collect();
    Ok(Found { rows, since })
}

/// The last queries of a name, from the query log.
async fn of_name(console: &Shared, who: &SignedIn, filter: &Filter) -> Result<Found, Refusal> {
    let limit = if filter.is_narrow() { SEARCHED } else { MOST };
    let path = format!("/queries?name={}&limit={limit}", encoded(&filter.name));
    let list: QueryList = console.admin.get(who, &path).await?;
    let rows = list.items.into_iter().rev().map(Row::from).filter(|row| filter.admits(row)).take(MOST).collect();
    Ok(Found { rows, since: list.complete_since.seconds().to_string() })
}

fn form(filter: &Filter, uri: &Uri) -> Markup {
    const OUTCOMES: [(&str, &str); 4] =
        [("", "any"), ("value", "with a value"), ("none", "without values"), ("problem", "limited or an error")];
    html! {
        form.filters method="get" action="/queries" role="search" {
            label { "Name" input type="search" name="name" value=(filter.name) maxlength="300" placeholder="domain, label or username"; }
            label { "Source" input name="source" value=(filter.source) maxlength="50" placeholder="192.0.2."; }
            label { "Type" input name="type" value=(filter.rtype) maxlength="20" placeholder="TXT"; }
            label { "Outcome" select name="outcome" {
                @for (value, words) in OUTCOMES { option value=(value) selected[filter.outcome == value] { (words) } }
            } }
            button { "Show" }
            a.button.quiet href=(uri.path_and_query().map_or("/queries", |path| path.as_str())) { "Reload" }
        }
    }
}

fn table(filter: &Filter, found: &Result<Found, Refusal>) -> Markup {
    let found = match found {
        Ok(found) => found,
        Err(refusal) => return html! { p.notice.bad role="alert" { "✗ " (refusal.message) } },
    };
    if found.rows.is_empty() {
        return nothing(filter, &found.since);
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Queries" {
            table.dense {
                thead { tr {
                    th scope="col" { "Time (UTC)" } th scope="col" { "Source" } th scope="col" { "Name" } th scope="col" { "Type" }
                    th scope="col" { "Transport" } th scope="col" { "Outcome" } th scope="col" { "Values" }
                } }
                tbody { @for row in &found.rows { (row.shown()) } }
            }
        }
        p.hint { "The newest first, at most " (MOST) ". "
            @if filter.name.is_empty() { "Everything that the daemon has answered since " (found.since) ", when somebody opened this page." }
            @else { "Nothing that the log keeps is missing since " (found.since) "." } }
    }
}

fn nothing(filter: &Filter, since: &str) -> Markup {
    let advice = match (filter.name.is_empty(), filter.is_narrow()) {
        (true, false) => html! { "Ask something, like " code { "dig TXT auth.example.org @this-server" }
        ", or type a name above for its earlier queries." },
        (true, true) => html! { "The filter may be too narrow, or " a href="/queries" { "watch everything" } "." },
        (false, _) => {
            html! { "A CA asks when a client requests a certificate. " a href="/queries" { "Watch everything" } " meanwhile." }
        }
    };
    empty(&format!("No such query since {since}."), &advice)
}
