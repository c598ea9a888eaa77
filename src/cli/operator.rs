//! Sends the operator's requests: through the Unix socket of the running daemon or, if no daemon runs, to the same router
//! in this process, on the store under its lock.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::api::admin::Facts;
use crate::api::types::failure::FailureReply;
use crate::config::Config;
use crate::daemon::Services;

use super::error::{CliError, Result};

/// A connection to the operator's router.
#[derive(Debug)]
pub struct Operator {
    runtime: Runtime,
    route: Route,
}

#[derive(Debug)]
enum Route {
    Socket(PathBuf),
    Services(Box<Services>, Router),
}

impl Operator {
    /// Connects to the daemon's socket or, if no daemon listens, opens the store.
    pub fn connect(config: &Config) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let route = match runtime.block_on(UnixStream::connect(&config.admin_socket)) {
            Ok(_) => Route::Socket(config.admin_socket.clone()),
            Err(error) if nobody_listens(&error) => {
                let services = Services::open(config)?;
                let facts = Facts { started: None, listeners: Vec::new() };
                let router = services.operator_router(facts, None, None);
                Route::Services(Box::new(services), router)
            }
            Err(source) => return Err(CliError::NoDaemon { path: config.admin_socket.clone(), source }),
        };
        Ok(Self { runtime, route })
    }

    /// Connects to the daemon's socket, for commands that need a running daemon.
    pub fn of_daemon(config: &Config) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let path = config.admin_socket.clone();
        runtime
            .block_on(UnixStream::connect(&path))
            .map_err(|source| CliError::NoDaemon { path: path.clone(), source })?;
        Ok(Self { runtime, route: Route::Socket(path) })
    }

    /// Sends a request without a body, and returns the reply. An error has the message of the refusal.
    pub fn ask<R: DeserializeOwned>(&self, method: Method, path: &str) -> Result<R> {
        self.exchange(request(method, path, Body::empty())?)
    }

    /// Sends a request with a body, and returns the reply. An error has the message of the refusal.
    pub fn send<R: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize) -> Result<R> {
        let body = serde_json::to_vec(body).map_err(|error| refused(&error))?;
        self.exchange(request(method, path, Body::from(body))?)
    }

    fn exchange<R: DeserializeOwned>(&self, request: Request<Body>) -> Result<R> {
        self.runtime.block_on(async {
            let reply = self.deliver(request).await?;
            if reply.status().is_success() { json(reply).await } else { Err(refusal(reply).await) }
        })
    }

    /// Sends a request and passes each line of the reply to `line` as it arrives, until the reply ends or `line` fails.
    pub fn follow(&self, path: &str, mut line: impl FnMut(&str) -> Result<()>) -> Result<()> {
        self.runtime.block_on(async {
            let reply = self.deliver(request(Method::GET, path, Body::empty())?).await?;
            if !reply.status().is_success() {
                return Err(refusal(reply).await);
            }
            let mut body = reply.into_body();
            let mut pending = Vec::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| refused(&error))?;
                pending.extend_from_slice(frame.data_ref().map(AsRef::as_ref).unwrap_or_default());
                while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
                    let whole: Vec<u8> = pending.drain(..=end).collect();
                    line(String::from_utf8_lossy(&whole).trim_end())?;
                }
            }
            Ok(())
        })
    }

    async fn deliver(&self, request: Request<Body>) -> Result<Response<Body>> {
        match &self.route {
            Route::Socket(path) => over_socket(path, request).await,
            // A router never fails: its errors are replies.
            Route::Services(_, router) => router.clone().oneshot(request).await.map_err(|never| match never {}),
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let nothing = Route::Socket(PathBuf::new());
        if let Route::Services(services, router) = std::mem::replace(&mut self.route, nothing) {
            drop(router);
            services.close();
        }
    }
}

async fn json<R: DeserializeOwned>(reply: Response<Body>) -> Result<R> {
    let bytes = reply.into_body().collect().await.map_err(|error| refused(&error))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| {
        refused(&format!(
            "the daemon's reply cannot be read: {error}; restart the daemon if it is of another version than this command"
        ))
    })
}

/// The message with which a request was refused.
async fn refusal(reply: Response<Body>) -> CliError {
    let status = reply.status();
    let failure: FailureReply = match json(reply).await {
        Ok(failure) => failure,
        Err(error) => return error,
    };
    let message = failure.message.unwrap_or(failure.error);
    // A bad request is an error in what was typed.
    if status == StatusCode::BAD_REQUEST { CliError::Usage(message) } else { CliError::Refused(message) }
}

fn nobody_listens(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

fn request(method: Method, path: &str, body: Body) -> Result<Request<Body>> {
    let request = Request::builder().method(method).uri(path).header("Host", "txtgate");
    request.body(body).map_err(|error| refused(&error))
}

async fn over_socket(path: &Path, request: Request<Body>) -> Result<Response<Body>> {
    let stream =
        UnixStream::connect(path).await.map_err(|source| CliError::NoDaemon { path: path.to_owned(), source })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| unanswered(&error))?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await.map_err(|error| unanswered(&error))?.map(Body::new))
}

fn unanswered(error: &hyper::Error) -> CliError {
    refused(&format!("the daemon did not answer: {error}"))
}

fn refused(error: &dyn std::fmt::Display) -> CliError {
    CliError::Refused(error.to_string())
}

/// Percent-encodes a text for a path segment or a query value (RFC 3986 section 2.1).
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
