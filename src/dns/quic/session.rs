//! One QUIC connection: the handshake, and a stream for each query (RFC 9250 section 4.2).

use quinn::{Connecting, Connection, ReadToEndError, RecvStream, SendStream, VarInt, WriteError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

use crate::net::connections::ConnectionPermit;

use super::super::listener::stopped;
use super::super::question;
use super::super::responder::{Outcome, Responder};
use super::super::source::{MessageSource, Transport};
use super::super::tcp::{ConnectionHandler, LAST_CALL, MAX_QUERY, StreamTimeouts};
use super::super::tls::HANDSHAKE;
use super::super::wire::HEADER;

/// The error code with which a connection or a stream ends (RFC 9250 section 4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DoqError {
    /// The connection was idle for too long, or the daemon stops.
    NoError = 0,
    /// The query gets no answer.
    InternalError = 1,
    /// The client violates RFC 9250.
    ProtocolError = 2,
    /// The connection must make room for others, or the client does not read its answers.
    ExcessiveLoad = 4,
}

impl DoqError {
    fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }
}

/// Serves a connection until it closes, is idle for too long, violates the protocol, or must make room for others.
pub async fn serve_connection(connecting: Connecting, handler: ConnectionHandler, permit: &ConnectionPermit) {
    let peer = connecting.remote_address();
    let ConnectionHandler { responder, timeouts, mut shutdown } = handler;
    let handshake = tokio::select! {
        done = timeout(HANDSHAKE, connecting) => done,
        () = permit.evicted() => return,
        () = stopped(&mut shutdown) => return,
    };
    let connection = match handshake {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return debug!(%peer, "QUIC handshake: {error}"),
        Err(_) => return debug!(%peer, "QUIC handshake: too slow"),
    };
    let source = MessageSource { address: peer.ip().to_canonical(), transport: Transport::Quic };
    let session = QuicSession { connection: &connection, source, responder, timeouts, permit };
    let error = tokio::select! {
        ended = session.run(shutdown) => ended.err().unwrap_or(DoqError::NoError),
        () = permit.evicted() => DoqError::ExcessiveLoad,
    };
    connection.close(error.code(), b"");
}

struct QuicSession<'s> {
    connection: &'s Connection,
    source: MessageSource,
    responder: Responder,
    timeouts: StreamTimeouts,
    permit: &'s ConnectionPermit,
}

/// A query, and the stream for its answer.
struct StreamQuery {
    message: Vec<u8>,
    reply: SendStream,
}

impl QuicSession<'_> {
    /// Reads queries concurrently, so that one with a lost packet does not hold up the others. Answers them one by one, so
    /// that a connection holds one answer at a time.
    async fn run(self, mut shutdown: watch::Receiver<bool>) -> Result<(), DoqError> {
        let mut arriving = JoinSet::new();
        let mut answer = Vec::new();
        let mut idle_at = Instant::now() + self.timeouts.idle;
        // When the session ends, once the shutdown has begun.
        let mut last_call = None;
        loop {
            let deadline = last_call.unwrap_or(idle_at).min(idle_at);
            if Instant::now() >= deadline {
                return Ok(());
            }
            tokio::select! {
                Some(read) = arriving.join_next() => {
                    if let Some(query) = read.map_err(|_| DoqError::InternalError)?? {
                        self.answer(query, &mut answer).await?;
                        idle_at = Instant::now() + self.timeouts.idle;
                    }
                }
                stream = self.connection.accept_bi() => {
                    // An error means that the connection is gone, and the code reaches nobody.
                    let (reply, query) = stream.map_err(|_| DoqError::NoError)?;
                    arriving.spawn(read(reply, query, self.timeouts));
                }
                () = sleep_until(deadline) => {}
                () = stopped(&mut shutdown), if last_call.is_none() => {
                    // A query may have reached the kernel but not this task.
                    last_call = Some(Instant::now() + LAST_CALL);
                }
            }
        }
    }

    async fn answer(&self, query: StreamQuery, answer: &mut Vec<u8>) -> Result<(), DoqError> {
        let StreamQuery { message, mut reply } = query;
        // Before the answer, so that a client that has its answer counts as active.
        self.permit.touch();
        answer.clear();
        let responded = match self.responder.respond_framed(&message, self.source, answer) {
            Outcome::Update(update) => update.carried_out(answer).await,
            outcome => outcome.replied(),
        };
        let Some(responded) = responded else {
            // An error means that the client has already stopped the stream.
            _ = reply.reset(DoqError::InternalError.code());
            return Ok(());
        };
        match timeout(self.timeouts.write, reply.write_all(answer)).await {
            Ok(Ok(())) => _ = reply.finish(),
            Ok(Err(WriteError::Stopped(_))) => {}
            Ok(Err(_)) => return Err(DoqError::NoError),
            Err(_) => return Err(DoqError::ExcessiveLoad),
        }
        if !responded.pause.is_zero() {
            // The client waits for the server, so it is not idle.
            self.permit.touch();
            sleep(responded.pause).await;
        }
        Ok(())
    }
}

/// Reads a stream to its end: exactly one query, preceded by its length (RFC 9250 section 4.2). `None` if the client has
/// given up.
async fn read(
    mut reply: SendStream,
    mut query: RecvStream,
    timeouts: StreamTimeouts,
) -> Result<Option<StreamQuery>, DoqError> {
    let message = match timeout(timeouts.idle, query.read_to_end(2 + MAX_QUERY)).await {
        Ok(Ok(bytes)) => only_query(&bytes).map(<[u8]>::to_vec),
        Ok(Err(ReadToEndError::Read(_))) => return Ok(None),
        // The stream is too long or too slow.
        Ok(Err(ReadToEndError::TooLong)) | Err(_) => None,
    };
    let Some(message) = message else {
        // Without the reset, dropping the stream would look like an empty answer.
        _ = reply.reset(DoqError::ProtocolError.code());
        return Err(DoqError::ProtocolError);
    };
    Ok(Some(StreamQuery { message, reply }))
}

/// The message in a stream, unless the stream violates section 4.3.3: it must hold one complete message with the id 0 and
/// without the edns-tcp-keepalive option.
fn only_query(stream: &[u8]) -> Option<&[u8]> {
    let (length, message) = stream.split_first_chunk()?;
    let is_whole = usize::from(u16::from_be_bytes(*length)) == message.len() && message.len() >= HEADER;
    let is_in_order = is_whole && message.starts_with(&[0, 0]) && !question::asks_for_keepalive(message);
    is_in_order.then_some(message)
}
