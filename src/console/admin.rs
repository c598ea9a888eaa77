//! The console's way to the admin API: the router in this process.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tower::ServiceExt;
use tracing::info;

use crate::api::types::failure::FailureReply;

use super::signed_in::SignedIn;

/// A request that the admin API has refused.
#[derive(Debug, Clone, Error)]
#[error("{message}")]
pub struct Refusal {
    pub status: StatusCode,
    /// The API's code, like `not_found`.
    pub code: String,
    /// What is wrong and what to do, in a sentence.
    pub message: String,
}

impl Refusal {
    /// A field of a form with a wrong value.
    pub fn of_field(field: &str, problem: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "bad_field".into(), message: format!("{field}: {problem}") }
    }

    fn fault(problem: &impl ToString) -> Self {
        let message = format!("the daemon's reply cannot be read: {}", problem.to_string());
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "internal_error".into(), message }
    }
}

/// Sends requests to the admin API for whoever is signed in.
#[derive(Debug, Clone)]
pub struct AdminClient(Router);

impl AdminClient {
    /// Sends requests to this router, which checks what the caller may do.
    pub fn new(router: Router) -> Self {
        Self(router)
    }

    /// Asks for what a path shows.
    pub async fn get<R: DeserializeOwned>(&self, who: &SignedIn, path: &str) -> Result<R, Refusal> {
        json(self.deliver(who, Method::GET, path, Body::empty()).await?).await
    }

    /// Sends a request with a body.
    pub async fn send<R: DeserializeOwned>(
        &self,
        who: &SignedIn,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<R, Refusal> {
        let body = serde_json::to_vec(body).map_err(|error| Refusal::fault(&error))?;
        json(self.deliver(who, method, path, Body::from(body)).await?).await
    }

    /// Sends a request without a body.
    pub async fn act<R: DeserializeOwned>(&self, who: &SignedIn, method: Method, path: &str) -> Result<R, Refusal> {
        json(self.deliver(who, method, path, Body::empty()).await?).await
    }

    /// Sends a request, and returns the reply as it comes, for replies that are streams.
    pub async fn deliver(&self, who: &SignedIn, method: Method, path: &str, body: Body) -> Result<Response, Refusal> {
        let is_change = method != Method::GET;
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .extension(who.actor())
            .extension(who.session.visitor.caller())
            .body(body)
            .map_err(|error| Refusal::fault(&error))?;
        // A router never fails: its errors are replies.
        let reply = self.0.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let status = reply.status();
        if is_change {
            info!(actor = %who.actor(), %method, path, status = status.as_u16(), "console request");
        }
        if status.is_success() { Ok(reply) } else { Err(refusal(reply).await) }
    }
}

async fn refusal(reply: Response) -> Refusal {
    let status = reply.status();
    let body = reply.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    match serde_json::from_slice::<FailureReply>(&body) {
        Ok(FailureReply { error, message, .. }) => {
            let message = message.unwrap_or_else(|| error.clone());
            Refusal { status, code: error, message }
        }
        Err(_) => Refusal { status, ..Refusal::fault(&format!("status {status}")) },
    }
}

async fn json<R: DeserializeOwned>(reply: Response) -> Result<R, Refusal> {
    let body = reply.into_body().collect().await.map_err(|error| Refusal::fault(&error))?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| Refusal::fault(&error))
}
