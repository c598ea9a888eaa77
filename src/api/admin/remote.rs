//! The operator's API over the network: the same routes as the Unix socket has, for requests with a token.
//!
//! A request is admitted before its body is read. Each request is in the log with its token, address and operation.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use http_body_util::BodyExt;
use tokio::sync::mpsc::channel;
use tokio::time::interval;
use tracing::{debug, info, warn};

use crate::model::actor::Actor;
use crate::model::admin_token::AdminToken;
use crate::model::prefix::Prefix;
use crate::model::secret::{PresentedSecret, SecretHash};
use crate::net::rate_limiter::RateLimiter;
use crate::publisher::Publisher;

use super::super::authorization::bearer;
use super::super::blocking::read;
use super::super::body;
use super::super::error::Failure;
use super::super::peer::Peer;
use super::super::secrets::WRONG_SECRETS;
use super::super::stream;
use super::scope::permitted;

/// The routes whose replies may go on for as long as the client likes.
const STREAMS: [&str; 2] = ["/watch", "/queries"];
/// How often a reply that goes on looks whether its token still works.
const RECHECK: Duration = Duration::from_secs(1);

/// Admits requests with valid tokens.
#[derive(Clone)]
struct Gate {
    publisher: Publisher,
    /// Slows down guessing.
    wrong: Arc<RateLimiter<Prefix>>,
}

/// The router for requests over the network.
pub fn guarded(router: Router, publisher: Publisher) -> Router {
    let gate = Gate { publisher, wrong: Arc::new(RateLimiter::new(WRONG_SECRETS)) };
    router.layer(middleware::from_fn_with_state(gate, admit))
}

async fn admit(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    // The socket of this listener is TCP. Anything else would have no address to limit by.
    let Some(Peer::Tcp(peer)) = request.extensions().get::<Peer>().copied() else {
        return Failure::Forbidden("this listener takes requests over TCP").into_response();
    };
    let client = peer.ip().to_canonical();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let presented = bearer(request.headers()).and_then(|text| text.parse().ok());
    let admitted = match gate.admitted(presented, client).await {
        Ok(admitted) => admitted,
        // One line for each would let a stranger fill the log.
        Err(failure @ Failure::TooOften { .. }) => {
            debug!(%client, %method, route, "admin request refused: {failure}");
            return refused(request, failure).await;
        }
        Err(failure) => {
            warn!(%client, %method, route, "admin request refused: {failure}");
            return refused(request, failure).await;
        }
    };
    let actor = Actor::remote_operator(client, admitted.token.id);
    if let Err(failure) = permitted(admitted.token.terms.scope, &request) {
        warn!(%actor, %method, route, "admin request refused: {failure}");
        return refused(request, failure).await;
    }
    // A path that is none of ours may hold a secret that is meant for the public API.
    let path = if route == "none" { route.clone() } else { request.uri().path().to_owned() };
    request.extensions_mut().insert(actor);
    let response = next.run(request).await;
    info!(%actor, %method, path, status = response.status().as_u16(), "admin request");
    let is_stream = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == stream::LINES);
    if is_stream && STREAMS.contains(&route.as_str()) {
        return while_valid(gate, admitted, response.into_body());
    }
    response
}

/// A valid token, and what shows whether it still is.
struct Admitted {
    token: AdminToken,
    hash: SecretHash,
    client: IpAddr,
}

impl Gate {
    async fn admitted(&self, presented: Option<PresentedSecret>, client: IpAddr) -> Result<Admitted, Failure> {
        let prefix = Prefix::of(client);
        let wait = self.wrong.try_now(&prefix, Instant::now());
        wait.map_err(|retry_after| Failure::TooOften { retry_after })?;
        let Some(presented) = presented else {
            self.wrong.failed(&prefix, Instant::now());
            return Err(Failure::Forbidden("a token is missing: send `Authorization: Bearer TOKEN`"));
        };
        let hash = presented.hash();
        let Some(token) = self.valid(&hash, client).await? else {
            self.wrong.failed(&prefix, Instant::now());
            // A stranger hears the same of tokens that never were, have ended, or belong elsewhere.
            return Err(Failure::Forbidden(
                "the token is unknown, has expired or been revoked, or may not be used from this address",
            ));
        };
        Ok(Admitted { token, hash, client })
    }

    async fn valid(&self, hash: &SecretHash, client: IpAddr) -> Result<Option<AdminToken>, Failure> {
        let hash = hash.clone();
        let found = read(&self.publisher, move |publisher| publisher.admin_token_of(&hash)).await?;
        let now = self.publisher.moment().running;
        Ok(found.filter(|token| !token.is_expired(now) && token.allows_from(client)))
    }
}

/// The lines of a body, until the token ends.
fn while_valid(gate: Gate, admitted: Admitted, mut body: Body) -> Response {
    let (lines, reader) = channel(1);
    tokio::spawn(async move {
        let mut checks = interval(RECHECK);
        loop {
            tokio::select! {
                frame = body.frame() => {
                    let Some(Ok(frame)) = frame else { return };
                    let line = String::from_utf8_lossy(frame.data_ref().map(AsRef::as_ref).unwrap_or_default());
                    if lines.send(line.trim_end().to_owned()).await.is_err() {
                        return;
                    }
                }
                _ = checks.tick() => {
                    let is_over = admitted.token.is_expired(gate.publisher.moment().running);
                    // A store that cannot be read says nothing of the token.
                    if is_over || matches!(gate.valid(&admitted.hash, admitted.client).await, Ok(None)) {
                        return;
                    }
                }
                () = lines.closed() => return,
            }
        }
    });
    stream::of_lines(reader)
}

/// Reads what is left of the request, so that the reply is not lost, and refuses.
async fn refused(request: Request, failure: Failure) -> Response {
    body::discard(request.into_body()).await;
    let mut response = failure.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
