//! The web console: pages for people who would rather look than type.
//!
//! The console is a client of the admin API in the same process: whatever a page shows or does goes through the typed
//! requests of [`api::types`](crate::api::types), for the [`Caller`](crate::api::admin::Caller) that the session stands
//! for. The pages work without JavaScript; the script adds live updates and copying. A page loads nothing from elsewhere.
//!
//! A request passes the guard first, which knows the console's hosts, the session and the security headers.

mod account;
mod accounts;
mod admin;
mod assets;
mod certificates;
mod client;
mod create;
mod doctor;
mod document;
mod error;
mod events;
mod form;
mod guard;
mod origin;
mod overview;
mod page;
mod queries;
mod samples;
mod session;
mod sessions;
mod sign_in;
mod signed_in;
mod sparkline;
mod state;
mod text;
mod timeline;
mod visitor;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Router, middleware};
use tokio::sync::watch;

use crate::api::Clients;
use crate::api::admin::{ConsoleLinks, scoped};
use crate::api::credentials::Credentials;
use crate::config::ProxyUsers;
use crate::metrics::Metrics;
use crate::net::rate_limiter::RateLimiter;
use crate::publisher::Publisher;

use admin::AdminClient;
use client::Entrance;
use doctor::running::Examinations;
use origin::Hosts;
use queries::live::LiveQueries;
use samples::Samples;
use session::Sessions;
use sign_in::WRONG_SIGN_INS;
use state::{Console, Shared};

/// What the console stands on.
#[derive(Debug)]
pub struct ConsoleServices {
    /// The admin API, whose requests need an actor and a caller.
    pub admin: Router,
    /// Knows accounts and tokens, and tells of changes.
    pub publisher: Publisher,
    /// Verifies the keys of accounts.
    pub credentials: Credentials,
    /// The links that sign an operator in.
    pub links: ConsoleLinks,
    /// Counts what is asked and published.
    pub metrics: Arc<Metrics>,
    /// Says that the daemon stops.
    pub shutdown: watch::Receiver<bool>,
    /// Finds the address of browsers behind a proxy on a Unix socket.
    pub clients: Clients,
    /// The users whom a proxy on a Unix socket signs in.
    pub proxy_users: Option<ProxyUsers>,
}

/// The console's router. `listen`: the addresses of its listeners. `names`: further hosts by which browsers know it.
/// `is_secure`: whether browsers reach it over TLS.
pub fn router(services: ConsoleServices, listen: &[SocketAddr], names: &[String], is_secure: bool) -> Router {
    let ConsoleServices { admin, publisher, credentials, links, metrics, shutdown, clients, proxy_users } = services;
    let samples = Arc::new(Samples::default());
    tokio::spawn(samples::keep_sampling(samples.clone(), metrics.clone(), shutdown.clone()));
    // Reads every account once, so that the first page need not.
    let store = publisher.store().clone();
    tokio::task::spawn_blocking(move || store.last_publication());
    let state: Shared = Arc::new(Console {
        admin: AdminClient::new(scoped(admin)),
        publisher,
        credentials,
        links,
        metrics,
        shutdown,
        hosts: Hosts::new(listen, names),
        entrance: Entrance { clients, proxy_users, is_secure },
        sessions: Sessions::default(),
        samples,
        live: LiveQueries::default(),
        examinations: Examinations::default(),
        wrong: RateLimiter::new(WRONG_SIGN_INS),
    });
    let pages = Router::new()
        .merge(overview::routes())
        .merge(accounts::routes())
        .merge(account::routes())
        .merge(certificates::routes())
        .merge(doctor::routes())
        .merge(queries::routes())
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/link/{secret}", get(sign_in::show_link).post(sign_in::use_link))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/sessions", get(sessions::list))
        .route("/sessions/{id}/end", post(sessions::end))
        .route("/events", get(events::changes))
        .route("/assets/{file}", get(assets::file))
        .fallback(error::no_such_page)
        .method_not_allowed_fallback(error::method_not_allowed);
    pages.layer(middleware::from_fn_with_state(state.clone(), guard::guard)).with_state(state)
}
