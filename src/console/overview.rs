//! The overview: problems first, then what is there.

mod attention;
pub mod certificates;
mod nodes;

use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, html};

use crate::api::types::accounts::AccountView;
use crate::api::types::certificates::ManagedCertificateView;
use crate::api::types::doctor::Report;
use crate::api::types::list::List;
use crate::api::types::status::{LastPublish, LastValidation, Status};
use crate::model::account::Note;
use crate::model::admin_token::AdminScope;
use crate::model::name::idn::both_ways;

use super::error::PageError;
use super::events::{Followed, follow};
use super::page::{Page, Section, Tone, badge, empty, encoded, time, time_or};
use super::samples::{LastHour, Sample};
use super::sign_in::redirect;
use super::signed_in::SignedIn;
use super::sparkline::sparkline;
use super::state::Shared;

use attention::Attention;

/// The overdue accounts that are listed.
const OVERDUE: usize = 6;

/// The pages.
pub fn routes() -> Router<Shared> {
    Router::new().route("/", get(show)).route("/overview/events", get(events))
}

async fn events(State(console): State<Shared>, signed_in: SignedIn) -> Response {
    follow(console, signed_in, Followed::Overview)
}

/// What the page shows.
struct Seen {
    status: Status,
    managed: Vec<ManagedCertificateView>,
    /// `None` if the database cannot be read.
    overdue: Option<Vec<AccountView>>,
    /// The last examination, if there was one.
    doctor: Option<Report>,
    hour: LastHour,
}

/// Shows the overview. An account sees itself instead.
async fn show(State(console): State<Shared>, signed_in: SignedIn) -> Result<Response, PageError> {
    if let Some(username) = signed_in.session.visitor.account() {
        return Ok(redirect(&format!("/accounts/{username}"), None));
    }
    let admin = &console.admin;
    let managed: List<ManagedCertificateView> = admin.get(&signed_in, "/certificates").await?;
    let overdue = admin.get::<List<AccountView>>(&signed_in, &format!("/accounts?overdue=true&limit={OVERDUE}")).await;
    let seen = Seen {
        status: admin.get(&signed_in, "/status").await?,
        managed: managed.items,
        overdue: overdue.ok().map(|list| list.items),
        doctor: admin.get(&signed_in, "/doctor").await.ok(),
        hour: console.samples.last_hour(Sample::of(&console.metrics)),
    };
    Ok(page(&signed_in, &seen).into_response())
}

