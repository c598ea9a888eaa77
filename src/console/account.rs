//! One account: its names, values and validations, and what can be done with it.

mod actions;
mod changes;
mod content;
mod facts;
mod forms;
mod loaded;
mod names;
mod settings;
mod validations;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{Html, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use crate::api::types::accounts::AccountView;
use crate::model::account::Username;
use crate::model::admin_token::AdminScope;

use super::error::PageError;
use super::events::{DelegationWatch, Followed, follow};
use super::page::{Page, Section};
use super::signed_in::SignedIn;
use super::state::Shared;

use content::ViewOptions;

/// The pages and forms of an account.
pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/accounts/{who}", get(show))
        .route("/accounts/{who}/events", get(events))
        .route("/accounts/{who}/edit", post(actions::edit))
        .route("/accounts/{who}/rotate", post(actions::rotate))
        .route("/accounts/{who}/disable", post(actions::disable))
        .route("/accounts/{who}/enable", post(actions::enable))
        .route("/accounts/{who}/delete", get(ask_before_deletion).post(actions::delete))
        .route("/accounts/{who}/publish", post(actions::publish))
        .route("/accounts/{who}/retire", post(actions::retire))
        .route("/accounts/{who}/tsig", post(actions::create_tsig))
        .route("/accounts/{who}/tsig/delete", post(actions::delete_tsig))
        .route("/accounts/{who}/aliases", post(actions::add_alias))
        .route("/accounts/{who}/aliases/remove", post(actions::remove_alias))
        .route("/accounts/{who}/subdomains", post(actions::add_subdomain))
        .route("/accounts/{who}/subdomains/remove", post(actions::remove_subdomain))
}

/// What the address asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    domain: String,
    client: String,
}

/// Events of a page that waits for records in the DNS.
async fn events(
    State(console): State<Shared>,
    signed_in: SignedIn,
    Path(who): Path<String>,
    Query(Asked { domain, .. }): Query<Asked>,
) -> Response {
    let mut paths = vec![loaded::delegations(&who)];
    if !domain.trim().is_empty() {
        paths.push(loaded::delegations_of(&who, domain.trim()));
    }
    follow(console, signed_in, Followed::Delegations(DelegationWatch::new(paths)))
}

async fn show(
    State(console): State<Shared>,
    Path(who): Path<String>,
    Query(Asked { domain, client }): Query<Asked>,
    headers: HeaderMap,
    signed_in: SignedIn,
) -> Result<Response, PageError> {
    // The script of an open page loads the page as well, and shows no key.
    let is_document = headers.get("sec-fetch-dest").is_none_or(|destination| destination == "document");
    let own: Option<Username> = who.parse().ok().filter(|_| is_document);
    let revealed = own.and_then(|username| console.sessions.take_revealed(signed_in.session.id, username));
    let domain = domain.trim().to_owned();
    content::page(&console, &signed_in, &who, ViewOptions { domain, client, revealed }).await
}

async fn ask_before_deletion(
    State(console): State<Shared>,
    Path(who): Path<String>,
    signed_in: SignedIn,
) -> Result<Html<String>, PageError> {
    let visitor = &signed_in.session.visitor;
    let account: AccountView = console.admin.get(&signed_in, &loaded::path(&who, "")).await?;
    if !visitor.may(AdminScope::Accounts) && visitor.account() != Some(account.username) {
        return Err(PageError::Scope("accounts"));
    }
    let content = forms::deletion(&account, &signed_in);
    Ok(Page { title: "Delete the account?", section: Section::Accounts, signed_in: &signed_in, live: None, content }
        .render())
}
