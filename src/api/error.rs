//! Failures: the only place that turns them into responses.

mod causes;

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use thiserror::Error;
use tracing::error;

use crate::delegation::propagation::TooManyWaits;
use crate::model::enrolment::Over;
use crate::model::name::Subdomain;
use crate::model::name::owner::OwnerText;
use crate::publisher::AccessError;
use crate::store::StoreError;

use super::types::bulk::{BulkRefusal, RowRefusal};
use super::types::served::ServedView;
use super::{reply, types};

/// When to retry after the store could not write.
const STORE_RETRY: Duration = Duration::from_secs(5);
/// When to retry a request that was one too many to wait for the nameservers.
const WAIT_RETRY: Duration = Duration::from_secs(5);

/// Why a request has failed. The text is the reply's `message`.
#[derive(Debug, Error)]
pub enum Failure {
    #[error("the body is not a JSON object: {0}")]
    Malformed(String),
    #[error("{message}")]
    Field { code: &'static str, field: &'static str, message: String },
    /// Of a request with many rows.
    #[error("{} rows are refused, and nothing was created", .0.len())]
    Rows(Vec<RowRefusal>),
    #[error("{0}")]
    Forbidden(&'static str),
    /// The account has no name like this.
    #[error("this account does not own that subdomain")]
    NotOwn(OwnerText),
    /// The token of the admin API is not good for that.
    #[error("{0}")]
    Scope(String),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Over(#[from] Over),
    #[error("an account can only narrow its own allowfrom, to networks within it; ask the operator to widen it")]
    Wider,
    #[error("{0}")]
    NotFound(String),
    #[error("this path does not accept this method; the header Allow lists those that it accepts")]
    MethodNotAllowed,
    #[error("{0}")]
    Conflict(String),
    /// A request would take something from a certificate that is there.
    #[error("{0}")]
    Replaces(String),
    #[error("the subdomain {0} is taken; choose another")]
    Taken(Subdomain),
    /// The refusal of a certificate authority, in its words.
    #[error("{0}")]
    Authority(String),
    #[error("the body has over {} KiB", limit / 1_024)]
    TooLarge { limit: usize },
    #[error("the request took too long to arrive")]
    Slow,
    #[error("too many attempts; try again in {} seconds", seconds(*retry_after))]
    TooOften { retry_after: Duration },
    #[error("the server is busy; try again in {} seconds", seconds(*retry_after))]
    Busy { retry_after: Duration },
    /// The request is one too many to wait for the nameservers.
    #[error("{}; try again in {} seconds, or without `wait`", .0, seconds(WAIT_RETRY))]
    TooManyWaits(#[from] TooManyWaits),
    /// The value is published, and not served by every nameserver.
    #[error("{}", .0.problem())]
    NotServed(Box<ServedView>),
    /// The store cannot write or read now. The details are for the log.
    #[error(
        "the server cannot store changes at the moment: {}; try again in {} seconds",
        .0.reason().unwrap_or("its log says why"), seconds(STORE_RETRY)
    )]
    Unavailable(StoreError),
    /// A fault of the server. Only the log has the reason.
    #[error("the server failed; its log says why")]
    Fault { code: &'static str, reason: String },
}

/// Whole seconds, rounded up: a retry that comes too early would fail again.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

impl Failure {
    /// A field with a wrong value; `message` says what to write instead.
    pub fn field(code: &'static str, field: &'static str, message: impl ToString) -> Self {
        Self::Field { code, field, message: message.to_string() }
    }

    /// The status, and acme-dns's code or, if acme-dns has none, one of our own.
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed_json_payload"),
            Self::Field { code, .. } => (StatusCode::BAD_REQUEST, code),
            Self::Rows(_) => (StatusCode::BAD_REQUEST, "rows_refused"),
            Self::Forbidden(_) | Self::NotOwn(_) | Self::Over(_) => (StatusCode::UNAUTHORIZED, "forbidden"),
            Self::Access(AccessError::NotOwner | AccessError::Disabled) => (StatusCode::UNAUTHORIZED, "forbidden"),
            Self::Access(AccessError::NoAccount) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Access(AccessError::NoZone(_)) => (StatusCode::BAD_REQUEST, "bad_zone"),
            Self::Scope(_) => (StatusCode::FORBIDDEN, "insufficient_scope"),
            Self::Wider => (StatusCode::FORBIDDEN, "allowfrom_can_only_narrow"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::Replaces(_) => (StatusCode::CONFLICT, types::failure::REPLACES),
            Self::Taken(_) => (StatusCode::CONFLICT, "subdomain_taken"),
            Self::Authority(_) => (StatusCode::BAD_GATEWAY, "acme"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Self::TooOften { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            Self::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::TooManyWaits(TooManyWaits::OfAccount) => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            Self::TooManyWaits(TooManyWaits::OfAll) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::NotServed(_) => (StatusCode::GATEWAY_TIMEOUT, "not_served"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "db_error"),
            Self::Fault { code, .. } => (StatusCode::INTERNAL_SERVER_ERROR, code),
        }
    }

    /// The field of the body that is wrong.
    fn wrong_field(&self) -> Option<&'static str> {
        match self {
            Self::Field { field, .. } => Some(field),
            Self::Access(AccessError::NoZone(_)) => Some("zone"),
            Self::Taken(_) => Some("subdomain"),
            _ => None,
        }
    }

    /// The failure as one of a row, from 1.
    pub fn of_row(&self, row: usize) -> RowRefusal {
        let field = self.wrong_field().map(str::to_owned);
        RowRefusal { row, field, error: self.kind().1.to_owned(), message: self.to_string() }
    }

    /// The failure as the last line of a reply that has begun.
    pub fn into_refusal(self) -> BulkRefusal {
        self.log();
        let (error, message) = (self.kind().1.to_owned(), self.to_string());
        let rows = if let Self::Rows(rows) = self { rows } else { Vec::new() };
        BulkRefusal { error, message, rows }
    }

    fn log(&self) {
        match self {
            Self::Fault { reason, .. } => error!("a request failed: {reason}"),
            Self::Unavailable(reason) => error!("a request failed for now: {reason}"),
            _ => {}
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooOften { retry_after } | Self::Busy { retry_after } => Some(*retry_after),
            Self::Unavailable(_) => Some(STORE_RETRY),
            Self::TooManyWaits(_) => Some(WAIT_RETRY),
            _ => None,
        }
    }

    /// `{"error": "...", "message": "..."}` with acme-dns's space after the colon; one line.
    fn body(&self, code: &str) -> String {
        let mut body = format!("{{\"error\": \"{code}\", \"message\": {}", reply::quoted(&self.to_string()));
        if let Some(field) = self.wrong_field() {
            body.push_str(&format!(", \"field\": \"{field}\""));
        }
        if let Self::Rows(rows) = self {
            body.push_str(&format!(", \"rows\": {}", serde_json::json!(rows)));
        }
        if let Self::NotServed(served) = self {
            body.push_str(&format!(", \"served\": {}", serde_json::json!(served)));
        }
        body.push('}');
        body
    }
}

/// An extension of replies whose request has failed by a fault of the server, whatever their status.
#[derive(Clone, Copy, Debug)]
pub struct ServerFault;

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.log();
        let (status, code) = self.kind();
        let mut response = reply::text(status, self.body(code));
        if let Some(wait) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait).max(1)));
        }
        if matches!(&self, Self::Unavailable(error) if !error.is_load()) {
            response.extensions_mut().insert(ServerFault);
        }
        if matches!(self, Self::Slow) {
            // The rest of the request may still arrive. It must not be read as the next request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The reply if no route has the path.
pub async fn no_such_page() -> Failure {
    Failure::NotFound("there is nothing at this path".into())
}

/// The reply if the route has other methods.
pub async fn method_not_allowed() -> Failure {
    Failure::MethodNotAllowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_times_are_rounded_up_and_never_zero() {
        for (wait, header) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2")] {
            let failure = Failure::TooOften { retry_after: Duration::from_millis(wait) };
            assert_eq!(failure.into_response().headers()["retry-after"], header);
        }
    }

    #[test]
    fn what_clients_send_is_escaped_and_what_failed_inside_stays_inside() {
        let failure = Failure::field("bad_txt", "txt", "found '\"\n'");
        assert_eq!(failure.body("bad_txt"), r#"{"error": "bad_txt", "message": "found '\"\n'", "field": "txt"}"#);
        let full: Failure = StoreError::Full("/var/lib".into()).into();
        let broken: Failure = StoreError::Corrupt("page 7".into()).into();
        assert!(!full.to_string().contains("/var") && !broken.to_string().contains("page 7"));
        for failure in [&full, &broken] {
            assert_eq!(failure.kind(), (StatusCode::SERVICE_UNAVAILABLE, "db_error"));
        }
        let ours: Failure = StoreError::Sqlite("no such column: x".into()).into();
        assert_eq!(ours.kind().0, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
