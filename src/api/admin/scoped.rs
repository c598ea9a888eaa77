//! The operator's API for callers in this process that act for somebody: an operator with a scope, or one account.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};

use crate::model::account::Username;
use crate::model::admin_token::AdminScope;

use super::super::error::Failure;
use super::scope::permitted;

/// Whom a request acts for. Each request to a [`scoped`] router needs one as an extension, beside its
/// [`Actor`](crate::model::actor::Actor).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The operator, as far as the scope reaches.
    Operator(AdminScope),
    /// An account, at itself.
    Account(Username),
}

/// The router, which refuses what a request's [`Caller`] may not do.
pub fn scoped(router: Router) -> Router {
    router.layer(middleware::from_fn(check))
}

async fn check(request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().copied();
    let checked = match caller {
        Some(Caller::Operator(scope)) => permitted(scope, &request),
        Some(Caller::Account(username)) => permitted_to_account(username, &request),
        None => Err(Failure::Forbidden("the request names no caller")),
    };
    match checked {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

/// What an account may do through the public API as well: show, change and delete itself, and rotate its key. The handler
/// narrows what an account may change.
fn permitted_to_account(username: Username, request: &Request) -> Result<(), Failure> {
    const OTHERS: &str = "an account sees and changes itself alone; ask the operator";
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let allowed = match route {
        "/accounts/{who}" => &[Method::GET, Method::PATCH, Method::DELETE][..],
        "/accounts/{who}/rotate" => &[Method::POST],
        "/accounts/{who}/queries" | "/accounts/{who}/changes" | "/accounts/{who}/delegations" => &[Method::GET],
        "/server" => return Ok(()),
        _ => &[],
    };
    let own = format!("/accounts/{username}");
    let path = request.uri().path();
    let is_own = path == own || path.strip_prefix(&own).is_some_and(|rest| rest.starts_with('/'));
    let may_remove = request.uri().query().is_none();
    let is_allowed = allowed.contains(request.method()) && (*request.method() != Method::DELETE || may_remove);
    if is_own && is_allowed { Ok(()) } else { Err(Failure::Scope(OTHERS.into())) }
}
