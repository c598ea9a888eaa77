//! DNS over TCP (RFC 7766): answers the queries of a connection in order, and closes idle connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout, timeout_at};

use crate::model::prefix::Prefix;
use crate::model::wire::HEADER;
use crate::net::accept::Acceptor;
use crate::net::connections::{ConnectionPermit, Connections};
use crate::net::proxy_protocol::{ProxyProtocol, is_header};

use super::ede::Ede;
use super::error_reply::ErrorReply;
use super::listener::{Heartbeat, StreamListener, stopped};
use super::long_messages::{LongMessages, MessagePermit, SHORT};
use super::reply::WrittenReply;
use super::responder::{Outcome, Responder};
use super::source::{MessageSource, Transport, canonical};
use super::transfer::PendingTransfer;

const WHAT: &str = Transport::Tcp.listener();

/// How long a client may take to receive its answers.
const WRITE: Duration = Duration::from_secs(5);
/// How long a client may take to receive one message of a zone transfer.
const TRANSFER: Duration = Duration::from_secs(30);
/// Connections in total.
pub const MAX_CONNECTIONS: usize = 4_096;
/// Connections from one network prefix.
pub const MAX_PER_PREFIX: usize = 64;
/// Bytes of answers that are collected before they are sent.
const MAX_ANSWERS: usize = 16 * 1_024;
/// The least room for bytes that arrive. A connection that answers no query keeps no more than [`SHORT`] and this.
const READ: usize = 512;
/// How long a connection still accepts queries after the shutdown has begun.
pub(super) const LAST_CALL: Duration = Duration::from_millis(100);
/// How often the accept loop beats while nobody connects.
pub(super) const TURN: Duration = Duration::from_millis(250);

/// Accepts connections until the handler's shutdown. Must be called within a tokio runtime.
pub fn serve(
    listener: std::net::TcpListener,
    handler: ConnectionHandler,
    connections: Connections,
) -> io::Result<StreamListener> {
    let acceptor = Acceptor::new(WHAT, TcpListener::from_std(listener)?, connections);
    start(WHAT, acceptor, handler, ConnectionHandler::serve_tcp)
}

/// Runs an accept loop that hands each connection to `serve`.
pub(super) fn start<F>(
    what: &'static str,
    acceptor: Acceptor,
    handler: ConnectionHandler,
    serve: impl FnMut(ConnectionHandler, TcpStream, SocketAddr, ConnectionPermit) -> F + Send + 'static,
) -> io::Result<StreamListener>
where
    F: Future<Output = ()> + Send + 'static,
{
    let address = acceptor.address()?;
    Ok(StreamListener::start(what, address, |heartbeat| accept_all(acceptor, handler, heartbeat, serve)))
}

/// The timeouts of one connection, which the tests shorten.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamTimeouts {
    pub idle: Duration,
    pub write: Duration,
    /// How long a client may take to receive one message of a zone transfer.
    pub transfer: Duration,
}

/// What serving connections needs, over TCP, TLS and QUIC; each connection has a cheap clone.
#[derive(Clone, Debug)]
pub struct ConnectionHandler {
    pub(super) responder: Responder,
    pub(super) timeouts: StreamTimeouts,
    /// Shared by all connections.
    pub(super) long_messages: LongMessages,
    pub(super) proxies: ProxyProtocol,
    pub(super) shutdown: watch::Receiver<bool>,
    /// Why the connection carries no zone transfers, if it carries none.
    pub(super) no_transfers: Option<Ede>,
}

pub(super) async fn accept_all<F>(
    mut acceptor: Acceptor,
    handler: ConnectionHandler,
    heartbeat: Heartbeat,
    mut serve: impl FnMut(ConnectionHandler, TcpStream, SocketAddr, ConnectionPermit) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut shutdown = handler.shutdown.clone();
    let mut turns = interval(TURN);
    let mut open = JoinSet::new();
    loop {
        heartbeat.beat();
        tokio::select! {
            () = stopped(&mut shutdown) => break,
            (stream, peer, permit) = acceptor.accept() => {
                open.spawn(serve(handler.clone(), stream, peer, permit));
                // Connections that have ended leave the set; otherwise a flood would fill it.
                while open.try_join_next().is_some() {}
            }
            _ = turns.tick() => {}
        }
    }
    drop(acceptor);
    while open.join_next().await.is_some() {}
}

