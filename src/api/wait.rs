//! `?wait=served`: a reply only when every nameserver of the delegation serves what was published.

use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use serde::Deserialize;
use tracing::{debug, info};

use crate::delegation::propagation::evidence::Evidence;
use crate::delegation::propagation::wanted::{Rules, Wanted};
use crate::delegation::propagation::{Propagation, WaitPermit};
use crate::model::account::Username;
use crate::model::name::Owner;
use crate::model::time::Span;

use super::error::Failure;
use super::types::served::ServedView;

/// The header of replies that have waited: how many addresses serve the value. A server that does not know the parameter
/// ignores it, and its reply lacks the header.
pub const SERVED_HEADER: HeaderName = HeaderName::from_static("txtgate-served");

/// What a request wants to wait for.
#[derive(Debug)]
pub struct WaitFor(Option<Requested>);

#[derive(Debug)]
struct Requested {
    propagation: Propagation,
    limit: Duration,
}

#[derive(Deserialize)]
struct WaitParams {
    wait: Option<String>,
    timeout: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for WaitFor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        // Other parameters are none of ours, and a query that does not read asks for nothing, as in acme-dns.
        let Ok(Query(WaitParams { wait: Some(wait), timeout })) = Query::try_from_uri(&parts.uri) else {
            return Ok(Self(None));
        };
        if wait != "served" {
            let message =
                format!("{:?} cannot be waited for; write `wait=served`", wait.chars().take(40).collect::<String>());
            return Err(Failure::field("bad_parameter", "wait", message));
        }
        let Some(propagation) = parts.extensions.get::<Propagation>().cloned() else {
            let message = "no daemon runs that could ask the nameservers; start it with `txtgate serve`";
            return Err(Failure::NotFound(message.into()));
        };
        let limit = timeout.map_or(Ok(propagation.limit()), |text| timeout_of(&text, propagation.limit()))?;
        Ok(Self(Some(Requested { propagation, limit })))
    }
}

fn timeout_of(text: &str, most: Duration) -> Result<Duration, Failure> {
    let wrong = |problem: String| Failure::field("bad_parameter", "timeout", problem);
    let Span(timeout) = text.parse().map_err(|error| wrong(format!("{error}")))?;
    if timeout.is_zero() || timeout > most {
        let most = most.as_secs();
        return Err(wrong(format!(
            "found {}s; write 1s to {most}s, which is `wait-limit` of the server",
            timeout.as_secs()
        )));
    }
    Ok(timeout)
}

/// The right to wait after the publication.
#[derive(Debug)]
pub struct Waiting(Option<(Requested, WaitPermit)>);

impl WaitFor {
    /// Takes a place among those who wait; to be done before anything is published. `None` is the operator.
    pub fn permit(self, account: Option<Username>) -> Result<Waiting, Failure> {
        let Some(requested) = self.0 else { return Ok(Waiting(None)) };
        let permit = requested.propagation.permit(account)?;
        Ok(Waiting(Some((requested, permit))))
    }
}

impl Waiting {
    /// Waits until every nameserver serves a value at an owner. `None` if the request does not wait; the failure has what
    /// the nameservers serve instead.
    pub async fn until_served(self, owner: &Owner, value: impl ToString) -> Result<Option<ServedView>, Failure> {
        let Some((Requested { propagation, limit }, permit)) = self.0 else { return Ok(None) };
        let wanted = Wanted::new(owner, vec![value.to_string()], Rules::EveryAddress)
            .map_err(|error| Failure::Fault { code: "internal_error", reason: format!("{owner}: {error}") })?;
        let evidence = propagation.wait(&permit, wanted, limit).await;
        let view = ServedView::from(&evidence);
        log(owner, &evidence, &view);
        if view.served { Ok(Some(view)) } else { Err(Failure::NotServed(Box::new(view))) }
    }
}

fn log(owner: &Owner, evidence: &Evidence, view: &ServedView) {
    if view.served {
        let waited_ms = evidence.waited.as_millis();
        debug!(%owner, waited_ms, addresses = view.addresses.len(), "every nameserver serves the value");
    } else {
        info!(%owner, "{}", view.problem());
    }
}

/// Marks a reply as one that has waited.
pub fn marked(mut response: Response, served: Option<&ServedView>) -> Response {
    if let Some(served) = served {
        response.headers_mut().insert(SERVED_HEADER, HeaderValue::from(served.addresses.len()));
    }
    response
}
