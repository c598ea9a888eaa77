//! Messages of secondaries: transfers, and whatever is signed with a secondary's key.

use std::sync::Arc;

use hickory_proto::op::ResponseCode;

use crate::crypto::tsig_record::{ReplyTsig, VerifiedRequest};
use crate::metrics::transfers::{TransferKind, TransferResult};
use crate::model::name::MAX_NAME;
use crate::replication::{TransferClient, TransferRequest, Transfers};
use crate::zone::Zone;

use super::super::answer::Answer;
use super::super::echo::Echo;
use super::super::ede::Ede;
use super::super::error_reply::ErrorReply;
use super::super::question::{Question, Request, RequestError};
use super::super::reply::Received;
use super::super::source::{MessageSource, Transport};
use super::super::transfer::{PendingTransfer, transfer_in_datagram};
use super::super::transfer_question::TransferQuestion;
use super::{Outcome, Responder, signed};

impl Responder {
    /// Answers a message with the valid signature of a secondary, whose key is for transfers and queries. `packet` is the
    /// message without its TSIG record.
    pub(super) fn respond_to_secondary(
        &self,
        packet: &[u8],
        verified: &VerifiedRequest,
        source: MessageSource,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let mut lower = [0; MAX_NAME];
        match Request::read(packet, &mut lower) {
            Ok(Request::Query(question)) => {
                self.answer(&question, signed(source, &question.echo, verified), |name| self.is_open_zone(name), out)
            }
            Ok(Request::Transfer(question)) => self.transfer(&question, signed(source, &question.echo, verified), out),
            Ok(Request::Cookie(echo)) => {
                self.replies.reply(signed(source, &echo, verified), &Answer::bare(ResponseCode::NoError), out).into()
            }
            Ok(Request::Update(echo)) => {
                let updated = self.observed_names(packet);
                let received = Received { updated: &updated, ..signed(source, &echo, verified) };
                self.refuse(received, ErrorReply::new(ResponseCode::Refused, Ede::TRANSFER_KEY), out)
            }
            // `Tsig::read` has rejected a message with two TSIG records, so this never happens.
            Ok(Request::Signed(echo)) => self.refuse(signed(source, &echo, verified), ResponseCode::FormErr, out),
            Err(RequestError::Answered(echo, refusal)) => self.refuse(signed(source, &echo, verified), refusal, out),
            Err(RequestError::Ignored) => {
                self.replies.ignore();
                Outcome::Silence
            }
        }
    }

    /// The catalog zone, if a secondary asks for a name in it.
    pub(super) fn catalog_for(&self, question: &Question<'_>, received: Received<'_>) -> Option<Arc<Vec<Zone>>> {
        let client = TransferClient { is_encrypted: true, ..client_of(received) };
        self.transfers.as_ref()?.catalog_for(question.name(), client)
    }

    /// Begins a transfer, or refuses it. Over UDP, the reply is the whole transfer.
    pub(super) fn transfer(
        &self,
        question: &TransferQuestion<'_>,
        received: Received<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let Some(transfers) = &self.transfers else {
            return self.refuse(received, ErrorReply::new(ResponseCode::Refused, Ede::PROHIBITED), out);
        };
        let begun = self.begin_transfer(transfers, question, received, out);
        begun.unwrap_or_else(|refusal| {
            self.replies.metrics.transfers.count(question.kind, TransferResult::Refused);
            self.refuse(received, refusal, out)
        })
    }

    fn begin_transfer(
        &self,
        transfers: &Transfers,
        question: &TransferQuestion<'_>,
        received: Received<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, ErrorReply> {
        let transport = received.source.transport;
        let TransferQuestion { name: zone, kind, serial, is_valid, .. } = *question;
        let transfer = transfers.admit(TransferRequest { kind, zone, serial }, client_of(received))?;
        if !is_valid {
            return Err(ResponseCode::FormErr.into());
        }
        match (transport, kind) {
            (Transport::Tcp | Transport::Tls, _) => {
                let pending = PendingTransfer {
                    permit: transfers.permit()?,
                    replies: self.replies.clone(),
                    transfer,
                    echo: Echo { question: &[], ..*received.echo },
                    question: received.echo.question.to_vec(),
                    source: received.source,
                    tsig: received.tsig.cloned().map(ReplyTsig::into_stream),
                };
                Ok(Outcome::Transfer(pending.into()))
            }
            (Transport::Udp, TransferKind::Ixfr) => {
                Ok(transfer_in_datagram(&self.replies, transfer, received, out).into())
            }
            // RFC 5936 section 4.2 defines no AXFR over UDP, and RFC 9250 leaves transfers over QUIC to the server.
            _ => Err(ErrorReply::new(ResponseCode::Refused, Ede::TRANSFER_NEEDS_TCP)),
        }
    }
}

fn client_of(received: Received<'_>) -> TransferClient<'_> {
    TransferClient {
        address: received.source.address,
        key: received.tsig.map(ReplyTsig::key_name),
        is_encrypted: matches!(received.source.transport, Transport::Tls | Transport::Quic),
    }
}
