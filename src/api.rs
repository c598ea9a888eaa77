//! The HTTP API: acme-dns's, byte for byte where clients look; lego's `httpreq`; and everything else under `/v1`.
//!
//! [`router`] is what the public listeners serve, [`admin::router`] the operator's Unix socket, [`metrics::router`]
//! the private listener for Prometheus. [`http`] accepts connections for all of them.

mod account;
pub mod admin;
mod aliases;
mod auth;
mod authorization;
mod blocking;
mod body;
mod client_ip;
pub mod client_settings;
mod cors;
pub mod credentials;
mod error;
mod fields;
mod health;
pub mod http;
mod httpreq;
mod json_body;
pub mod metrics;
mod observe;
mod open_streams;
mod own;
mod params;
mod path;
pub mod peer;
mod persist;
pub mod problems;
mod queries;
mod query_feed;
mod recent_changes;
mod register;
mod reply;
mod rotate;
mod secrets;
mod state;
mod storage;
pub mod stream;
mod subdomains;
#[cfg(test)]
mod tests;
pub mod types;
mod update;
mod values;
mod verdicts;
mod views;
mod wait;

use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Router, middleware};
use tower::util::MapRequest;

use crate::api::credentials::Credentials;
use crate::config;
use crate::crypto::key_issuer::KeyIssuer;
use crate::metrics::Metrics;
use crate::net::dns_client::DnsClient;
use crate::publisher::Publisher;

use body::BodyTimeout;
use error::{method_not_allowed, no_such_page};
use open_streams::OpenStreams;
use register::Registrar;
use state::PublicState;

pub use client_ip::Clients;
pub use query_feed::QueryFeed;
pub use recent_changes::RecentChanges;
pub use verdicts::Verdicts;
pub use wait::SERVED_HEADER;

/// The public API. [`http::Server`] serves it and records the peer of each request.
pub fn router(
    settings: &config::Api,
    publisher: Publisher,
    credentials: Credentials,
    keys: KeyIssuer,
    metrics: Arc<Metrics>,
    lookup: DnsClient,
    queries: QueryFeed,
) -> Router {
    let registrar = Registrar::new(&settings.registration, publisher.clone(), keys.clone());
    let clients = Clients::of_settings(settings);
    let streams = OpenStreams::default();
    let verdicts = Verdicts::new(queries.log().clone(), lookup.clone());
    let routes = Router::new()
        .route("/register", post(register::register))
        .route("/update", post(update::update))
        .route("/present", post(httpreq::present))
        .route("/cleanup", post(httpreq::cleanup))
        .route("/health", get(health::health))
        .route("/v1/account", get(account::show).patch(account::edit).delete(account::delete))
        .route("/v1/account/rotate", post(rotate::rotate))
        .route("/v1/subdomains", post(subdomains::add).delete(subdomains::remove))
        .route("/v1/aliases", post(aliases::add).delete(aliases::remove))
        .route("/v1/storage", get(storage::fetch_all))
        .route("/v1/storage/{domain}", get(storage::fetch).post(storage::put).delete(storage::remove))
        .route("/v1/txt", get(values::list).post(values::publish).delete(values::retire))
        .route("/v1/queries", get(queries::list))
        .route("/v1/persist", post(persist::publish).delete(persist::retire))
        .fallback(no_such_page)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(BodyTimeout(settings.body_timeout), body::whole))
        .layer(middleware::from_fn_with_state(metrics, observe::observe))
        .with_state(Arc::new(PublicState {
            publisher,
            credentials,
            keys,
            registrar,
            clients,
            lookup,
            queries,
            streams,
            verdicts,
        }));
    // A layer runs after routing, but a path has to be put in order before.
    let whole = Router::new().fallback_service(MapRequest::new(routes, path::canonical));
    cors::around(whole, &settings.cors_origins)
}
