//! Sends the operator's requests: through the Unix socket of the running daemon or, if no daemon runs, to the same router
//! in this process, on the store under its lock; or to a daemon elsewhere.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use axum::{Extension, Router};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::api::admin::{DaemonServices, Facts};
use crate::api::types::failure::{FailureReply, REPLACES};
use crate::api::types::server::ServerSettings;
use crate::config::Config;
use crate::daemon::{Services, record_database};
use crate::model::actor::Actor;

use super::error::{CliError, Result};
use super::output::tell;
use super::remote::Remote;
use super::target::Target;

/// A connection to the operator's router.
#[derive(Debug)]
pub struct Operator {
    runtime: Runtime,
    route: Route,
    /// Where the route leads, until a change was reported.
    place: RefCell<Option<String>>,
}

#[derive(Debug)]
enum Route {
    Socket(PathBuf),
    Services(Box<Services>, Router),
    Remote(Arc<Remote>),
}

impl Operator {
    /// Connects to the daemon or, if none listens on this machine, opens the store.
    pub fn connect(target: &Target) -> Result<Self> {
        let config = match target {
            Target::Local(config) => config,
            Target::Remote(remote) => return Self::of_remote(remote),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let route = match runtime.block_on(UnixStream::connect(&config.admin_socket)) {
            Ok(_) => return Ok(Self::over_socket(runtime, config)),
            Err(error) if nobody_listens(&error) => {
                let services = Services::open(config)?;
                let server = ServerSettings::of(config);
                let facts = Facts { started: None, listeners: Vec::new(), server };
                let router =
                    services.operator_router(facts, DaemonServices::default()).layer(Extension(Actor::COMMAND_LINE));
                Route::Services(Box::new(services), router)
            }
            Err(source) => return Err(CliError::NoDaemon { path: config.admin_socket.clone(), source }),
        };
        let database = absolute(&config.database);
        let place =
            format!("no daemon listens on {}; changed in the database {database}", absolute(&config.admin_socket));
        Ok(Self { runtime, route, place: RefCell::new(Some(place)) })
    }

    fn over_socket(runtime: Runtime, config: &Config) -> Self {
        // The daemon often may not write beside its configuration, and root may.
        record_database(config);
        let socket = absolute(&config.admin_socket);
        let place = format!("changed by the daemon on {socket}, of the configuration {}", absolute(&config.path));
        Self { runtime, route: Route::Socket(config.admin_socket.clone()), place: RefCell::new(Some(place)) }
    }

    fn of_remote(remote: &Arc<Remote>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let place = format!("changed by the daemon at {}", remote.url());
        Ok(Self { runtime, route: Route::Remote(remote.clone()), place: RefCell::new(Some(place)) })
    }

    /// Connects to the daemon, for commands that need a running one.
    pub fn of_daemon(target: &Target) -> Result<Self> {
        let config = match target {
            Target::Local(config) => config,
            Target::Remote(remote) => return Self::of_remote(remote),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let path = config.admin_socket.clone();
        runtime
            .block_on(UnixStream::connect(&path))
            .map_err(|source| CliError::NoDaemon { path: path.clone(), source })?;
        Ok(Self::over_socket(runtime, config))
    }

    /// The same, without a word about what is changed where.
    pub fn quietly(self) -> Self {
        self.place.take();
        self
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
        let is_change = request.method() != Method::GET;
        self.runtime.block_on(async {
            let reply = self.deliver(request).await?;
            if !reply.status().is_success() {
                return Err(refusal(reply).await);
            }
            if is_change {
                self.say_where();
            }
            json(reply).await
        })
    }

    /// Says once, and beside the output, what a command has changed: there may be several daemons and databases.
    fn say_where(&self) {
        if let Some(place) = self.place.take() {
            tell(&place);
        }
    }

    /// Sends a request and passes each line of the reply to `line` as it arrives, until the reply ends or `line` fails.
    pub fn follow(&self, path: &str, line: impl FnMut(&str) -> Result<()>) -> Result<()> {
        self.pass_lines(request(Method::GET, path, Body::empty())?, line)
    }

    /// Sends a request with many rows, and passes each line of the reply to `line`. Refused rows are
    /// [`CliError::Rows`].
    pub fn stream(&self, path: &str, body: Vec<u8>, line: impl FnMut(&str) -> Result<()>) -> Result<()> {
        self.pass_lines(request(Method::POST, path, Body::from(body))?, line)
    }

    fn pass_lines(&self, request: Request<Body>, mut line: impl FnMut(&str) -> Result<()>) -> Result<()> {
        self.runtime.block_on(async {
            let reply = self.deliver(request).await?;
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
            Route::Remote(remote) => remote.deliver(request).await,
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

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
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
    if failure.error == REPLACES {
        return CliError::Replaces(failure.message.unwrap_or_default());
    }
    if !failure.rows.is_empty() {
        return CliError::Rows(failure.rows);
    }
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
