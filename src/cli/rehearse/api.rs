//! The client's side of the HTTP API: publishes values as any ACME client does, over the daemon's own listener.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::api::types::accounts::AccountCredentials;
use crate::api::types::failure::FailureReply;
use crate::model::txt::TxtValue;
use crate::net::tls::presented::trusting_any;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A header of the PROXY protocol, version 2, with the command LOCAL: the proxy speaks for itself (section 2.2).
const PROXY_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

/// An API, and what its listener expects of its clients.
#[derive(Debug, Clone)]
pub struct Api {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Whether a connection must begin with a header of the PROXY protocol.
    pub wants_proxy_header: bool,
    /// The header in which a proxy would name the client, where the loopback is such a proxy.
    pub client_header: Option<String>,
}

/// Where the API listens.
#[derive(Debug, Clone)]
pub enum Endpoint {
    Tcp { address: SocketAddr, tls: bool },
    Unix(PathBuf),
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { address, tls } => write!(f, "{}://{address}", if *tls { "https" } else { "http" }),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The body of `POST /update`.
#[derive(Serialize)]
struct Update<'a> {
    subdomain: &'a str,
    txt: &'a str,
}

impl Api {
    /// Publishes a value. The error says what came back instead.
    pub async fn publish(&self, account: &AccountCredentials, txt: &TxtValue) -> Result<(), String> {
        let sent = timeout(PATIENCE, self.send(account, txt)).await;
        sent.unwrap_or_else(|_| Err(format!("no reply within {} s", PATIENCE.as_secs())))
    }

    async fn send(&self, account: &AccountCredentials, txt: &TxtValue) -> Result<(), String> {
        let body = Update { subdomain: &account.subdomain, txt: txt.as_str() };
        let body = serde_json::to_vec(&body).map_err(|error| error.to_string())?;
        let mut request = Request::post("/update")
            .header("Host", "txtgate")
            .header("Content-Type", "application/json")
            .header("X-Api-User", account.username.to_string())
            .header("X-Api-Key", account.password.as_str());
        if let Some(header) = &self.client_header {
            request = request.header(header, "127.0.0.1");
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| error.to_string())?;
        match &self.endpoint {
            Endpoint::Unix(path) => exchange(UnixStream::connect(path).await.map_err(words)?, request).await,
            Endpoint::Tcp { address, tls } => {
                let mut stream = TcpStream::connect(address).await.map_err(words)?;
                if self.wants_proxy_header {
                    stream.write_all(PROXY_LOCAL).await.map_err(words)?;
                }
                if !tls {
                    return exchange(stream, request).await;
                }
                // The daemon is on this machine, and the key that is sent to it is of an account that lives for seconds; the
                // certificate is of names that lead elsewhere, or self-signed.
                let connector = trusting_any().map_err(words)?;
                let name = ServerName::from(address.ip());
                exchange(connector.connect(name, stream).await.map_err(words)?, request).await
            }
        }
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
    let connection = tokio::spawn(connection);
    let reply = sender.send_request(request).await.map_err(words)?;
    let status = reply.status();
    let body = reply.into_body().collect().await.map_err(words)?.to_bytes();
    connection.abort();
    if status == StatusCode::OK {
        return Ok(());
    }
    let failure = serde_json::from_slice::<FailureReply>(&body).ok();
    let said = failure.map(|failure| failure.message.unwrap_or(failure.error)).unwrap_or_default();
    Err(format!("{status} {said}").trim_end().to_owned())
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
