//! `/acme/account`: the daemon's account with the CA.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::certificates::{CertificateError, Certificates};

use super::super::error::Failure;
use super::super::json_body::JsonBody;
use super::super::reply;
use super::super::types::acme::UpdateContact;
use super::running::running;

/// Shows the account as the CA sees it.
pub async fn account(State(certificates): State<Option<Certificates>>) -> Result<Response, Failure> {
    let report = running(&certificates)?.authority().report().await.map_err(CertificateError::from)?;
    Ok(reply::json(StatusCode::OK, &report))
}

/// Gives the account another key.
pub async fn rollover(State(certificates): State<Option<Certificates>>) -> Result<Response, Failure> {
    running(&certificates)?.authority().rollover().await.map_err(CertificateError::from)?;
    Ok(reply::json(StatusCode::OK, &()))
}

/// Gives up a key rollover that is pending.
pub async fn abandon_rollover(State(certificates): State<Option<Certificates>>) -> Result<Response, Failure> {
    let abandoned = running(&certificates)?.authority().abandon_rollover().await.map_err(CertificateError::from)?;
    Ok(reply::json(StatusCode::OK, &abandoned))
}

/// Deactivates the account for good.
pub async fn deactivate(State(certificates): State<Option<Certificates>>) -> Result<Response, Failure> {
    running(&certificates)?.authority().deactivate().await.map_err(CertificateError::from)?;
    Ok(reply::json(StatusCode::OK, &()))
}

/// Tells the CA other contacts.
pub async fn contact(
    State(certificates): State<Option<Certificates>>,
    JsonBody(request): JsonBody<UpdateContact>,
) -> Result<Response, Failure> {
    let authority = running(&certificates)?.authority();
    authority.update_contact(&request.contact).await.map_err(CertificateError::from)?;
    Ok(reply::json(StatusCode::OK, &()))
}