impl ConnectionHandler {
    /// Serves connections until `shutdown` is true or its sender is gone.
    pub fn new(responder: Responder, shutdown: watch::Receiver<bool>) -> Self {
        let timeouts = StreamTimeouts { idle: responder.idle_timeout(), write: WRITE, transfer: TRANSFER };
        let (long_messages, proxies) = (LongMessages::new(), ProxyProtocol::off());
        Self { responder, timeouts, long_messages, proxies, shutdown, no_transfers: None }
    }

    /// Reads the PROXY headers of these proxies over TCP and TLS.
    pub fn with_proxies(self, proxies: ProxyProtocol) -> Self {
        Self { proxies, ..self }
    }

    pub(super) async fn serve_tcp(mut self, mut stream: TcpStream, peer: SocketAddr, permit: ConnectionPermit) {
        // Answers are written whole, so waiting for more data would only delay them.
        _ = stream.set_nodelay(true);
        if let Some((source, permit)) = self.client_of(Transport::Tcp, &mut stream, peer, permit).await {
            self.serve(stream, source, &permit).await;
        }
    }

    /// The client behind a new connection, and the permit under which it counts: that of the client's own network, not
    /// of the proxy's. `None` if the connection must be closed.
    pub(super) async fn client_of(
        &mut self,
        transport: Transport,
        stream: &mut TcpStream,
        peer: SocketAddr,
        permit: ConnectionPermit,
    ) -> Option<(MessageSource, ConnectionPermit)> {
        let client = tokio::select! {
            client = self.proxies.client_of(transport.listener(), stream, peer) => client?,
            () = permit.evicted() => return None,
            () = stopped(&mut self.shutdown) => return None,
        };
        let permit = if self.proxies.is_proxy(peer.ip()) { permit.moved_to(Prefix::of(client.ip())) } else { permit };
        let local = canonical(stream.local_addr().ok()?);
        Some((MessageSource { address: client.ip(), port: client.port(), local, transport }, permit))
    }

    /// Serves a connection of any kind until it closes, is idle for too long, sends something other than DNS, or must make
    /// room for others.
    pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        stream: S,
        source: MessageSource,
        permit: &ConnectionPermit,
    ) {
        let session =
            StreamSession { stream, source, handler: self, message: MessagePermit::default(), last_call: None, permit };
        tokio::select! {
            // An error only means that the client is gone.
            _ = session.run() => {}
            () = permit.evicted() => {}
        }
    }
}

struct StreamSession<'s, S> {
    stream: S,
    source: MessageSource,
    handler: ConnectionHandler,
    /// The permit of the message that is arriving.
    message: MessagePermit,
    /// When the session ends, once the shutdown has begun.
    last_call: Option<Instant>,
    permit: &'s ConnectionPermit,
}

