//! Managed certificates: the list, one of them, and what can be done with it.

mod common;
mod one;
mod revoke;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::{Html, Response};
use axum::routing::{get, post};
use maud::{Markup, html};

use crate::api::types::certificates::ManagedCertificateView;
use crate::api::types::list::List;
use crate::api::types::status::Status;
use crate::certificates::api_certificate::ApiCertificateReport;
use crate::certificates::renewal::RenewalBasis;
use crate::model::name::idn::both_ways;

use super::error::PageError;
use super::events::{Followed, follow};
use super::form::Submitted;
use super::overview::certificates::condition;
use super::page::{Page, Section, Tone, badge, empty, prose, shortened, time, time_or};
use super::sign_in::redirect;
use super::signed_in::SignedIn;
use super::state::Shared;

use common::{path, why};

/// The certificates that the list shows.
const MOST: usize = 80;
/// The names of a certificate that the list shows.
const NAMES: usize = 2;

/// The most characters of a cause in the list.
const CAUSE: usize = 160;

/// The pages.
pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/certificates", get(show))
        .route("/certificates/events", get(list_events))
        .route("/certificates/{name}", get(one::show))
        .route("/certificates/{name}/events", get(events))
        .route("/certificates/{name}/renew", post(renew))
        .route("/certificates/{name}/revoke", get(revoke::show).post(revoke::revoke))
}

async fn list_events(State(console): State<Shared>, signed_in: SignedIn) -> Response {
    follow(console, signed_in, Followed::Reply("/certificates".to_owned()))
}

async fn events(State(console): State<Shared>, signed_in: SignedIn, Path(name): Path<String>) -> Response {
    follow(console, signed_in, Followed::Reply(path(&name)))
}

/// Gets another certificate now, or tries again what has failed.
async fn renew(
    State(console): State<Shared>,
    Path(name): Path<String>,
    Submitted(signed_in, _): Submitted,
) -> Result<Response, PageError> {
    let path = path(&name);
    let _: ManagedCertificateView = console.admin.act(&signed_in, Method::POST, &format!("{path}/renew")).await?;
    Ok(redirect(&path, None))
}

async fn show(State(console): State<Shared>, signed_in: SignedIn) -> Result<Html<String>, PageError> {
    let list: List<ManagedCertificateView> = console.admin.get(&signed_in, "/certificates").await?;
    let status: Status = console.admin.get(&signed_in, "/status").await?;
    let api = status.certificates.and_then(|own| own.api);
    let mut managed = list.items;
    managed.sort_by_key(|view| view.report.shown.as_ref().map(|shown| shown.not_after));
    let content = html! {
        div #certificates data-live {
            @if managed.is_empty() {
                (empty("There are no managed certificates yet.", &html! {
                    code { "txtgate cert issue example.com" } " gets one and keeps it renewed."
                }))
            } @else { (table(&managed)) }
        }
        @if let Some(api) = &api {
            h2 { "The API's own certificate" }
            div #api data-live { (of_api(api)) }
        }
    };
    let page = Page {
        title: "Certificates",
        section: Section::Certificates,
        signed_in: &signed_in,
        live: Some("/certificates/events"),
        content,
    };
    Ok(page.render())
}

fn table(managed: &[ManagedCertificateView]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Certificates" {
            table.compact.cards {
                thead { tr {
                    th scope="col" { "Certificate" } th scope="col" { "State" } th scope="col" { "Ends" }
                    th scope="col" { "Next" } th scope="col" { "Names" }
                } }
                tbody { @for view in managed.iter().take(MOST) { (row(view)) } }
            }
        }
        @if managed.len() > MOST {
            p.hint { "and " (managed.len() - MOST) " more, which end later; " code { "txtgate cert list" } " shows all" }
        }
    }
}

fn row(view: &ManagedCertificateView) -> Markup {
    let report = &view.report;
    html! {
        tr {
            th.row scope="row" { a href=(path(&view.name)) { (both_ways(&view.name)) } }
            td data-label="State" { (condition(view)) @if let Some(problem) = view.problem() { (cause(&problem, &path(&view.name))) } }
            td data-label="Ends" { @match &report.shown { Some(shown) => (time(&shown.not_after.to_string())), None => span.dim { "not issued" } } }
            td data-label="Next" { (next(report.attempts.next_attempt.as_deref(), report.renew_at.as_deref(), report.renewal_basis)) }
            td.wide data-label="Names" {
                (shortened(&view.names.iter().take(NAMES).map(|name| both_ways(name)).collect::<Vec<_>>().join(", "), 160))
                @if view.names.len() > NAMES { span.dim { " and " (view.names.len() - NAMES) " more" } }
            }
        }
    }
}

/// Why a certificate has failed, in a line or two; its page says what to do.
fn cause(problem: &str, page: &str) -> Markup {
    html! { br; span.hint { (prose(&shortened(problem, CAUSE))) } " " a.hint href=(page) { "What to do" } }
}

/// When something happens next, and why then.
fn next(attempt: Option<&str>, renewal: Option<&str>, basis: Option<RenewalBasis>) -> Markup {
    html! {
        @match (attempt, renewal) {
            (Some(attempt), _) => { (time(attempt)) span.dim { ", another attempt" } }
            (None, Some(renewal)) => { (time(renewal)) span.dim { ", " (why(basis)) } }
            (None, None) => span.dim { "-" }
        }
    }
}

fn of_api(report: &ApiCertificateReport) -> Markup {
    html! {
        div.panel {
            @if let Some(problem) = report.attempts.explained() {
                p.notice.bad { (badge(Tone::Bad, "failed")) " " (prose(&problem)) }
            }
            @match &report.shown {
                None => p { "There is none yet." },
                Some(shown) => dl.facts {
                    dt { "Names" } dd { (shown.names.join(", ")) }
                    dt { "Ends" } dd { (time(&shown.not_after.to_string())) }
                    dt { "Renewed" } dd { (time_or(report.renew_at.as_deref(), "not yet known"))
                        @if report.renew_at.is_some() { span.dim { ", " (why(report.renewal_basis)) } } }
                    dt { "Issuer" } dd {
                        @if report.self_signed { (badge(Tone::Warning, "self-signed")) " until a CA has issued one" }
                        @else { (shown.issuer) } }
                },
            }
        }
    }
}
