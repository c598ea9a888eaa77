//! From the bytes of a message to its reply; every listener calls [`Responder::respond`].

mod secondaries;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use tracing::{debug, error};

use crate::crypto::keyring::TsigHolder;
use crate::crypto::tsig_record::{Tsig, Unverified, VerifiedRequest};
use crate::metrics::Metrics;
use crate::model::account::Account;
use crate::model::name::{MAX_NAME, Name, NameRef};
use crate::model::time::Clock;
use crate::net::dnstap::Tap;
use crate::querylog::{QueryLog, Recorder};
use crate::replication::Transfers;
use crate::zone::signing::Carrier;
use crate::zone::{Zone, Zones};

use super::answer::{Answer, answer};
use super::dnssec::sign_answer;
use super::echo::Echo;
use super::ede::Ede;
use super::error_reply::ErrorReply;
use super::question::{Class, Question, Request, RequestError};
use super::reply::{Received, ReplyWriter, ResponsePolicy, WrittenReply};
use super::signatures::SigningOutcome;
use super::source::MessageSource;
use super::tap::MessageTap;
use super::transfer::PendingTransfer;
use super::update::{NotAccepted, PendingUpdate, Updates, updated_names};
use super::watch::Watchers;

/// What becomes of a message.
#[derive(Debug)]
pub enum Outcome {
    /// The message gets no reply.
    Silence,
    /// The reply has been written.
    Replied(WrittenReply),
    /// The message is an UPDATE that waits for the disk; nothing has been written.
    Update(Box<PendingUpdate>),
    /// The message asks for a transfer over a connection, which takes many messages; nothing has been written.
    Transfer(Box<PendingTransfer>),
}

impl Outcome {
    /// The reply, if it has been written.
    pub fn replied(self) -> Option<WrittenReply> {
        match self {
            Self::Replied(responded) => Some(responded),
            Self::Silence | Self::Update(_) | Self::Transfer(_) => None,
        }
    }
}

impl From<Option<WrittenReply>> for Outcome {
    fn from(responded: Option<WrittenReply>) -> Self {
        responded.map_or(Self::Silence, Self::Replied)
    }
}

/// Answers queries; a cheap handle that each listener thread has a clone of.
#[derive(Clone, Debug)]
pub struct Responder {
    zones: Zones,
    pub(super) replies: ReplyWriter,
    updates: Option<Updates>,
    transfers: Option<Transfers>,
    query_log: Option<QueryLog>,
}

impl Responder {
    /// Creates a responder that answers from `zones` as of `clock`, and reports to `metrics` and `watchers`.
    pub fn new(zones: Zones, clock: Clock, metrics: Arc<Metrics>, watchers: Watchers, policy: ResponsePolicy) -> Self {
        let replies = ReplyWriter { clock, metrics, watchers, recorder: Recorder::off(), policy, tap: None };
        Self { zones, replies, updates: None, transfers: None, query_log: None }
    }

    /// Makes the responder verify signatures and accept UPDATEs.
    pub fn with_updates(self, updates: Updates) -> Self {
        Self { updates: Some(updates), ..self }
    }

    /// Makes the responder transfer zones to secondaries.
    pub fn with_transfers(self, transfers: Transfers) -> Self {
        Self { transfers: Some(transfers), ..self }
    }

    /// Makes the responder copy every message to dnstap.
    pub fn with_tap(mut self, tap: Option<Tap>) -> Self {
        self.replies.tap = tap.map(MessageTap::new);
        self
    }

    /// Makes the responder record queries in a log.
    pub fn with_query_log(mut self, log: QueryLog) -> Self {
        self.replies.recorder = log.shared_recorder();
        self.query_log = Some(log);
        self
    }

    /// A responder for a thread of its own, which shares no queue of the query log with others.
    pub(super) fn for_thread(&self) -> Self {
        let mut own = self.clone();
        if let Some(log) = &self.query_log {
            own.replies.recorder = log.thread_recorder();
        }
        own
    }

    /// How long a connection may stay open without a complete query.
    pub(super) fn idle_timeout(&self) -> Duration {
        self.replies.policy.idle_timeout
    }

    /// Appends the reply to a message of any content to `out`. Leaves `out` unchanged if there is no reply yet.
    ///
    /// If answering panics, this query gets SERVFAIL and the caller's loop goes on.
    pub fn respond(&self, packet: &[u8], source: MessageSource, out: &mut Vec<u8>) -> Outcome {
        let Some(tap) = &self.replies.tap else {
            return self.caught(packet, source, out, |out| self.respond_or_panic(packet, source, out));
        };
        let start = out.len();
        let arrived = tap.query(packet, source);
        let outcome = self.caught(packet, source, out, |out| self.respond_or_panic(packet, source, out));
        if matches!(outcome, Outcome::Replied(_)) {
            tap.response(&out[start..], source, Some(arrived));
        }
        outcome
    }

