//! `/certificates`: the certificates that the daemon keeps for other programs.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;

use super::super::fields::Fields;
use super::acme::answered;
use super::{Acme, Ask, Failure};

pub async fn list(State(acme): State<Option<Acme>>) -> Result<Response, Failure> {
    answered(acme, Ask::List).await
}

/// The body is what stands in a `[[certificate]]`, as JSON.
pub async fn issue(State(acme): State<Option<Acme>>, body: Bytes) -> Result<Response, Failure> {
    let wanted = serde_json::from_slice(&body).map_err(|error| Failure::Malformed(error.to_string()))?;
    answered(acme, Ask::Issue(wanted)).await
}

pub async fn show(State(acme): State<Option<Acme>>, Path(name): Path<String>) -> Result<Response, Failure> {
    answered(acme, Ask::Show(name)).await
}

pub async fn renew(State(acme): State<Option<Acme>>, Path(name): Path<String>) -> Result<Response, Failure> {
    answered(acme, Ask::Renew(name)).await
}

pub async fn revoke(
    State(acme): State<Option<Acme>>,
    Path(name): Path<String>,
    fields: Fields,
) -> Result<Response, Failure> {
    let reason = fields.parsed("reason", "bad_reason")?;
    answered(acme, Ask::Revoke(name, reason)).await
}

pub async fn delete(State(acme): State<Option<Acme>>, Path(name): Path<String>) -> Result<Response, Failure> {
    answered(acme, Ask::Delete(name)).await
}
