//! `/certificates`: the certificates that the daemon keeps for other programs.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::acme::revocation::RevocationReason;
use crate::certificates::{CertificateError, Certificates};
use crate::config::certificate::CertificateName;

use super::super::error::Failure;
use super::super::json_body::JsonBody;
use super::super::params::Params;
use super::super::reply;
use super::super::types::certificates::RevokeCertificate;
use super::super::types::list::List;
use super::running::running;

/// Lists all certificates by name.
pub async fn list(State(certificates): State<Option<Certificates>>) -> Result<Response, Failure> {
    let list = List::whole(running(&certificates)?.managed().list());
    Ok(reply::json(StatusCode::OK, &list))
}

/// Requests a certificate. The body is a `[[certificate]]` of the configuration, as JSON. With `?replace=true` it may take
/// names and settings from a certificate that is there.
pub async fn issue(
    State(certificates): State<Option<Certificates>>,
    params: Params,
    body: Bytes,
) -> Result<Response, Failure> {
    let managed = running(&certificates)?.managed();
    let value: serde_json::Value =
        serde_json::from_slice(&body).map_err(|error| Failure::Malformed(error.to_string()))?;
    let request = serde_json::from_value(value).map_err(|error| CertificateError::Invalid(error.to_string()))?;
    let may_replace = params.only(&["replace"])?.parsed("replace")?.unwrap_or(false);
    Ok(reply::json(StatusCode::OK, &managed.request(request, may_replace).await?))
}

/// Shows one certificate with the progress of its names.
pub async fn show(
    State(certificates): State<Option<Certificates>>,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let managed = running(&certificates)?.managed();
    Ok(reply::json(StatusCode::OK, &managed.show(&parsed(&name)?)?))
}

/// Gets another certificate now, or tries again what has failed.
pub async fn renew(
    State(certificates): State<Option<Certificates>>,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let managed = running(&certificates)?.managed();
    Ok(reply::json(StatusCode::OK, &managed.renew(&parsed(&name)?).await?))
}

/// Revokes a certificate.
pub async fn revoke(
    State(certificates): State<Option<Certificates>>,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<RevokeCertificate>,
) -> Result<Response, Failure> {
    let managed = running(&certificates)?.managed();
    let reason = request.reason.unwrap_or(RevocationReason::Unspecified);
    Ok(reply::json(StatusCode::OK, &managed.revoke(&parsed(&name)?, reason).await?))
}

/// Forgets a certificate that a command has requested, and deletes its files.
pub async fn delete(
    State(certificates): State<Option<Certificates>>,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let managed = running(&certificates)?.managed();
    Ok(reply::json(StatusCode::OK, &managed.delete(&parsed(&name)?).await?))
}

/// A text that cannot name a certificate names none.
fn parsed(name: &str) -> Result<CertificateName, CertificateError> {
    name.parse().map_err(|_| CertificateError::NotFound(name.to_owned()))
}