impl<S: AsyncRead + AsyncWrite + Unpin> StreamSession<'_, S> {
    async fn run(mut self) -> io::Result<()> {
        let mut received = Vec::new();
        let mut answers = Vec::new();
        let mut deadline = Instant::now() + self.handler.timeouts.idle;
        while self.read(&mut received, deadline).await? {
            if self.answer_all(&mut received, &mut answers).await? {
                deadline = Instant::now() + self.handler.timeouts.idle;
            }
        }
        // An orderly end: TLS sends close_notify, TCP a FIN.
        timeout(self.handler.timeouts.write, self.stream.shutdown()).await?
    }

    /// Reads more bytes. Returns false if the session is over: the client has closed it, it was idle for too long, its
    /// message has to make room for others, or the daemon shuts down.
    async fn read(&mut self, received: &mut Vec<u8>, deadline: Instant) -> io::Result<bool> {
        let deadline = self.last_call.unwrap_or(deadline).min(deadline);
        if Instant::now() >= deadline {
            return Ok(false);
        }
        self.make_room(received);
        tokio::select! {
            biased; // queries that have arrived are answered even during the shutdown
            read = timeout_at(deadline, self.stream.read_buf(received)) => match read {
                Ok(count) => {
                    self.message.touch();
                    Ok(count? > 0)
                }
                Err(_idle) => Ok(false),
            },
            () = self.message.evicted() => Ok(false),
            () = stopped(&mut self.handler.shutdown), if self.last_call.is_none() => {
                // A query may have reached the kernel but not this task.
                self.last_call = Some(Instant::now() + LAST_CALL);
                Ok(true)
            }
        }
    }

    /// Makes room for bytes that arrive: for all of the message that they belong to, if that is a long one.
    fn make_room(&mut self, received: &mut Vec<u8>) {
        let length = received.first_chunk().map_or(0, |length| u16::from_be_bytes(*length));
        if usize::from(length) <= SHORT {
            return received.reserve(READ);
        }
        if !self.message.is_for_long() {
            self.message = self.handler.long_messages.admit(length, self.source.address);
        }
        received.reserve_exact((2 + usize::from(length)).saturating_sub(received.len()));
    }

    /// Answers every complete query that has been received, in order, including those before an invalid length. Returns
    /// whether there was one.
    async fn answer_all(&mut self, received: &mut Vec<u8>, answers: &mut Vec<u8>) -> io::Result<bool> {
        let mut done = 0;
        let end = loop {
            match whole_query(&received[done..]) {
                Ok(Some(query)) => {
                    if done == 0 {
                        // Before the answer, so that a client that has its answer counts as active.
                        self.permit.touch();
                    }
                    done += 2 + query.len();
                    let responded = match self.handler.responder.respond_framed(query, self.source, answers) {
                        Outcome::Update(update) => {
                            // The disk may be slow, so the answers that are ready go out first.
                            self.write(answers).await?;
                            update.carried_out(answers).await
                        }
                        Outcome::Transfer(transfer) => {
                            self.write(answers).await?;
                            self.transfer(transfer, answers).await?
                        }
                        outcome => outcome.replied(),
                    };
                    let pause = responded.map_or(Duration::ZERO, |responded| responded.pause);
                    if !pause.is_zero() {
                        // The answers that are ready go out first. The client waits for the server, so it is not idle.
                        self.write(answers).await?;
                        self.permit.touch();
                        tokio::time::sleep(pause).await;
                    }
                }
                Ok(None) if is_header(&received[done..]) => {
                    self.handler.proxies.warn_of_unasked(self.source.transport.listener(), self.source.address);
                    break Err(io::ErrorKind::InvalidData.into());
                }
                Ok(None) => break Ok(done > 0),
                Err(error) => break Err(error),
            }
            if answers.len() >= MAX_ANSWERS {
                self.write(answers).await?;
            }
        };
        received.drain(..done);
        if done > 0 {
            self.message = MessagePermit::default();
            received.shrink_to(SHORT + READ);
        }
        self.write(answers).await?;
        end
    }

    /// Sends a zone transfer, or appends the refusal.
    async fn transfer(
        &mut self,
        transfer: Box<PendingTransfer>,
        answers: &mut Vec<u8>,
    ) -> io::Result<Option<WrittenReply>> {
        if let Some(ede) = self.handler.no_transfers {
            return Ok(transfer.refuse(ErrorReply::new(ResponseCode::Refused, ede), answers));
        }
        tokio::select! {
            sent = transfer.send(&mut self.stream, self.permit, self.handler.timeouts.transfer) => sent.map(|()| None),
            () = stopped(&mut self.handler.shutdown) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    async fn write(&mut self, answers: &mut Vec<u8>) -> io::Result<()> {
        if !answers.is_empty() {
            let stream = &mut self.stream;
            let written = async {
                stream.write_all(answers).await?;
                stream.flush().await
            };
            timeout(self.handler.timeouts.write, written).await??;
            answers.clear();
            // One large answer must not take its memory for as long as the connection is open.
            answers.shrink_to(MAX_ANSWERS);
        }
        Ok(())
    }
}

/// The first message in `received`, without its length (RFC 1035 section 4.2.2); `None` if the message is incomplete. An
/// invalid length is an error, because its sender does not speak DNS.
fn whole_query(received: &[u8]) -> io::Result<Option<&[u8]>> {
    let Some((length, rest)) = received.split_first_chunk() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes(*length));
    if length < HEADER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(rest.get(..length))
}