    /// Runs `respond`, and turns a panic into SERVFAIL.
    pub(super) fn caught(
        &self,
        packet: &[u8],
        source: MessageSource,
        out: &mut Vec<u8>,
        respond: impl FnOnce(&mut Vec<u8>) -> Outcome,
    ) -> Outcome {
        let start = out.len();
        // A panic leaves nothing half done: the zones are only read here, and `out` is cut back.
        catch_unwind(AssertUnwindSafe(|| respond(out))).unwrap_or_else(|_| {
            error!("an internal fault: a query of {} bytes is answered with SERVFAIL", packet.len());
            out.truncate(start);
            self.replies.fault(packet, source, out).into()
        })
    }

    /// Appends the reply preceded by its length, as streams carry it (RFC 1035 section 4.2.2).
    pub(super) fn respond_framed(&self, packet: &[u8], source: MessageSource, out: &mut Vec<u8>) -> Outcome {
        let start = out.len();
        out.extend_from_slice(&[0; 2]);
        let outcome = self.respond(packet, source, out);
        match &outcome {
            Outcome::Replied(_) => {
                // The encoder writes at most 65,535 bytes.
                let length = (out.len() - start - 2) as u16;
                out[start..start + 2].copy_from_slice(&length.to_be_bytes());
            }
            Outcome::Silence | Outcome::Update(_) | Outcome::Transfer(_) => out.truncate(start),
        }
        outcome
    }

    pub(super) fn respond_or_panic(&self, packet: &[u8], source: MessageSource, out: &mut Vec<u8>) -> Outcome {
        let mut lower = [0; MAX_NAME];
        match Request::read(packet, &mut lower) {
            Ok(Request::Query(question)) => {
                let received = unsigned(source, &question.echo);
                self.answer(&question, received, |name| self.is_open_zone(name), out)
            }
            Ok(Request::Transfer(question)) => self.transfer(&question, unsigned(source, &question.echo), out),
            Ok(Request::Cookie(echo)) => {
                self.replies.reply(unsigned(source, &echo), &Answer::bare(ResponseCode::NoError), out).into()
            }
            Ok(Request::Signed(echo)) => self.respond_signed(packet, &echo, source, out),
            Ok(Request::Update(echo)) => self.refuse_unsigned_update(packet, &echo, source, out),
            Err(RequestError::Answered(echo, refusal)) => {
                let updated = self.observed_names(packet);
                self.refuse(Received { updated: &updated, ..unsigned(source, &echo) }, refusal, out)
            }
            Err(RequestError::Ignored) => {
                self.replies.ignore();
                Outcome::Silence
            }
        }
    }

