//! Replies that are streams of lines.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::Frame;
use tokio::sync::mpsc::Receiver;

/// The content type of lines of JSON.
pub const LINES: &str = "application/x-ndjson";

/// A reply with a line for each text that arrives, until the channel closes. Each text is JSON without a line break.
pub fn of_lines(lines: Receiver<String>) -> Response {
    let mut response = Response::new(Body::new(Lines(lines)));
    let kind = HeaderValue::from_static(LINES);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
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