fn page(signed_in: &SignedIn, seen: &Seen) -> Html<String> {
    let Seen { status, managed, overdue, doctor, hour } = seen;
    let attention = Attention::new(status, managed, doctor.as_ref());
    let content = html! {
        div #attention data-live {
            p { (attention.badge()) " " span.dim { (examined(doctor.as_ref())) } }
            (attention.list())
        }
        @if status.accounts == Some(0) { (first_account(signed_in)) }
        div.grid.four #figures data-live { (figures(status, hour)) }
        div.columns {
            section aria-labelledby="by-expiry" {
                h2 #by-expiry { "Certificates by expiry" }
                div #certificates data-live { (certificates::table(status, managed)) }
            }
            section aria-labelledby="overdue-accounts" {
                h2 #overdue-accounts { "Overdue accounts" }
                div #overdue data-live { (overdue_accounts(status, overdue.as_deref())) }
            }
        }
        div.columns.uneven {
            section aria-labelledby="zones" { h2 #zones { "Zones" } div #zone-list data-live { (nodes::zones(status)) } }
            section aria-labelledby="nodes" { h2 #nodes { "Nodes" } div #node-list data-live { (nodes::nodes(status, &attention)) } }
        }
    };
    Page { title: "Overview", section: Section::Overview, signed_in, live: Some("/overview/events"), content }.render()
}

fn examined(doctor: Option<&Report>) -> Markup {
    match doctor {
        Some(report) => html! { "set-up examined " (time(&report.at)) },
        None => html! { "the set-up has not been examined since the start; " a href="/doctor" { "examine it" } },
    }
}

/// What to do first.
fn first_account(signed_in: &SignedIn) -> Markup {
    let advice = html! {
        @if signed_in.session.visitor.may(AdminScope::Accounts) {
            a.button href="/accounts/new" { "Create the first account" }
        } @else {
            "An operator creates the first one: " code { "txtgate account create" }
        }
    };
    html! { div.first { (empty("There are no accounts yet. An account publishes the challenges of one domain.", &advice)) } }
}

fn figures(status: &Status, hour: &LastHour) -> Markup {
    html! {
        div.panel {
            h2 { "Accounts" }
            p.figure { @match status.accounts { Some(count) => (count), None => "unknown" } }
            p.hint { @match status.values {
                Some(1) => "1 value is published",
                Some(count) => { (count) " values are published" },
                None => "The database cannot be read",
            } }
            p.hint { "Last publish: " (last_publish(status.last_publish.as_ref())) }
        }
        div.panel { h2 { "Last validation" } (last_validation(status.last_validation.as_ref())) }
        (last_hour("Queries", "queries", &hour.queries))
        (last_hour("Updates", "updates", &hour.updates))
    }
}

fn last_hour(title: &str, what: &str, by_minute: &[u64]) -> Markup {
    html! {
        div.panel {
            h2 { (title) }
            p.figure { (by_minute.iter().sum::<u64>()) }
            (sparkline(what, by_minute))
            p.hint { "in the last hour" }
        }
    }
}

/// The name, by the note where there is one, with a link to the account.
fn named(name: &str, note: Option<&Note>) -> Markup {
    let note = note.map(Note::as_str).filter(|note| !note.is_empty());
    html! { a href={ "/accounts/" (encoded(name)) } title=(name) { (note.map_or(name.into(), both_ways)) } }
}

fn last_publish(last: Option<&LastPublish>) -> Markup {
    match last {
        Some(last) => html! { (time(&last.at)) ", " (named(&last.name, last.note.as_ref())) },
        None => html! { "none yet" },
    }
}

fn last_validation(last: Option<&LastValidation>) -> Markup {
    let Some(last) = last else { return html! { p.hint { "No value was asked for since the start." } } };
    let tone = match &last.verdict {
        Some(verdict) if verdict.code.is_good() => Tone::Good,
        Some(_) => Tone::Warning,
        None => Tone::Neutral,
    };
    let word = match tone {
        Tone::Good => "value served",
        Tone::Neutral => "asked",
        _ => "look at it",
    };
    html! {
        p { (badge(tone, word)) " " (time(&last.at)) }
        p { (named(&last.name, last.note.as_ref())) span.dim { ", asked by " (last.source) } }
        @if let Some(verdict) = &last.verdict { p.hint { (verdict.text) } }
    }
}

fn overdue_accounts(status: &Status, overdue: Option<&[AccountView]>) -> Markup {
    let Some(accounts) = overdue else { return html! { p.dim { "Unknown: the database cannot be read." } } };
    if accounts.is_empty() {
        return html! { p.dim { "None: every account renews in its usual time." } };
    }
    let count = status.overdue.unwrap_or_default();
    html! {
        div.scroll tabindex="0" role="region" aria-label="Overdue accounts" {
            table.compact {
                thead { tr { th scope="col" { "Account" } th scope="col" { "Expected" } th scope="col" { "Last publish" } } }
                tbody {
                    @for account in accounts {
                        tr {
                            td { (named_account(account)) }
                            td { (time_or(account.next_renewal.as_deref(), "-")) }
                            td { (time_or(account.last_update.as_deref(), "never")) }
                        }
                    }
                }
            }
        }
        @if count > accounts.len() as u64 { p { a href="/accounts?overdue=true" { "All " (count) " overdue accounts" } } }
    }
}

fn named_account(account: &AccountView) -> Markup {
    let first = account.fulldomains.first().map_or("", String::as_str);
    let note = account.note.as_str();
    let shown = if note.is_empty() { first.into() } else { both_ways(note) };
    html! { a href={ "/accounts/" (account.username) } title=(first) { (shown) } }
}
