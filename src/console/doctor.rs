//! Examinations of the set-up.

mod report;
pub mod running;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{Method, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;

use crate::api::types::doctor::{ExaminationRequest, Report};
use crate::doctor::request::MAX_NAMES;
use crate::model::admin_token::AdminScope;
use crate::model::identifier::Identifier;

use super::admin::Refusal;
use super::error::PageError;
use super::events::{Followed, follow};
use super::form::Submitted;
use super::page::{Page, Section, csrf, empty};
use super::sign_in::redirect;
use super::signed_in::SignedIn;
use super::state::Shared;

use running::{Outcome, Running};

/// The seconds after which a browser without JavaScript looks again at an examination.
const REFRESH: u32 = 2;

/// The pages.
pub fn routes() -> Router<Shared> {
    Router::new().route("/doctor", get(show).post(examine)).route("/doctor/events", get(events))
}

async fn events(State(console): State<Shared>, signed_in: SignedIn) -> Response {
    follow(console, signed_in, Followed::Examination)
}

/// Which report to show.
#[derive(Debug, Deserialize)]
struct Wanted {
    /// Whether to show the report of everything that the daemon knows, and not a later one of some names.
    #[serde(default)]
    whole: bool,
}

/// What is typed into the form, and what is wrong with it.
#[derive(Debug, Default)]
struct Typed<'a> {
    names: &'a str,
    problem: Option<String>,
}

async fn show(
    State(console): State<Shared>,
    signed_in: SignedIn,
    Query(wanted): Query<Wanted>,
) -> Result<Html<String>, PageError> {
    page(&console, &signed_in, &wanted, Typed::default()).await
}

/// Begins an examination, whose progress the page shows.
async fn examine(
    State(console): State<Shared>,
    Submitted(signed_in, fields): Submitted,
) -> Result<Response, PageError> {
    let typed = fields.text("names");
    let names: Result<Vec<Identifier>, _> =
        typed.split(|c: char| c == ',' || c.is_whitespace()).filter(|name| !name.is_empty()).map(str::parse).collect();
    let refused = match names {
        Ok(names) => match begin(&console, &signed_in, typed, names).await {
            Ok(()) => return Ok(redirect("/doctor", None)),
            Err(refusal) => refusal,
        },
        Err(error) => {
            Refusal { status: StatusCode::BAD_REQUEST, code: "bad_examination".into(), message: error.to_string() }
        }
    };
    if refused.status == StatusCode::FORBIDDEN {
        return Err(refused.into());
    }
    let typed = Typed { names: typed, problem: Some(refused.message) };
    let page = page(&console, &signed_in, &Wanted { whole: false }, typed).await?;
    Ok((refused.status, page).into_response())
}

async fn begin(console: &Shared, who: &SignedIn, typed: &str, names: Vec<Identifier>) -> Result<(), Refusal> {
    // Whoever asks while one is under way sees that one.
    let Some(place) = console.examinations.begin(typed) else { return Ok(()) };
    let request = ExaminationRequest { names, ..ExaminationRequest::default() };
    // invariant: a struct of texts and lists always becomes JSON
    let body = Body::from(serde_json::to_vec(&request).unwrap_or_default());
    let reply = console.admin.deliver(who, Method::POST, "/doctor", body).await?;
    tokio::spawn(place.read(reply.into_body()));
    Ok(())
}

async fn page(console: &Shared, who: &SignedIn, wanted: &Wanted, typed: Typed<'_>) -> Result<Html<String>, PageError> {
    let whole = match console.admin.get::<Report>(who, "/doctor").await {
        Ok(report) => Some(report),
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => None,
        Err(refusal) => return Err(refusal.into()),
    };
    let running = console.examinations.running();
    let content = html! {
        p.lead { "Examines the set-up from the machine over the delegation to the names of certificates, as "
            code { "txtgate doctor" } " does." }
        @if who.session.visitor.may(AdminScope::All) { (form(who, &typed)) }
        div.progress #progress data-live { (progress(running.as_ref())) }
        div #report data-live { @if whole.is_some() || running.is_none() { (last(whole.as_ref(), console.examinations.outcome(), wanted)) } }
    };
    let refresh = running.map(|_| REFRESH);
    let page =
        Page { title: "Doctor", section: Section::Doctor, signed_in: who, live: Some("/doctor/events"), content };
    Ok(page.render_again_after(refresh))
}

fn form(signed_in: &SignedIn, typed: &Typed<'_>) -> Markup {
    html! {
        @if let Some(problem) = &typed.problem { p.notice.bad role="alert" { "✗ " (problem) } }
        form.filters method="post" action="/doctor" {
            (csrf(signed_in))
            label { "Names to examine: up to " (MAX_NAMES) ", with spaces between them. Without names: those that the server knows."
                input type="search" name="names" value=(typed.names) autocomplete="off" maxlength="4000"
                    placeholder="example.com *.example.com";
            }
            button { "Examine now" }
        }
    }
}

fn progress(running: Option<&Running>) -> Markup {
    let Some(running) = running else { return html! {} };
    let ended = running.ended.len();
    html! {
        div.panel {
            p { "Examining" @if !running.names.is_empty() { " " (running.names) } ": "
                @if running.checks > 0 { (ended) " of " (running.checks) " checks have ended." } @else { "beginning." } }
            progress max=(running.checks.max(1)) value=(ended) aria-label="Checks that have ended" {}
            @if let Some(last) = running.ended.last() { p.hint { "Last: " (last) } }
        }
    }
}

/// The last report: the console's own, or that of everything, whichever is later.
fn last(whole: Option<&Report>, outcome: Option<Outcome>, wanted: &Wanted) -> Markup {
    let later = match outcome {
        _ if wanted.whole => None,
        // The examination of everything is in the daemon's report already.
        Some(Outcome::Report(report)) if whole.is_none_or(|whole| report.at > whole.at) => Some(report),
        Some(Outcome::Failed(problem)) => return html! { p.notice.bad { "✗ " (problem) } },
        _ => None,
    };
    match (later, whole) {
        (Some(report), whole) => html! {
            (report::shown(&report))
            @if whole.is_some() { p { a href="/doctor?whole=true" { "The report of everything that the server knows" } } }
        },
        (None, Some(whole)) => report::shown(whole),
        (None, None) => empty(
            "The daemon has not examined its set-up since its start.",
            &html! { "Begin with \u{201c}Examine now\u{201d}, or with " code { "txtgate doctor" } " on the server." },
        ),
    }
}
