//! HTTP to a CA: one request and one reply of bounded size and time. Redirects are not followed: the directory names every
//! URL.

use std::path::Path;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, DATE, HeaderMap, LINK, LOCATION, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;
use tracing::debug;

use crate::model::url::Url;
use crate::net::https;

use super::error::{AcmeError, Result};
use super::problem::Problem;

/// The time limit of a connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit of an exchange, including the body of the reply.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(60);
/// The most bytes of a reply. The longest certificate chains have some 10 KiB.
pub const MAX_REPLY: usize = 1 << 20;
/// The longest `Retry-After` that is respected.
const MAX_WAIT: Duration = Duration::from_secs(7 * 86_400);
/// Every request names its software (RFC 8555 section 6.1).
const AGENT: &str = concat!("txtgate/", env!("CARGO_PKG_VERSION"));

/// An HTTPS client. A cheap handle.
#[derive(Clone, Debug)]
pub struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// The reply of a CA.
#[derive(Debug)]
pub struct AcmeReply {
    url: Url,
    status: StatusCode,
    headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl HttpClient {
    /// A client that trusts the system's authorities, and those of the PEM file `extra_roots`.
    pub fn new(extra_roots: Option<&Path>) -> Result<Self> {
        let connector = https::connector(extra_roots, CONNECT_TIMEOUT).map_err(AcmeError::Setup)?;
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Ok(Self(client))
    }

    /// GET of at most `max_bytes`: for the directory and for renewal information, the only unsigned requests.
    pub async fn get(&self, url: &Url, max_bytes: usize) -> Result<AcmeReply> {
        self.send(url, Method::GET, Bytes::new(), max_bytes).await
    }

    /// HEAD, which fetches a nonce (RFC 8555 section 7.2).
    pub async fn head(&self, url: &Url) -> Result<AcmeReply> {
        self.send(url, Method::HEAD, Bytes::new(), MAX_REPLY).await
    }

    /// POST of a JWS.
    pub async fn post(&self, url: &Url, jws: String) -> Result<AcmeReply> {
        self.send(url, Method::POST, jws.into(), MAX_REPLY).await
    }

    async fn send(&self, url: &Url, method: Method, body: Bytes, max_bytes: usize) -> Result<AcmeReply> {
        let mut request = Request::builder().method(&method).uri(url.uri()).header(USER_AGENT, AGENT);
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/jose+json");
        }
        let request = request.body(Full::new(body)).map_err(|error| unreachable(url, error.to_string()))?;
        let reply = match tokio::time::timeout(EXCHANGE_TIMEOUT, self.exchange(url, request, max_bytes)).await {
            Ok(outcome) => outcome?,
            Err(_) => {
                let seconds = EXCHANGE_TIMEOUT.as_secs();
                return Err(unreachable(url, format!("no reply within {seconds} seconds")));
            }
        };
        debug!(%method, %url, status = reply.status.as_u16(), "the CA answered");
        Ok(reply)
    }

    async fn exchange(&self, url: &Url, request: Request<Full<Bytes>>, max_bytes: usize) -> Result<AcmeReply> {
        let response = self.0.request(request).await.map_err(|error| unreachable(url, chain(&error)))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, max_bytes).collect().await.map_err(|error| unreachable(url, chain(&*error)))?;
        Ok(AcmeReply { url: url.clone(), status: head.status, headers: head.headers, body: body.to_bytes() })
    }
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

impl AcmeReply {
    fn header(&self, name: impl hyper::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The nonce for the next request.
    pub fn nonce(&self) -> Option<&str> {
        self.header("replay-nonce").filter(|nonce| nonce.bytes().all(is_base64url))
    }

    /// The server's clock when it replied (RFC 9110 section 6.6.1).
    pub fn date(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(self.header(DATE)?).ok()
    }

    /// The URL of the resource that the request has created.
    pub fn location(&self) -> Result<Url> {
        let location = self.header(LOCATION).ok_or_else(|| self.malformed("it has no Location"))?;
        location.parse().map_err(|error| self.malformed(format!("Location: {error}")))
    }

    /// The URLs of a link relation such as `alternate` (RFC 8288).
    pub fn links(&self, relation: &str) -> Vec<Url> {
        let values = self.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).filter_map(|link| link_target(link, relation)).collect()
    }

    /// How long the CA asks to wait, in seconds or by a date (RFC 9110 section 10.2.3); at most a week.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header(RETRY_AFTER)?;
        let wait = match text.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let date = httpdate::parse_http_date(text).ok()?;
                date.duration_since(SystemTime::now()).unwrap_or_default()
            }
        };
        Some(wait.min(MAX_WAIT))
    }

    /// Parses the body of a success; otherwise returns the CA's problem as an error.
    pub fn json<T: DeserializeOwned>(self) -> Result<T> {
        let reply = self.success()?;
        serde_json::from_slice(&reply.body).map_err(|error| reply.malformed(error.to_string()))
    }

    /// Returns a success; otherwise the CA's problem as an error.
    pub fn success(self) -> Result<Self> {
        if self.status.is_success() {
            return Ok(self);
        }
        let retry_after = self.retry_after();
        match self.problem() {
            // The terms of service have changed (RFC 8555 section 7.3.3).
            Some(mut problem) if problem.is("userActionRequired") && problem.instance.is_none() => {
                problem.instance = self.links("terms-of-service").first().map(ToString::to_string);
                Err(AcmeError::Refused { problem: problem.into(), retry_after })
            }
            Some(problem) => Err(AcmeError::Refused { problem: problem.into(), retry_after }),
            None if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                let problem = Problem { status: Some(self.status.as_u16()), ..Problem::default() };
                Err(AcmeError::Refused { problem: problem.into(), retry_after })
            }
            None => Err(self.malformed(format!("{} without a problem document", self.status))),
        }
    }

    /// The problem document of a refusal.
    pub fn problem(&self) -> Option<Problem> {
        let mut problem: Problem = serde_json::from_slice(&self.body).ok()?;
        problem.status = Some(self.status.as_u16());
        (!self.status.is_success() && (problem.kind.is_some() || problem.detail.is_some())).then_some(problem)
    }

    /// The error that this reply does not follow the protocol.
    pub fn malformed(&self, reason: impl Into<String>) -> AcmeError {
        AcmeError::NotAcme { url: self.url.clone(), status: self.status.as_u16(), reason: reason.into() }
    }
}

fn unreachable(url: &Url, reason: String) -> AcmeError {
    AcmeError::Unreachable { url: url.clone(), reason }
}

/// The target of one link of a `Link` header, if it has the relation.
fn link_target(link: &str, relation: &str) -> Option<Url> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let mut parameters = parameters.split(';').filter_map(|parameter| parameter.trim().split_once('='));
    let is_wanted = parameters
        .any(|(name, value)| name.trim().eq_ignore_ascii_case("rel") && value.trim_matches(['"', ' ']) == relation);
    if is_wanted { target.parse().ok() } else { None }
}

/// An error with all its causes: hyper's own message does not include them.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
