//! Replies that go on until a channel closes: lines of JSON, and Server-Sent Events.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use hyper::body::Frame;
use tokio::sync::mpsc::Receiver;

/// The content type of lines of JSON.
pub const LINES: &str = "application/x-ndjson";
/// The content type of Server-Sent Events.
const EVENTS: &str = "text/event-stream";

/// A reply with a line for each text that arrives. Each text is JSON without a line break.
pub fn of_lines(lines: Receiver<String>) -> Response {
    reply(LINES, lines_body(lines))
}

/// A reply with the bytes of an event, or of a comment, for each item that arrives.
pub fn of_events<T, W>(events: Receiver<T>, write: W) -> Response
where
    T: Send + 'static,
    W: FnMut(T) -> Bytes + Send + Unpin + 'static,
{
    let mut response = reply(EVENTS, ChannelBody { items: events, write });
    // nginx collects a reply before it passes it on, unless told otherwise.
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

fn reply<B>(kind: &'static str, body: B) -> Response
where
    B: hyper::body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + 'static,
{
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The body of [`of_lines`].
pub(super) fn lines_body(
    lines: Receiver<String>,
) -> impl hyper::body::Body<Data = Bytes, Error = std::convert::Infallible> + Send {
    ChannelBody { items: lines, write: |line: String| Bytes::from(line + "\n") }
}

/// A body that ends when the channel closes.
struct ChannelBody<T, W> {
    items: Receiver<T>,
    write: W,
}

impl<T, W: FnMut(T) -> Bytes + Unpin> hyper::body::Body for ChannelBody<T, W> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let received = self.items.poll_recv(context);
        received.map(|item| item.map(|item| Ok(Frame::data((self.write)(item)))))
    }
}
