//! The page of an account, put together.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::api::types::delegations::{Assessment, DelegationView};

use super::super::admin::Refusal;
use super::super::error::PageError;
use super::super::form::Fields;
use super::super::page::{Page, Section};
use super::super::session::NewCredentials;
use super::super::signed_in::SignedIn;
use super::super::state::Console;
use super::loaded::{Loaded, encoded, path};
use super::{changes, facts, forms, names, settings, validations};

/// What the page shows besides the account.
#[derive(Debug, Default)]
pub struct ViewOptions {
    /// The domain that the visitor has asked for.
    pub domain: String,
    /// The client whose settings are shown.
    pub client: String,
    /// A key that was just made.
    pub revealed: Option<NewCredentials>,
}

/// The page of an account.
pub async fn page(
    console: &Console,
    signed_in: &SignedIn,
    who: &str,
    options: ViewOptions,
) -> Result<Response, PageError> {
    let loaded = Loaded::of(console, signed_in, who, &options.domain).await?;
    Ok(render(signed_in, &loaded, &options, None, &Fields::default()))
}

/// The page after a form was refused: with the reason, and with what was typed.
pub async fn refused(
    console: &Console,
    signed_in: &SignedIn,
    who: &str,
    refusal: Refusal,
    fields: &Fields,
) -> Result<Response, PageError> {
    let loaded = match Loaded::of(console, signed_in, who, "").await {
        Ok(loaded) => loaded,
        // That comes before what was typed.
        Err(missing) if matches!(missing.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) => {
            return Err(missing.into());
        }
        // Where the account itself cannot be shown, the reason stands alone.
        Err(_) => return Err(refusal.into()),
    };
    let page = render(signed_in, &loaded, &ViewOptions::default(), Some(&refusal.message), fields);
    Ok((refusal.status, page).into_response())
}

fn render(
    signed_in: &SignedIn,
    loaded: &Loaded,
    options: &ViewOptions,
    problem: Option<&str>,
    fields: &Fields,
) -> Response {
    let account = &loaded.account;
    let first = account.owners.first().map(|owner| owner.fulldomain.as_str());
    let title = Some(account.note.as_str()).filter(|note| !note.is_empty()).or(first).unwrap_or("Account");
    let content = html! {
        @if let Some(problem) = problem { p.notice.bad role="alert" { (problem) } }
        @if let Some(revealed) = &options.revealed { (settings::new_key(revealed)) }
        div #notice data-live { (facts::notice(account, signed_in)) }
        div.columns {
            div {
                (section("account", "Account", &html! { div.panel #facts data-live { (facts::facts(account)) } }))
            }
            div {
                (section("delegation", "Records of the domain", &names::names(loaded, &options.domain)))
            }
        }
        (section("validations", "Validations", &html! {
            div #values data-live { (validations::validations(loaded)) }
        }))
        (section("settings", "Settings of the client",
            &settings::settings(loaded, &options.client, &options.domain, options.revealed.as_ref())))
        (section("changes", "Last changes", &html! { div #history data-live { (changes::changes(&loaded.changes)) } }))
        (section("actions", "Change the account", &forms::forms(account, signed_in, fields)))
    };
    let events = events(loaded, &options.domain);
    // Where a form was refused, the address is the form's, and nothing is to replace what was typed.
    let live = problem.is_none().then_some(events.as_str());
    let page = Page { title, section: Section::Accounts, signed_in, live, content };
    (StatusCode::OK, page.render()).into_response()
}

/// The events of the page. The DNS of others tells nobody of its changes: a page that waits for a record looks again and
/// again.
fn events(loaded: &Loaded, domain: &str) -> String {
    let is_good = |delegation: &DelegationView| delegation.assessment == Assessment::Good;
    let are_good = loaded.delegations.as_ref().map_or(true, |found| found.iter().all(is_good));
    let is_asked_good = loaded.asked.as_ref().is_none_or(|found| found.as_ref().is_ok_and(is_good));
    if are_good && is_asked_good {
        return "/events".to_owned();
    }
    path(&loaded.account.username.to_string(), &format!("/events?domain={}", encoded(domain)))
}

fn section(id: &str, title: &str, content: &Markup) -> Markup {
    html! { section id=(id) { h2 { (title) } (content) } }
}
