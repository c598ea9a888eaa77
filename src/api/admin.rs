//! The operator's API: all accounts and values, without credentials.
//!
//! A process that may open the Unix socket's file acts for the operator. The command line sends requests through the
//! socket. If no daemon runs, the command line calls the same router in its own process. Over the network the same routes
//! are for requests with a token ([`guarded`]).

mod account_history;
mod account_list;
mod accounts;
mod acme;
mod admin_tokens;
mod bulk;
mod certificates;
mod clock;
mod console_links;
mod delegations;
mod doctor;
mod enrolments;
mod names;
mod notify;
mod persist;
mod queries;
mod refusal;
mod remote;
mod running;
mod scope;
mod scoped;
mod server;
mod status;
mod token_lifetime;
mod transfer;
mod tsig;
mod values;
mod watch;
mod watched;
mod who;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRef};
use axum::routing::{delete, get, post};
use axum::{Router, middleware};

use crate::certificates::Certificates;
use crate::crypto::key_issuer::KeyIssuer;
use crate::crypto::keyring::Keyring;
use crate::doctor::service::Doctor;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::publisher::Publisher;
use crate::replication::Transfers;

use super::body::{self, BodyTimeout};
use super::error::{method_not_allowed, no_such_page};
use super::recent_changes::RecentChanges;

pub use console_links::ConsoleLinks;
pub use delegations::DelegationChecks;
pub use remote::guarded;
pub use scoped::{Caller, scoped};
pub use status::Facts;
pub use watch::QueryStreams;

#[derive(Clone, FromRef)]
struct OperatorState {
    publisher: Publisher,
    keys: KeyIssuer,
    keyring: Keyring,
    metrics: Arc<Metrics>,
    facts: Arc<Facts>,
    watch: Option<QueryStreams>,
    certificates: Option<Certificates>,
    doctor: Option<Doctor>,
    notifier: Option<Notifier>,
    transfers: Option<Transfers>,
    console: Option<ConsoleLinks>,
    delegations: Option<DelegationChecks>,
    changes: Option<RecentChanges>,
}

/// What only a running daemon has. Without it, `/watch`, `/acme`, `/certificates`, `/doctor` and `/notify` are
/// 404.
#[derive(Clone, Debug, Default)]
pub struct DaemonServices {
    pub watch: Option<QueryStreams>,
    pub certificates: Option<Certificates>,
    pub doctor: Option<Doctor>,
    pub notifier: Option<Notifier>,
    pub transfers: Option<Transfers>,
    pub console: Option<ConsoleLinks>,
    pub delegations: Option<DelegationChecks>,
    /// Kept for the console alone.
    pub changes: Option<RecentChanges>,
}

/// The operator's router; each request needs its [`Actor`](crate::model::actor::Actor) as an extension.
pub fn router(
    publisher: Publisher,
    keys: KeyIssuer,
    keyring: Keyring,
    metrics: Arc<Metrics>,
    facts: Facts,
    daemon: DaemonServices,
) -> Router {
    let DaemonServices { watch, certificates, doctor, notifier, transfers, console, delegations, changes } = daemon;
    let facts = Arc::new(facts);
    let state = OperatorState {
        publisher,
        keys,
        keyring,
        metrics,
        facts,
        watch,
        certificates,
        doctor,
        notifier,
        transfers,
        console,
        delegations,
        changes,
    };
    account_routes()
        .merge(token_routes())
        .merge(value_routes())
        .merge(certificate_routes())
        .merge(daemon_routes())
        .fallback(no_such_page)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(BodyTimeout::OPERATOR, body::whole))
        .merge(large_body_routes())
        .with_state(state)
}

fn account_routes() -> Router<OperatorState> {
    Router::new()
        .route("/accounts", get(account_list::list).post(accounts::create))
        .route("/accounts/{who}", get(accounts::show).patch(accounts::edit).delete(accounts::delete))
        .route("/accounts/{who}/rotate", post(accounts::rotate))
        .route("/accounts/{who}/disable", post(accounts::disable))
        .route("/accounts/{who}/enable", post(accounts::enable))
        .route("/accounts/{who}/subdomains", post(names::add_subdomain).delete(names::remove_subdomain))
        .route("/accounts/{who}/aliases", post(names::add_alias).delete(names::remove_alias))
        .route("/accounts/{who}/queries", get(account_history::queries))
        .route("/accounts/{who}/changes", get(account_history::changes))
        .route("/accounts/{who}/delegations", get(delegations::list))
        .route("/accounts/{who}/tsig", post(tsig::create).delete(tsig::delete))
}

fn token_routes() -> Router<OperatorState> {
    Router::new()
        .route("/admin-tokens", get(admin_tokens::list).post(admin_tokens::create))
        .route("/admin-tokens/{id}", delete(admin_tokens::revoke))
        .route("/enrolments", get(enrolments::list).post(enrolments::create))
        .route("/enrolments/{id}", delete(enrolments::revoke))
}

fn value_routes() -> Router<OperatorState> {
    Router::new()
        .route("/txt", get(values::list).post(values::publish).delete(values::retire))
        .route("/persist", get(persist::list).post(persist::publish).delete(persist::retire))
        .route("/queries", get(queries::list))
        .route("/watch", get(watch::watch))
}

fn certificate_routes() -> Router<OperatorState> {
    Router::new()
        .route("/acme/account", get(acme::account))
        .route("/acme/account/rollover", post(acme::rollover).delete(acme::abandon_rollover))
        .route("/acme/account/deactivate", post(acme::deactivate))
        .route("/acme/account/contact", post(acme::contact))
        .route("/certificates", get(certificates::list).post(certificates::issue))
        .route("/certificates/{name}", get(certificates::show).delete(certificates::delete))
        .route("/certificates/{name}/renew", post(certificates::renew))
        .route("/certificates/{name}/revoke", post(certificates::revoke))
}

fn daemon_routes() -> Router<OperatorState> {
    Router::new()
        .route("/notify/test", post(notify::test))
        .route("/server", get(server::server))
        .route("/status", get(status::status))
        .route("/transfer/export", post(transfer::export))
        .route("/console/links", post(console_links::create))
        .route("/clock/trust", post(clock::trust))
        .route("/doctor", get(doctor::last).post(doctor::examine))
}

/// Routes whose layers have limits of their own, above axum's.
fn large_body_routes() -> Router<OperatorState> {
    let large = Router::new()
        .route("/bulk/accounts", post(bulk::create))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(body::large));
    let huge = Router::new()
        .route("/transfer/import", post(transfer::import))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(body::huge));
    large.merge(huge)
}
