//! `/accounts/{who}/queries` and `/accounts/{who}/changes`: what has happened at an account's names, and to the account.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::actor::{Actor, Principal};
use crate::publisher::Publisher;
use crate::zone::change::Action;

use super::super::blocking::read;
use super::super::error::Failure;
use super::super::params::Params;
use super::super::query_feed::QuerySelection;
use super::super::recent_changes::{RecentChange, RecentChanges};
use super::super::reply;
use super::super::types::changes::{ChangeList, ChangeView};
use super::watch::QueryStreams;
use super::who;

/// The last queries for all names of an account.
pub async fn queries(
    State(streams): State<Option<QueryStreams>>,
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    Path(who): Path<String>,
    params: Params,
) -> Result<Response, Failure> {
    let params = params.only(&["limit", "since"])?;
    let Some(streams) = streams else {
        return Err(Failure::NotFound(
            "the query log is the daemon's, and no daemon runs; start it with `txtgate serve`".into(),
        ));
    };
    let account = who::account(&publisher, who).await?;
    let mut selection = QuerySelection::of(&params)?;
    if !actor.who.is_operator() {
        // The apex of a challenge zone may have belonged to another account before.
        selection = selection.not_before(account.created.date.into());
    }
    let feed = streams.feed().clone();
    let list = read(&publisher, move |_| feed.list(&account.owners, selection)).await?;
    Ok(reply::json(StatusCode::OK, &list))
}

/// The last changes of an account, with who asked for them.
pub async fn changes(
    State(changes): State<Option<RecentChanges>>,
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    Path(who): Path<String>,
) -> Result<Response, Failure> {
    let Some(changes) = changes else {
        return Err(Failure::NotFound(
            "the daemon keeps the last changes for the console, and there is none: set `listen` in [console] of the \
             configuration, and restart the daemon"
                .into(),
        ));
    };
    let account = who::account(&publisher, who).await?;
    let found = changes.of(&account);
    let list = ChangeList {
        items: found.changes.iter().map(|change| view(change, actor)).collect(),
        truncated: found.is_truncated,
        complete_since: found.complete_since.to_string(),
    };
    Ok(reply::json(StatusCode::OK, &list))
}

fn view(change: &RecentChange, reader: Actor) -> ChangeView {
    let actor = match change.actor.who {
        // The operator's addresses and tokens are no matter of the account's holder.
        Principal::Operator if !reader.who.is_operator() => "the operator".to_owned(),
        _ => change.actor.to_string(),
    };
    ChangeView {
        time: change.at.to_string(),
        action: in_words(change.action).to_owned(),
        name: change.name.clone(),
        actor,
    }
}

fn in_words(action: Action) -> &'static str {
    match action {
        Action::Register => "account created",
        Action::AddOwner => "name added",
        Action::RemoveOwner => "name removed",
        Action::AddAlias => "alias added",
        Action::RemoveAlias => "alias removed",
        Action::Publish => "value published",
        Action::Retire => "value retired",
        Action::Persist => "persistent authorization published",
        Action::RetirePersistent => "persistent authorization retired",
        Action::Expire => "value expired",
        Action::EditAccount => "networks or note changed",
        Action::RotateKey => "key rotated",
        Action::Rehash => "key hashed again",
        Action::SetTsig => "TSIG key changed",
        Action::DisableAccount => "account disabled",
        Action::EnableAccount => "account enabled",
        Action::DeleteAccount => "account deleted",
        Action::RemoveAccount => "account removed",
        Action::Import => "account imported",
        Action::CreateEnrolment => "enrolment token created",
        Action::UseEnrolment => "enrolment token used",
        Action::RevokeEnrolment => "enrolment token revoked",
        Action::CreateAdminToken => "admin token created",
        Action::RevokeAdminToken => "admin token revoked",
        Action::Reload => "configuration read again",
        Action::ReloadKeys => "zone keys read again",
    }
}
