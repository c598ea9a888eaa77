//! Zone transfers to secondaries (RFC 5936, RFC 1995, RFC 9103): from an admitted [`Transfer`] to its messages.
//!
//! A transfer over TCP or TLS has many messages, so it comes back from the responder as a value that the connection's task
//! sends. That task holds one message at a time and waits for the client, so a slow client costs no more memory than a
//! fast one.

use std::io;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{timeout, timeout_at};
use tracing::{info, warn};

use crate::crypto::tsig_record::{ReplyTsig, StreamTsig};
use crate::metrics::transfers::TransferResult;
use crate::model::wire::HEADER;
use crate::net::connections::ConnectionPermit;
use crate::replication::{ContentsError, Transfer, TransferRefusal};
use crate::zone::signing::Carrier;

use super::answer::Answer;
use super::echo::Echo;
use super::ede::Ede;
use super::encode::{push_opt, size_limit};
use super::error_reply::ErrorReply;
use super::reply::{Received, ReplyWriter, WrittenReply};
use super::source::MessageSource;

/// How long a transfer may take.
const WHOLE: Duration = Duration::from_secs(1_800);
/// The bytes of a message's length over a connection (RFC 1035 section 4.2.2).
const LENGTH: usize = 2;
/// QR, AA and the opcode QUERY.
const QR_AA: u8 = 0x84;
const RD: u8 = 0x01;

impl From<TransferRefusal> for ErrorReply {
    fn from(refusal: TransferRefusal) -> Self {
        match refusal {
            TransferRefusal::Stranger => Self::new(ResponseCode::Refused, Ede::PROHIBITED),
            TransferRefusal::Key => Self::new(ResponseCode::Refused, Ede::TRANSFER_NEEDS_KEY),
            TransferRefusal::Unencrypted => Self::new(ResponseCode::Refused, Ede::TRANSFER_NEEDS_TLS),
            TransferRefusal::NoZone => Self::new(ResponseCode::NotAuth, Ede::NOT_AUTHORITATIVE),
            TransferRefusal::Signed => Self::new(ResponseCode::Refused, Ede::TRANSFER_SIGNED),
            TransferRefusal::Busy => Self::new(ResponseCode::ServFail, Ede::TRANSFERS_BUSY),
        }
    }
}

/// A transfer over a connection, of which nothing has been sent.
#[derive(Debug)]
pub struct PendingTransfer {
    pub(super) replies: ReplyWriter,
    pub(super) transfer: Transfer,
    /// The echo without its question, which is the next field.
    pub(super) echo: Echo<'static>,
    pub(super) question: Vec<u8>,
    pub(super) source: MessageSource,
    pub(super) tsig: Option<StreamTsig>,
    pub(super) permit: OwnedSemaphorePermit,
}

impl PendingTransfer {
    /// Refuses the transfer, for a reason that only the connection knows.
    pub(super) fn refuse(self, refusal: ErrorReply, out: &mut Vec<u8>) -> Option<WrittenReply> {
        self.replies.metrics.transfers.count(self.transfer.kind(), TransferResult::Refused);
        let echo = Echo { question: &self.question, ..self.echo };
        let tsig = self.tsig.as_ref().map(StreamTsig::first);
        let received = Received { source: self.source, echo: &echo, tsig, updated: &[] };
        let start = out.len();
        out.extend_from_slice(&[0; LENGTH]);
        let written = self.replies.reply(received, &Answer::refused(refusal), out);
        match written {
            Some(_) => set_length(out, start),
            None => out.truncate(start),
        }
        written
    }

    /// Sends all messages, each as soon as the client has room for it, and for which it may take so long. An error ends the
    /// connection.
    pub(super) async fn send<S: AsyncWrite + Unpin>(
        mut self,
        stream: &mut S,
        connection: &ConnectionPermit,
        patience: Duration,
    ) -> io::Result<()> {
        let started = Instant::now();
        let deadline = tokio::time::Instant::now() + WHOLE;
        let result = self.transfer.result();
        let sent = timeout_at(deadline, self.send_all(stream, connection, patience)).await;
        let sent = sent.unwrap_or_else(|_| Err(io::Error::other(format!("not done after {WHOLE:?}"))));
        let metrics = &self.replies.metrics.transfers;
        let (kind, secondary, client) = (self.transfer.kind(), self.transfer.secondary(), self.source.address);
        let (zone, serial) = (&self.transfer.zone().name, self.transfer.serial());
        match &sent {
            Ok(bytes) => {
                metrics.count(kind, result);
                metrics.times.took(started.elapsed());
                let (what, seconds) = (result.as_str(), started.elapsed().as_secs_f32());
                info!(%zone, %serial, secondary, %client, what, bytes, seconds, "{} sent", kind.as_str());
                self.record(*bytes);
            }
            Err(error) => {
                metrics.count(kind, TransferResult::Failed);
                warn!(%zone, %serial, secondary, %client, "{} not finished: {error}", kind.as_str());
            }
        }
        drop(self.permit);
        sent.map(|_| ())
    }

