//! `/watch`: DNS queries as they come, one line of JSON each, until the client goes.
//!
//! The API knows nothing of DNS: whoever starts both gives the router a [`Watch`].

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

use super::{Failure, Params, who};

type Open = dyn Fn(Name) -> Option<Receiver<String>> + Send + Sync;

/// Opens a stream of the queries at a name and below it. Each text is a JSON object on one line, without the line's
/// end. The channel is bounded: whoever fills it drops what does not fit, and stops when it is closed. `None` where
/// enough streams are open already.
#[derive(Clone)]
pub struct Watch(Arc<Open>);

impl Watch {
    /// A hook to open streams with.
    pub fn new(open: impl Fn(Name) -> Option<Receiver<String>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

pub async fn watch(
    State(watch): State<Option<Watch>>,
    State(publisher): State<Publisher>,
    params: Params,
) -> Result<Response, Failure> {
    let Some(watch) = watch else {
        return Err(Failure::NotFound("there are no queries to watch: no daemon runs here".into()));
    };
    let name = watched(&publisher, params.text("name").unwrap_or(".")).await?;
    let lines = (watch.0)(name).ok_or_else(|| Failure::Conflict("enough are watching already".into()))?;
    let mut response = Response::new(Body::new(Lines(lines)));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// A registered subdomain's fulldomain; what has a dot is a name already, registered or not.
async fn watched(publisher: &Publisher, name: &str) -> Result<Name, Failure> {
    let name =
        if name.contains('.') { name.to_owned() } else { who::owner(publisher, name.to_owned()).await?.to_string() };
    name.parse().map_err(|error| Failure::field("bad_name", "name", error))
}

/// A body of lines, for tests of what carries it.
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
