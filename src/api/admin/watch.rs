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

use crate::name::Name;

use super::{Failure, Params};

type Open = dyn Fn(Option<Name>) -> Receiver<String> + Send + Sync;

/// Opens a stream of queries: all of them, or those at one name. Each text is a JSON object on one line, without the
/// line's end. The channel is bounded: whoever fills it drops what does not fit, and stops when it is closed.
#[derive(Clone)]
pub struct Watch(Arc<Open>);

impl Watch {
    /// A hook to open streams with.
    pub fn new(open: impl Fn(Option<Name>) -> Receiver<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

pub async fn watch(State(watch): State<Option<Watch>>, params: Params) -> Result<Response, Failure> {
    let Some(watch) = watch else {
        return Err(Failure::NotFound("there are no queries to watch: no daemon runs here".into()));
    };
    let wrong = |error| Failure::field("bad_name", "name", error);
    let name = params.text("name").map(|name| name.parse::<Name>()).transpose().map_err(wrong)?;
    let mut response = Response::new(Body::new(Lines((watch.0)(name))));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
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
