//! `/metrics` for Prometheus and `/ready` for health checks, on a private listener of their own.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, http};
use serde::Serialize;

use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::publisher::Publisher;
use crate::store::StoreError;

use super::blocking::read;
use super::error::{Failure, method_not_allowed, no_such_page};
use super::reply;

#[derive(Clone, FromRef)]
struct MetricsState {
    metrics: Arc<Metrics>,
    publisher: Publisher,
}

/// The router of the metrics listener.
pub fn router(metrics: Arc<Metrics>, publisher: Publisher) -> Router {
    Router::new()
        .route("/metrics", get(exposition))
        .route("/ready", get(ready))
        .fallback(no_such_page)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(MetricsState { metrics, publisher })
}

/// The metrics. Without the database, only its gauges are missing.
async fn exposition(State(metrics): State<Arc<Metrics>>, State(publisher): State<Publisher>) -> Response {
    let now = publisher.moment().running;
    let counted = move |publisher: &Publisher| {
        publisher.store().read(|rows| Ok::<_, StoreError>((rows.counts()?, rows.count_overdue(now)?)))
    };
    let counts = read(&publisher, counted).await.ok();
    let gauge = |count: i64| u64::try_from(count).unwrap_or_default();
    let behind = publisher.machine_clock().err().map_or(0, |behind| behind.lag().as_secs());
    let is_ready = counts.is_some() && publisher.store().problem().is_none();
    let mut gauges = vec![
        ("txtgate_ready", "Whether changes can be stored: 1 or 0.", u64::from(is_ready)),
        ("txtgate_zones", "Zones served.", publisher.zones().load().len() as u64),
        (
            "txtgate_clock_behind_seconds",
            "The machine's clock behind the last change; above 0 nothing is signed.",
            behind,
        ),
    ];
    if let Some((counts, overdue)) = counts {
        gauges.push(("txtgate_accounts", "Accounts, disabled ones included.", gauge(counts.accounts)));
        gauges.push(("txtgate_values", "Stored TXT values.", gauge(counts.values)));
        let help = "Active accounts that have not renewed in their usual time.";
        gauges.push(("txtgate_accounts_overdue", help, overdue));
    }
    let headers = [
        (http::header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE)),
        (http::header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, metrics.render(&gauges)).into_response()
}

/// Whether updates would succeed.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    database: bool,
    zones: usize,
    problem: Option<String>,
}

/// 200 if the database is in place, can be read, and took the last change or heartbeat; otherwise 503 with the reason in
/// the body. Delegations are not checked: a health check must not
/// depend on the rest of the Internet.
async fn ready(State(publisher): State<Publisher>) -> Response {
    let zones = publisher.zones().load().len();
    let database = read(&publisher, database).await;
    let (status, problem) = match &database {
        Ok(()) if zones > 0 => (StatusCode::OK, None),
        Ok(()) => (StatusCode::SERVICE_UNAVAILABLE, Some("no zone is loaded".to_owned())),
        Err(Failure::Unavailable(reason)) => (StatusCode::SERVICE_UNAVAILABLE, Some(reason.to_string())),
        Err(Failure::Fault { reason, .. }) => (StatusCode::SERVICE_UNAVAILABLE, Some(reason.clone())),
        Err(other) => (StatusCode::SERVICE_UNAVAILABLE, Some(other.to_string())),
    };
    let is_ready = status == StatusCode::OK;
    let body = Readiness { ready: is_ready, database: database.is_ok(), zones, problem };
    let mut response = reply::json(status, &body);
    if !is_ready {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

/// Checks that the database can be read and written. Nothing is written for that, because a probe each second would be a
/// commit each second: the writer's heartbeat tells.
fn database(publisher: &Publisher) -> Result<(), StoreError> {
    let store = publisher.store();
    store.problem().map_or(Ok(()), Err)?;
    store.read(|rows| rows.newest()).map(drop)
}
