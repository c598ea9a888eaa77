//! One QUIC connection: the handshake, and a stream for each query (RFC 9250 section 4.2).

use std::net::{IpAddr, SocketAddr};

use quinn::{Connecting, Connection, ReadExactError, ReadToEndError, RecvStream, SendStream, VarInt, WriteError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

use crate::model::wire::HEADER;
use crate::net::connections::ConnectionPermit;

use super::super::listener::stopped;
use super::super::long_messages::{LongMessages, MessagePermit};
use super::super::question;
use super::super::responder::{Outcome, Responder};
use super::super::source::{MessageSource, Transport, canonical};
use super::super::tcp::{ConnectionHandler, LAST_CALL, StreamTimeouts};
use super::super::tls::HANDSHAKE;

/// The error code with which a connection or a stream ends (RFC 9250 section 4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DoqError {
    /// The connection was idle for too long, or the daemon stops.
    NoError = 0,
    /// The query gets no answer.
    InternalError = 1,
    /// The client violates RFC 9250.
    ProtocolError = 2,
    /// The connection or a long query must make room for others, or the client does not read its answers.
    ExcessiveLoad = 4,
}

impl DoqError {
    fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }
}

/// A client whose handshake begins.
pub struct Arrival {
    pub connecting: Connecting,
    /// The address of the listener.
    pub local: SocketAddr,
}

/// Serves a connection until it closes, is idle for too long, violates the protocol, or must make room for others.
pub async fn serve_connection(client: Arrival, handler: ConnectionHandler, permit: &ConnectionPermit) {
    let Arrival { connecting, local } = client;
    let peer = connecting.remote_address();
    let ConnectionHandler { responder, timeouts, long_messages, mut shutdown, .. } = handler;
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
    let client = canonical(peer);
    let local = canonical(SocketAddr::new(connection.local_ip().unwrap_or(local.ip()), local.port()));
    let source = MessageSource { address: client.ip(), port: client.port(), local, transport: Transport::Quic };
    let session = QuicSession { connection: &connection, source, responder, timeouts, long_messages, permit };
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
    long_messages: LongMessages,
    permit: &'s ConnectionPermit,
}

/// A query, and the stream for its answer.
struct StreamQuery {
    message: Message,
    reply: SendStream,
}

/// The bytes of a query, and the permit for so many.
struct Message {
    bytes: Vec<u8>,
    _permit: MessagePermit,
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
                    arriving.spawn(read(reply, query, self.timeouts, self.long_messages.clone(), self.source.address));
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
        let responded = match self.responder.respond_framed(&message.bytes, self.source, answer) {
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

/// Why a stream holds no query.
enum StreamFault {
    /// The client has given up.
    GivenUp,
    /// The client violates RFC 9250.
    Violation,
    /// A long query had to make room for others.
    Evicted,
}

impl From<ReadExactError> for StreamFault {
    fn from(error: ReadExactError) -> Self {
        match error {
            ReadExactError::FinishedEarly(_) => Self::Violation,
            ReadExactError::ReadError(_) => Self::GivenUp,
        }
    }
}

impl From<ReadToEndError> for StreamFault {
    fn from(error: ReadToEndError) -> Self {
        match error {
            ReadToEndError::TooLong => Self::Violation,
            ReadToEndError::Read(_) => Self::GivenUp,
        }
    }
}

/// Reads the query of a stream. `None` if there is none, for a reason that does not end the connection.
async fn read(
    mut reply: SendStream,
    query: RecvStream,
    timeouts: StreamTimeouts,
    long_messages: LongMessages,
    source: IpAddr,
) -> Result<Option<StreamQuery>, DoqError> {
    // A stream that is too slow violates the protocol, too.
    match timeout(timeouts.idle, read_message(query, &long_messages, source))
        .await
        .unwrap_or(Err(StreamFault::Violation))
    {
        Ok(message) => Ok(Some(StreamQuery { message, reply })),
        Err(StreamFault::GivenUp) => Ok(None),
        Err(StreamFault::Evicted) => {
            _ = reply.reset(DoqError::ExcessiveLoad.code());
            Ok(None)
        }
        Err(StreamFault::Violation) => {
            // Without the reset, dropping the stream would look like an empty answer.
            _ = reply.reset(DoqError::ProtocolError.code());
            Err(DoqError::ProtocolError)
        }
    }
}

/// Reads a stream to its end: exactly one query, preceded by its length (RFC 9250 section 4.2).
async fn read_message(
    mut query: RecvStream,
    long_messages: &LongMessages,
    source: IpAddr,
) -> Result<Message, StreamFault> {
    let mut length = [0; 2];
    query.read_exact(&mut length).await?;
    let length = u16::from_be_bytes(length);
    let permit = long_messages.admit(length, source);
    let bytes = tokio::select! {
        bytes = query.read_to_end(length.into()) => bytes?,
        () = permit.evicted() => return Err(StreamFault::Evicted),
    };
    let is_whole = bytes.len() == usize::from(length) && bytes.len() >= HEADER;
    if is_whole && is_in_order(&bytes) { Ok(Message { bytes, _permit: permit }) } else { Err(StreamFault::Violation) }
}

/// Whether a message keeps to section 4.3.3: it has the id 0, and no edns-tcp-keepalive option.
fn is_in_order(message: &[u8]) -> bool {
    message.starts_with(&[0, 0]) && !question::asks_for_keepalive(message)
}
