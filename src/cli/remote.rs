//! The operator's API of a daemon elsewhere: HTTPS with a token.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, Uri, header};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::file::{self, Unread};
use crate::model::secret::PresentedSecret;
use crate::model::url::Url;
use crate::net::https;

use super::error::{CliError, Result};

/// The time limit of a connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A daemon elsewhere.
#[derive(Debug)]
pub struct Remote {
    url: Url,
    authorization: HeaderValue,
    client: Client<HttpsConnector<HttpConnector>, Body>,
}

impl Remote {
    /// The daemon at `url`, with the token in `token_file`. Trusts the system's authorities, and those of `ca_file`.
    pub fn new(url: &str, token_file: &Path, ca_file: Option<&Path>) -> Result<Self> {
        let url: Url = url.trim_end_matches('/').parse().map_err(|error| {
            CliError::Usage(format!(
                "--server: {error}; write the address of [admin], like https://auth.example.org:5391"
            ))
        })?;
        if url.uri().path() != "/" || url.uri().query().is_some() {
            return Err(CliError::Usage(format!("--server: {url} has a path; write scheme, host and port alone")));
        }
        Ok(Self { authorization: authorization(token_file)?, client: client(ca_file)?, url })
    }

    /// The daemon's address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Sends a request whose URI is a path.
    pub async fn deliver(&self, mut request: Request<Body>) -> Result<Response<Body>> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let uri: Uri =
            format!("{}{path}", self.url).parse().map_err(|_| self.unreachable("the path does not make a URL"))?;
        *request.uri_mut() = uri;
        request.headers_mut().remove(header::HOST);
        request.headers_mut().insert(header::AUTHORIZATION, self.authorization.clone());
        match self.client.request(request).await {
            Ok(reply) => Ok(reply.map(Body::new)),
            Err(error) => Err(self.unreachable(&chain(&error))),
        }
    }

    fn unreachable(&self, problem: &str) -> CliError {
        let advice = if problem.contains("UnknownIssuer") {
            "; name the certificate of its authority with --ca-file"
        } else if problem.contains("not valid for name") {
            "; write the name that its certificate is for"
        } else if problem.contains("refused") {
            "; look at `listen` in [admin] of its configuration, and at the firewall"
        } else {
            ""
        };
        CliError::Refused(format!("cannot ask {}: {problem}{advice}", self.url))
    }
}

/// An error with all of its causes: the outermost of hyper's says little.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn authorization(path: &Path) -> Result<HeaderValue> {
    let failed = |problem: String| CliError::Usage(format!("--token-file: {}: {problem}", path.display()));
    let text = file::private_text(path).map_err(|error| match error {
        Unread::NotPrivate(mode) => failed(format!("others can read the token (mode {mode:o}); run `chmod 600` on it")),
        Unread::File(error) => failed(error.to_string()),
    })?;
    let text = text.ok_or_else(|| failed("there is no such file; write the token into it, mode 0600".into()))?;
    let token = text.trim();
    let is_token = token.parse::<PresentedSecret>().is_ok() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let header = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| is_token);
    let mut header = header.ok_or_else(|| {
        failed("the file does not hold a token; write what `txtgate admin token create` prints as its only line".into())
    })?;
    header.set_sensitive(true);
    Ok(header)
}

fn client(ca_file: Option<&Path>) -> Result<Client<HttpsConnector<HttpConnector>, Body>> {
    let connector = https::connector(ca_file, CONNECT_TIMEOUT)
        .map_err(|problem| CliError::Usage(format!("--ca-file: {problem}")))?;
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

/// The options that name a daemon elsewhere.
#[derive(Debug, clap::Args)]
pub struct RemoteArgs {
    /// Ask the admin API of a daemon elsewhere, like https://auth.example.org:5391 (`listen` in its [admin])
    #[arg(long, value_name = "URL", requires = "token_file")]
    server: Option<String>,
    /// With --server: a file with the token that `txtgate admin token create` has printed there; mode 0600
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
    /// With --server: PEM of an authority to trust beside the system's
    #[arg(long, value_name = "FILE", requires = "server")]
    ca_file: Option<PathBuf>,
}

impl RemoteArgs {
    /// The daemon elsewhere; `None` without --server.
    pub fn remote(&self) -> Result<Option<Remote>> {
        let (Some(server), Some(token_file)) = (&self.server, &self.token_file) else { return Ok(None) };
        Remote::new(server, token_file, self.ca_file.as_deref()).map(Some)
    }
}
