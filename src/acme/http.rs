//! HTTP to a CA: one request, one reply of bounded size and time. No redirects: the directory names every address.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, LINK, LOCATION, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::ring;
use tracing::debug;

use crate::model::url::Url;
use crate::net::roots;

use super::error::{AcmeError, Result};
use super::problem::Problem;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a reply may take, its body included.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a reply. The longest chains have some 10 KiB.
pub const MAX_REPLY: usize = 1 << 20;
/// The longest time to wait that is believed.
const MAX_WAIT: Duration = Duration::from_secs(7 * 86_400);
/// Every request names its software (RFC 8555 section 6.1).
const AGENT: &str = concat!("txtgate/", env!("CARGO_PKG_VERSION"));

/// A client; cheap to clone.
#[derive(Clone, Debug)]
pub struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// From where.
    pub url: Url,
    /// The status.
    pub status: StatusCode,
    headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Http {
    /// A client that trusts the system's authorities, and those of a PEM file.
    pub fn new(extra_roots: Option<&Path>) -> Result<Self> {
        let setup = |error: &dyn std::fmt::Display| AcmeError::Setup(error.to_string());
        let roots = roots::store(extra_roots).map_err(AcmeError::Setup)?;
        // The provider is named: a process-wide default could be another one, or none.
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| setup(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        // Plain HTTP only ever reaches this machine: `Url` sees to that.
        let https = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
        let client =
            Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(https.wrap_connector(tcp));
        Ok(Self(client))
    }

    /// GET (the directory and renewal information, the only unsigned ones) of at most so many bytes.
    pub async fn get(&self, url: &Url, most: usize) -> Result<Reply> {
        self.send(url, Method::GET, Bytes::new(), most).await
    }

    /// HEAD, for a nonce (RFC 8555 section 7.2).
    pub async fn head(&self, url: &Url) -> Result<Reply> {
        self.send(url, Method::HEAD, Bytes::new(), MAX_REPLY).await
    }

    /// POST of a JWS.
    pub async fn post(&self, url: &Url, jws: String) -> Result<Reply> {
        self.send(url, Method::POST, jws.into(), MAX_REPLY).await
    }

    async fn send(&self, url: &Url, method: Method, body: Bytes, most: usize) -> Result<Reply> {
        let unreachable = |reason: String| AcmeError::Unreachable { url: url.clone(), reason };
        let mut request = Request::builder().method(&method).uri(url.uri()).header(USER_AGENT, AGENT);
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/jose+json");
        }
        let request = request.body(Full::new(body)).map_err(|error| unreachable(error.to_string()))?;
        let exchange = async {
            let (head, body) = self.0.request(request).await.map_err(|error| unreachable(chain(&error)))?.into_parts();
            let body = Limited::new(body, most).collect().await.map_err(|error| unreachable(chain(&*error)))?;
            Ok(Reply { url: url.clone(), status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        let late = |_| unreachable(format!("no reply within {} seconds", PATIENCE.as_secs()));
        let reply: Result<Reply> = tokio::time::timeout(PATIENCE, exchange).await.map_err(late)?;
        if let Ok(reply) = &reply {
            debug!(%method, %url, status = reply.status.as_u16(), "the CA answered");
        }
        reply
    }
}

impl Reply {
    fn header(&self, name: impl hyper::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The nonce for a later request.
    pub fn nonce(&self) -> Option<&str> {
        let is_base64url = |nonce: &&str| nonce.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        self.header("replay-nonce").filter(is_base64url)
    }

    /// The new resource's address.
    pub fn location(&self) -> Result<Url> {
        let location = self.header(LOCATION).ok_or_else(|| self.unlike("it has no Location"))?;
        location.parse().map_err(|error| self.unlike(format!("Location: {error}")))
    }

    /// The addresses of a relation like `alternate` (RFC 8288).
    pub fn links(&self, relation: &str) -> Vec<Url> {
        let values = self.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
        let links = values.flat_map(|value| value.split(',')).filter_map(|link| {
            let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            let rel = parameters.split(';').filter_map(|parameter| parameter.trim().split_once('='));
            let is_wanted = rel.into_iter().any(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel") && value.trim_matches(['"', ' ']) == relation
            });
            is_wanted.then(|| target.parse().ok()).flatten()
        });
        links.collect()
    }

    /// When to come back: seconds, or a date (RFC 9110 section 10.2.3); at most a week.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header(RETRY_AFTER)?;
        let at = |date: SystemTime| date.duration_since(SystemTime::now()).unwrap_or_default();
        let wait = text.parse().map(Duration::from_secs).ok();
        wait.or_else(|| httpdate::parse_http_date(text).ok().map(at)).map(|wait| wait.min(MAX_WAIT))
    }

    /// The body's JSON, of a success; else the CA's problem.
    pub fn json<T: DeserializeOwned>(self) -> Result<T> {
        let reply = self.success()?;
        serde_json::from_slice(&reply.body).map_err(|error| reply.unlike(error.to_string()))
    }

    /// This reply where it is a success; else the CA's problem, or what there is instead of one.
    pub fn success(self) -> Result<Self> {
        if self.status.is_success() {
            return Ok(self);
        }
        let retry_after = self.retry_after();
        match self.problem() {
            Some(problem) => Err(AcmeError::Refused { problem: problem.into(), retry_after }),
            None if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                let problem = Problem { status: Some(self.status.as_u16()), ..Problem::default() };
                Err(AcmeError::Refused { problem: problem.into(), retry_after })
            }
            None => Err(self.unlike(format!("{} without a problem document", self.status))),
        }
    }

    /// The problem that it tells, if it does.
    pub fn problem(&self) -> Option<Problem> {
        let mut problem: Problem = serde_json::from_slice(&self.body).ok()?;
        problem.status = Some(self.status.as_u16());
        (!self.status.is_success() && (problem.kind.is_some() || problem.detail.is_some())).then_some(problem)
    }

    /// An error about this reply.
    pub fn unlike(&self, reason: impl Into<String>) -> AcmeError {
        AcmeError::NotAcme { url: self.url.clone(), reason: reason.into() }
    }
}

/// An error with all of its causes: hyper's own sentence never says which it was.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
