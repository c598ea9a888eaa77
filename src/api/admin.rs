//! The operator's API: all accounts and values, without credentials.
//!
//! A process that may open the Unix socket's file acts for the operator. The command line sends requests through the
//! socket. If no daemon runs, the command line calls the same router in its own process.

mod accounts;
mod acme;
mod certificates;
mod clock;
mod enrolments;
mod names;
mod params;
mod persist;
mod refusal;
mod running;
mod status;
mod tsig;
mod values;
mod watch;
mod who;

use std::sync::Arc;

use axum::extract::FromRef;
use axum::routing::{delete, get, post};
use axum::{Router, middleware};

use crate::certificates::Certificates;
use crate::crypto::hasher::Hasher;
use crate::crypto::keyring::Keyring;
use crate::metrics::Metrics;
use crate::model::actor::Actor;
use crate::publisher::Publisher;

use super::body;
use super::error::{method_not_allowed, no_such_page};

pub use status::Facts;
pub use watch::WatchHook;
#[cfg(test)]
pub use watch::lines;

#[derive(Clone, FromRef)]
struct OperatorState {
    publisher: Publisher,
    /// As whom all requests act.
    actor: Actor,
    hasher: Hasher,
    keyring: Keyring,
    metrics: Arc<Metrics>,
    facts: Arc<Facts>,
    watch: Option<WatchHook>,
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
    watch: Option<WatchHook>,
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
        .with_state(OperatorState {
            publisher,
            actor,
            hasher,
            keyring,
            metrics,
            facts: Arc::new(facts),
            watch,
            certificates,
        })
}
