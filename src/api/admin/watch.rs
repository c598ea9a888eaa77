//! `/watch`: DNS messages as they arrive, one line of JSON each, until the client disconnects.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::Frame;
use tokio::sync::mpsc::Receiver;

use crate::model::name::Name;
use crate::publisher::Publisher;

use super::super::error::Failure;
use super::params::Params;
use super::who;

type OpenStream = dyn Fn(Name) -> Option<Receiver<String>> + Send + Sync;

/// Opens a stream of the messages about a name and the names below it. Each text is a JSON object without a line break.
/// The channel is bounded: the sender drops what does not fit, and stops when the channel is closed. `None` if the most
/// streams are open already.
#[derive(Clone)]
pub struct WatchHook(Arc<OpenStream>);

impl WatchHook {
    /// A hook to open streams with.
    pub fn new(open: impl Fn(Name) -> Option<Receiver<String>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }
}

impl fmt::Debug for WatchHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

pub async fn watch(
    State(watch): State<Option<WatchHook>>,
    State(publisher): State<Publisher>,
    params: Params,
) -> Result<Response, Failure> {
    let Some(watch) = watch else {
        return Err(Failure::NotFound(
            "there are no queries to watch: no daemon runs; start it with `txtgate serve`".into(),
        ));
    };
    let name = watched(&publisher, params.text("name").unwrap_or(".")).await?;
    let lines = (watch.0)(name)
        .ok_or_else(|| Failure::Conflict("the most watches are open already; end one of them first".into()))?;
    let mut response = Response::new(Body::new(Lines(lines)));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// The name to watch: the fulldomain of a registered subdomain, or any name with a dot, registered or not.
async fn watched(publisher: &Publisher, name: &str) -> Result<Name, Failure> {
    let name =
        if name.contains('.') { name.to_owned() } else { who::owner(publisher, name.to_owned()).await?.to_string() };
    name.parse().map_err(|error| Failure::field("bad_name", "name", error))
}

/// A body of lines, for tests of the HTTP server.
#[cfg(test)]
pub fn lines(lines: Receiver<String>) -> impl hyper::body::Body<Data = Bytes, Error = std::convert::Infallible> {
    Lines(lines)
}

/// A body that ends when the channel closes.
struct Lines(Receiver<String>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(Bytes::from(line + "\n")))))
    }
}
