//! A stream that fails once nothing has moved on it for too long, in either direction.
//!
//! A limit for reading alone would close a connection whose client listens to a stream of events and has nothing to say.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A stream with a limit of idle time.
#[derive(Debug)]
pub struct IdleStream<S> {
    stream: S,
    limit: Duration,
    last_move: Instant,
    /// May be earlier than the limit asks for: it is moved when it has passed, rather than with each byte.
    alarm: Pin<Box<Sleep>>,
}

impl<S> IdleStream<S> {
    /// Limits how long nothing may move on `stream`.
    pub fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit, last_move: Instant::now(), alarm: Box::pin(sleep(limit)) }
    }

    /// Takes note of what moved, or fails where nothing has for too long.
    fn watched<T>(&mut self, context: &mut Context<'_>, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            self.last_move = Instant::now();
            return moved;
        }
        while self.alarm.as_mut().poll(context).is_ready() {
            let deadline = self.last_move + self.limit;
            if deadline <= Instant::now() {
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
            self.alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for IdleStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watched(context, moved)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for IdleStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, moved)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watched(context, moved)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // A flush and a shutdown move nothing by themselves: a stream that is flushed again and again is idle nevertheless.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Pending => self.watched(context, Poll::Pending),
            ready => ready,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(context) {
            Poll::Pending => self.watched(context, Poll::Pending),
            ready => ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    async fn read(stream: &mut IdleStream<DuplexStream>) -> Option<ErrorKind> {
        let mut byte = [0];
        let polled = poll_fn(|context| {
            let read = Pin::new(&mut *stream).poll_read(context, &mut ReadBuf::new(&mut byte));
            Poll::Ready(read)
        });
        match polled.await {
            Poll::Ready(Err(error)) => Some(error.kind()),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }

    /// As if the alarm had been set long ago.
    fn ring(stream: &mut IdleStream<DuplexStream>) {
        stream.alarm.as_mut().reset(Instant::now());
    }

    #[tokio::test]
    async fn a_silent_reader_lives_as_long_as_something_is_written() {
        let (near, _far) = duplex(1_024);
        let mut stream = IdleStream::new(near, LIMIT);
        stream.last_move -= LIMIT;
        stream.write_all(b"event").await.unwrap();
        ring(&mut stream);
        assert_eq!(read(&mut stream).await, None);
        stream.last_move -= LIMIT;
        assert_eq!(read(&mut stream).await, None, "the alarm was moved to where the limit ends");
        ring(&mut stream);
        assert_eq!(stream.read_u8().await.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (near, _far) = duplex(8);
        let mut stream = IdleStream::new(near, Duration::from_millis(1));
        assert_eq!(stream.write_all(&[0; 64]).await.unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