    /// Answers a question. `is_virtual`: whether this client sees a name outside the zones as a zone.
    fn answer(
        &self,
        question: &Question<'_>,
        received: Received<'_>,
        is_virtual: impl Fn(NameRef<'_>) -> bool,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let zones = self.zones.load();
        let catalog = self.catalog_for(question, received);
        let zones = catalog.as_deref().unwrap_or(&zones);
        let carrier = received.source.transport.carrier();
        let (answer, pause) = self.decide(zones, question, is_virtual, carrier);
        if matches!(answer.signing, SigningOutcome::Withheld) && carrier == Carrier::Stream {
            // TC would not help a client on a stream. The client gets no answer, and asks again.
            self.replies.leave_unanswered(received, &answer);
            return Outcome::Silence;
        }
        let responded = self.replies.reply(received, &answer, out);
        responded.map(|responded| WrittenReply { pause, ..responded }).into()
    }

    /// The answer, and how long the next query of the same stream must wait.
    fn decide<'z>(
        &'z self,
        zones: &'z [Zone],
        question: &Question<'_>,
        is_virtual: impl Fn(NameRef<'_>) -> bool,
        carrier: Carrier,
    ) -> (Answer<'z>, Duration) {
        if question.class() == Class::Chaos {
            return (self.replies.policy.identity.answer(question), Duration::ZERO);
        }
        let mut answer = answer(zones, question, is_virtual, self.replies.clock.running());
        let pause = sign_answer(zones, question, carrier, &mut answer);
        answer.is_authoritative &= question.class() == Class::In;
        (answer, pause)
    }

    fn refuse(&self, received: Received<'_>, refusal: impl Into<ErrorReply>, out: &mut Vec<u8>) -> Outcome {
        self.replies.reply(received, &Answer::refused(refusal.into()), out).into()
    }

    fn refuse_unsigned_update(
        &self,
        packet: &[u8],
        echo: &Echo<'_>,
        source: MessageSource,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let refusal = if self.updates.as_ref().is_some_and(Updates::are_on) {
            ErrorReply::new(ResponseCode::Refused, Ede::NEEDS_TSIG)
        } else {
            ResponseCode::NotImp.into()
        };
        let updated = self.observed_names(packet);
        self.refuse(Received { updated: &updated, ..unsigned(source, echo) }, refusal, out)
    }

    /// Answers a message with a TSIG record (RFC 8945 section 5).
    fn respond_signed(&self, packet: &[u8], echo: &Echo<'_>, source: MessageSource, out: &mut Vec<u8>) -> Outcome {
        let received = unsigned(source, echo);
        let Ok(Some(tsig)) = Tsig::read(packet) else {
            return self.refuse(received, ResponseCode::FormErr, out);
        };
        if let Some(key) = self.transfers.as_ref().and_then(|transfers| transfers.key(tsig.key_name())) {
            return match tsig.verify(Some(&key.key), self.replies.clock.commit()) {
                Ok(verified) => self.respond_to_secondary(&tsig.stripped(), &verified, source, out),
                Err(unverified) => self.reject(packet, &tsig, unverified, received, out),
            };
        }
        let holder = self.updates.as_ref().and_then(|updates| updates.holder(tsig.key_name()));
        let key = holder.as_ref().map(|holder| &holder.key);
        match (tsig.verify(key, self.replies.clock.commit()), holder) {
            (Ok(verified), Some(holder)) => self.respond_verified(&tsig.stripped(), &verified, &holder, source, out),
            (Err(unverified), _) => self.reject(packet, &tsig, unverified, received, out),
            (Ok(_), None) => self.refuse(received, ResponseCode::FormErr, out),
        }
    }

    /// Answers a message whose signature is not accepted.
    fn reject(
        &self,
        packet: &[u8],
        tsig: &Tsig<'_>,
        unverified: Unverified,
        received: Received<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let Unverified::Rejected(error, reply) = unverified else {
            return self.refuse(received, ResponseCode::FormErr, out);
        };
        let client = received.source.address;
        debug!(error = error.as_str(), key = %tsig.key_name(), %client, "a TSIG record was rejected");
        self.replies.metrics.unverified.one();
        let updated = self.observed_names(packet);
        self.refuse(Received { tsig: Some(&reply), updated: &updated, ..received }, ResponseCode::NotAuth, out)
    }

    /// Answers a message with a valid signature. `packet` is the message without its TSIG record.
    fn respond_verified(
        &self,
        packet: &[u8],
        verified: &VerifiedRequest,
        holder: &Arc<TsigHolder>,
        source: MessageSource,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let mut lower = [0; MAX_NAME];
        let updated = self.observed_names(packet);
        let request = match Request::read(packet, &mut lower) {
            Ok(request) => request,
            Err(RequestError::Answered(echo, refusal)) => {
                let received = Received { updated: &updated, ..signed(source, &echo, verified) };
                return self.refuse(received, refusal, out);
            }
            Err(RequestError::Ignored) => {
                self.replies.ignore();
                return Outcome::Silence;
            }
        };
        let received = Received { updated: &updated, ..signed(source, request.echo(), verified) };
        let is_restricted = !matches!(request, Request::Cookie(_));
        if is_restricted && !holder.account.allow_from.allows(source.address) {
            let refusal = ErrorReply::new(ResponseCode::Refused, Ede::WRONG_NETWORK);
            return self.refuse(received, refusal, out);
        }
        match request {
            Request::Query(question) => self.answer(&question, received, |name| has_alias(&holder.account, name), out),
            Request::Transfer(question) => self.transfer(&question, received, out),
            Request::Update(_) => self.accept_update(packet, received, verified, holder, out),
            Request::Cookie(_) => self.replies.reply(received, &Answer::bare(ResponseCode::NoError), out).into(),
            // `Tsig::read` has rejected a message with two TSIG records, so this never happens.
            Request::Signed(_) => self.refuse(received, ResponseCode::FormErr, out),
        }
    }

    /// Starts an UPDATE with a valid signature, or refuses it.
    fn accept_update(
        &self,
        packet: &[u8],
        received: Received<'_>,
        verified: &VerifiedRequest,
        holder: &Arc<TsigHolder>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let Some(updates) = &self.updates else { return self.refuse(received, ResponseCode::NotImp, out) };
        let zones = self.zones.load();
        match updates.accept(packet, received, verified, holder, &zones, &self.replies) {
            Ok(pending) => Outcome::Update(pending),
            Err(NotAccepted::Refused(refusal)) => self.refuse(received, refusal, out),
            Err(NotAccepted::InProgress) => {
                self.replies.leave_unanswered(received, &Answer::bare(ResponseCode::NoError));
                Outcome::Silence
            }
        }
    }

    /// Whether clients without a signature see this name outside the zones as a zone.
    fn is_open_zone(&self, name: NameRef<'_>) -> bool {
        self.updates.as_ref().is_some_and(|updates| updates.is_open_zone(name))
    }

    /// The names that an UPDATE would change, if there is an observer.
    fn observed_names(&self, packet: &[u8]) -> Vec<Name> {
        if self.replies.watchers.are_there() { updated_names(packet) } else { Vec::new() }
    }
}

fn has_alias(account: &Account, name: NameRef<'_>) -> bool {
    account.aliases.iter().any(|own| own.alias.name().as_ref() == name)
}

fn unsigned<'a>(source: MessageSource, echo: &'a Echo<'a>) -> Received<'a> {
    Received { source, echo, tsig: None, updated: &[] }
}

fn signed<'a>(source: MessageSource, echo: &'a Echo<'a>, verified: &'a VerifiedRequest) -> Received<'a> {
    Received { tsig: Some(&verified.reply), ..unsigned(source, echo) }
}