    async fn send_all<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        connection: &ConnectionPermit,
        patience: Duration,
    ) -> io::Result<usize> {
        let mut message = Vec::new();
        let mut bytes = 0;
        while self.next_message(&mut message).map_err(io::Error::other)? {
            bytes += message.len() - LENGTH;
            if let Some(tap) = &self.replies.tap {
                tap.response(&message[LENGTH..], self.source, None);
            }
            let written = async {
                stream.write_all(&message).await?;
                stream.flush().await
            };
            timeout(patience, written).await??;
            // A client that reads is active.
            connection.touch();
        }
        Ok(bytes)
    }

    /// Writes the next message, with its length, in place of the one before it. False behind the last.
    fn next_message(&mut self, message: &mut Vec<u8>) -> Result<bool, ContentsError> {
        message.clear();
        message.extend_from_slice(&[0; LENGTH]);
        let behind = self.tsig.as_ref().map_or(0, StreamTsig::size);
        let echo = Echo { question: &self.question, ..self.echo };
        let records = write_message(&mut self.transfer, &echo, size_limit(Carrier::Stream, None) - behind, message)?;
        if records == 0 {
            return Ok(false);
        }
        if let Some(tsig) = &mut self.tsig {
            tsig.append(message, LENGTH, self.replies.clock.commit());
        }
        set_length(message, 0);
        Ok(true)
    }

    /// Counts the transfer as one reply, with the SOA record for an answer.
    fn record(&self, bytes: usize) {
        let echo = Echo { question: &self.question, ..self.echo };
        let tsig = self.tsig.as_ref().map(StreamTsig::first);
        let received = Received { source: self.source, echo: &echo, tsig, updated: &[] };
        self.replies.record_transfer(received, &Answer::soa(self.transfer.zone(), self.transfer.serial()), bytes);
    }
}

/// Appends a message of at most `limit` bytes with as many records as fit. Returns how many.
pub(super) fn write_message(
    transfer: &mut Transfer,
    echo: &Echo<'_>,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<u16, ContentsError> {
    let start = out.len();
    let rd = if echo.recursion_desired { RD } else { 0 };
    out.extend_from_slice(&echo.id.to_be_bytes());
    out.extend_from_slice(&[QR_AA | rd, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(echo.question);
    let mut opt = Vec::new();
    if let Some(edns) = echo.edns {
        push_opt(&mut opt, edns);
        out[start + HEADER - 1] = 1;
    }
    let room = limit.saturating_sub(out.len() - start + opt.len());
    let records = transfer.write(out, room)?;
    out[start + 6..start + 8].copy_from_slice(&records.to_be_bytes());
    out.extend_from_slice(&opt);
    Ok(records)
}

/// Appends the reply to an IXFR over UDP: all differences, or the SOA record alone if they do not fit (RFC 1995 section
/// 2).
pub(super) fn transfer_in_datagram(
    replies: &ReplyWriter,
    mut transfer: Transfer,
    received: Received<'_>,
    out: &mut Vec<u8>,
) -> Option<WrittenReply> {
    let start = out.len();
    let behind = received.tsig.map_or(0, ReplyTsig::size);
    let limit = size_limit(Carrier::Datagram, received.echo.edns).saturating_sub(behind);
    let fits = transfer.result() != TransferResult::Whole
        && write_message(&mut transfer, received.echo, limit, out).is_ok()
        && transfer.is_done() == Ok(true);
    if !fits {
        out.truncate(start);
        transfer = transfer.into_soa();
        if write_message(&mut transfer, received.echo, limit, out).is_err() {
            // A question with a name as long as this leaves no room for a SOA record.
            out.truncate(start);
            return replies.reply(received, &Answer::fault(), out);
        }
    }
    if let Some(tsig) = received.tsig {
        tsig.append(out, start, replies.clock.commit());
    }
    replies.metrics.transfers.count(transfer.kind(), transfer.result());
    let answer = Answer::soa(transfer.zone(), transfer.serial());
    Some(replies.record_transfer(received, &answer, out.len() - start))
}

/// Writes the length of the message behind it.
fn set_length(out: &mut [u8], start: usize) {
    // invariant: every writer keeps to 65,535 bytes
    let length = (out.len() - start - LENGTH) as u16;
    out[start..start + LENGTH].copy_from_slice(&length.to_be_bytes());
}
