//! The list of sessions, and the end of one.

use axum::extract::{Path, State};
use axum::response::{Html, Response};
use maud::html;
use tracing::info;

use super::error::PageError;
use super::form::Submitted;
use super::page::{Page, Section, button, time};
use super::session::{Session, SessionId};
use super::sign_in::redirect;
use super::signed_in::SignedIn;
use super::state::Shared;

/// An account sees its own sessions, an operator all that reach no further than the own one.
fn is_shown(viewer: &SignedIn, session: &Session) -> bool {
    use crate::api::admin::Caller::{Account, Operator};
    match (viewer.session.visitor.caller(), session.visitor.caller()) {
        (Account(own), Account(other)) => own == other,
        (Operator(own), Operator(other)) => own.covers(other),
        (Operator(_), Account(_)) => true,
        (Account(_), Operator(_)) => false,
    }
}

/// Lists the sessions.
pub async fn list(State(console): State<Shared>, signed_in: SignedIn) -> Html<String> {
    let sessions = console.sessions.list(|session| is_shown(&signed_in, session));
    let content = html! {
        p.lead { "Whoever is signed in to the console. A session ends after an hour without use, or after 12 hours." }
        div.scroll tabindex="0" role="region" aria-label="Sessions" {
            table {
                thead { tr {
                    th scope="col" { "Who" } th scope="col" { "From" } th scope="col" { "Browser" }
                    th scope="col" { "Signed in" } th scope="col" { "Last used" } th scope="col" { "" }
                } }
                tbody {
                    @for session in &sessions {
                        tr {
                            td { (session.visitor.name())
                                @if session.id == signed_in.session.id { " " span.dim { "(this one)" } } }
                            td { @if session.address.is_unspecified() { "the proxy" } @else { (session.address) } }
                            td.wide { (session.agent) }
                            td { (time(&session.created.to_string())) }
                            td { (time(&session.last_used.to_string())) }
                            td { (button(&signed_in, &format!("/sessions/{}/end", session.id), "End", "quiet", None)) }
                        }
                    }
                }
            }
        }
    };
    Page { title: "Sessions", section: Section::Sessions, signed_in: &signed_in, live: None, content }.render()
}

/// Ends a session.
pub async fn end(
    State(console): State<Shared>,
    Path(id): Path<String>,
    Submitted(signed_in, _): Submitted,
) -> Result<Response, PageError> {
    let id: SessionId = id.parse().map_err(|_| PageError::NoSession)?;
    let found = console.sessions.list(|session| session.id == id && is_shown(&signed_in, session));
    let session = found.first().ok_or(PageError::NoSession)?;
    console.sessions.end(session.id);
    info!(actor = %signed_in.actor(), ended = session.visitor.name(), "console session ended");
    Ok(redirect("/sessions", None))
}
