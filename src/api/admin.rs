//! The operator's API: all accounts and values, without credentials.
//!
//! Whoever may open the Unix socket's file is the operator. The command line uses it through the socket, or, where no
//! daemon runs, calls this same router in its own process.

mod accounts;
mod acme;
mod certificates;
mod clock;
mod enrolments;
mod names;
mod persist;
mod running;
mod status;
mod tsig;
mod values;
mod watch;
mod who;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRef, FromRequestParts, Query};
use axum::http::request::Parts;
use axum::routing::{delete, get, post};
use axum::{Router, middleware};

use crate::certificates::Certificates;
use crate::crypto::hasher::Hasher;
use crate::crypto::keyring::Keyring;
use crate::metrics::Metrics;
use crate::model::actor::Actor;
use crate::publisher::{AccessError, Publisher};

use super::body;
use super::error::{Failure, method_not_allowed, no_such_page};

pub use watch::Watch;
#[cfg(test)]
pub use watch::lines;

/// What `/status` tells that nobody else knows.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When the daemon started; `None` where there is none and the command line asks itself.
    pub started: Option<Instant>,
    /// What is listened on, like `DNS 0.0.0.0:53 (UDP and TCP)`.
    pub listeners: Vec<String>,
}

#[derive(Clone, FromRef)]
struct Handles {
    publisher: Publisher,
    /// As whom all requests act.
    actor: Actor,
    hasher: Hasher,
    keyring: Keyring,
    metrics: Arc<Metrics>,
    facts: Arc<Facts>,
    watch: Option<Watch>,
    certificates: Option<Certificates>,
}

/// The operator's router. Without `watch` and `certificates`, which only a daemon has, `/watch`, `/acme` and
/// `/certificates` are 404.
pub fn router(
    publisher: Publisher,
    hasher: Hasher,
    keyring: Keyring,
    metrics: Arc<Metrics>,
    facts: Facts,
    watch: Option<Watch>,
    certificates: Option<Certificates>,
) -> Router {
    let actor = if facts.started.is_some() { Actor::OPERATOR } else { Actor::COMMAND_LINE };
    Router::new()
        .route("/accounts", get(accounts::list).post(accounts::create))
        .route("/accounts/{who}", get(accounts::show).patch(accounts::edit).delete(accounts::delete))
        .route("/accounts/{who}/rotate", post(accounts::rotate))
        .route("/accounts/{who}/disable", post(accounts::disable))
        .route("/accounts/{who}/enable", post(accounts::enable))
        .route("/accounts/{who}/subdomains", post(names::add_subdomain).delete(names::remove_subdomain))
        .route("/accounts/{who}/aliases", post(names::add_alias).delete(names::remove_alias))
        .route("/accounts/{who}/tsig", post(tsig::create).delete(tsig::delete))
        .route("/enrolments", get(enrolments::list).post(enrolments::create))
        .route("/enrolments/{id}", delete(enrolments::revoke))
        .route("/txt", get(values::list).post(values::publish).delete(values::retire))
        .route("/acme/account", get(acme::account))
        .route("/acme/account/rollover", post(acme::rollover))
        .route("/acme/account/deactivate", post(acme::deactivate))
        .route("/acme/account/contact", post(acme::contact))
        .route("/certificates", get(certificates::list).post(certificates::issue))
        .route("/certificates/{name}", get(certificates::show).delete(certificates::delete))
        .route("/certificates/{name}/renew", post(certificates::renew))
        .route("/certificates/{name}/revoke", post(certificates::revoke))
        .route("/persist", get(persist::list).post(persist::publish).delete(persist::retire))
        .route("/status", get(status::status))
        .route("/watch", get(watch::watch))
        .route("/clock/trust", post(clock::trust))
        .fallback(no_such_page)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(body::whole))
        .with_state(Handles { publisher, actor, hasher, keyring, metrics, facts: Arc::new(facts), watch, certificates })
}

/// The query's parameters.
struct Params(HashMap<String, String>);

impl Params {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let wrong = |error: axum::extract::rejection::QueryRejection| Failure::Malformed(error.to_string());
        Query::try_from_uri(&parts.uri).map(|Query(params)| Self(params)).map_err(wrong)
    }
}

/// Refusals as the operator should read them: there are no credentials here that could be wrong.
fn refused(error: impl Into<Failure>) -> Failure {
    match error.into() {
        Failure::Access(AccessError::NotOwner) => {
            Failure::NotFound("that name belongs to nobody, or to another account".into())
        }
        Failure::Access(AccessError::Disabled) => Failure::Conflict("the account is disabled; enable it first".into()),
        other => other,
    }
}
