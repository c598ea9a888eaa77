//! The HTTP API: the one of acme-dns, byte for byte where clients look; lego's `httpreq`; and the rest under `/v1`.
//!
//! [`router`] is what the public listeners serve, [`admin::router`] the operator's Unix socket, [`metrics::router`]
//! the loopback listener of Prometheus; [`http`] accepts connections for all of them.

mod account;
pub mod admin;
mod aliases;
mod auth;
mod body;
mod client_ip;
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
mod own;
mod path;
mod persist;
mod register;
mod reply;
mod rotate;
mod secrets;
mod storage;
mod subdomains;
#[cfg(test)]
mod tests;
pub mod types;
mod update;
mod values;
mod views;

use std::sync::Arc;

use axum::extract::FromRef;
use axum::routing::{delete, get, post};
use axum::{Router, middleware};
use tower::util::MapRequest;

use crate::api::credentials::Credentials;
use crate::config;
use crate::crypto::hasher::Hasher;
use crate::metrics::Metrics;
use crate::net::dns_client::DnsClient;
use crate::publisher::Publisher;

use client_ip::Clients;
use error::{method_not_allowed, no_such_page};
use register::Registrar;

/// What the endpoints work with. All of it goes with each request, as one reference; each takes the one or two that it
/// needs out of it.
type Shared = Arc<Handles>;

struct Handles {
    publisher: Publisher,
    credentials: Credentials,
    hasher: Hasher,
    registrar: Registrar,
    clients: Clients,
    lookup: DnsClient,
}

macro_rules! taken_out {
    ($($name:ident: $handle:ty),*) => {
        $(impl FromRef<Shared> for $handle {
            fn from_ref(handles: &Shared) -> Self {
                handles.$name.clone()
            }
        })*
    };
}
taken_out!(
    publisher: Publisher,
    credentials: Credentials,
    hasher: Hasher,
    registrar: Registrar,
    clients: Clients,
    lookup: DnsClient
);

/// The public API. Serve it with [`http::Server`], which names the peer of each request.
pub fn router(
    settings: &config::Api,
    publisher: Publisher,
    credentials: Credentials,
    hasher: Hasher,
    metrics: Arc<Metrics>,
    lookup: DnsClient,
) -> Router {
    let registrar = Registrar::new(&settings.registration, publisher.clone(), hasher.clone());
    let clients = Clients::new(&settings.trusted_proxies, settings.client_ip_header.as_deref());
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
        .route("/v1/txt", delete(values::retire))
        .route("/v1/persist", post(persist::publish).delete(persist::retire))
        .fallback(no_such_page)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(body::whole))
        .layer(middleware::from_fn_with_state(metrics, observe::observe))
        .with_state(Arc::new(Handles { publisher, credentials, hasher, registrar, clients, lookup }));
    // A layer runs after routing; a path must be put in order before.
    let whole = Router::new().fallback_service(MapRequest::new(routes, path::canonical));
    cors::around(whole, &settings.cors_origins)
}
