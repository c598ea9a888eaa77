//! From an answer to the reply that is sent: cookies and rate limits decide how much of the answer goes out.
//!
//! Replies are counted and observed here, after they have been written. So the metrics and the events describe the
//! messages that were sent.

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::crypto::cookie::{CookieSecret, CookieSecrets, Cookies, SERVER};
use crate::crypto::tsig_record::ReplyTsig;
use crate::metrics::Metrics;
use crate::model::name::Name;
use crate::model::secret::RandomError;
use crate::model::time::Clock;
use crate::querylog::Recorder;

use super::answer::Answer;
use super::echo::Echo;
use super::encode::{Extras, encode, encode_fault, size_limit};
use super::identity::ServerIdentity;
use super::limits::{LimitAction, ReplyLimits};
use super::query_event::{CookieState, Observed, ReplyOutcome};
use super::source::{MessageSource, Transport};
use super::tap::MessageTap;
use super::watch::Watchers;

/// A reply that has been written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrittenReply {
    /// The response code.
    pub rcode: ResponseCode,
    /// Whether the reply has TC set.
    pub is_truncated: bool,
    /// How long the next query of the same connection must wait, so that all clients share the limit on signing denials.
    /// Zero over UDP.
    pub pause: Duration,
}

/// The parts of a message that its reply depends on.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The sender and the transport.
    pub source: MessageSource,
    /// The parts that the reply repeats.
    pub echo: &'a Echo<'a>,
    /// The TSIG record at the end of the reply to a signed message.
    pub tsig: Option<&'a ReplyTsig>,
    /// The names that an UPDATE changes. Only observers use them.
    pub updated: &'a [Name],
}

/// The settings that apply to every reply, whatever the answer is: the server's identity, cookies and rate limits.
#[derive(Clone, Debug)]
pub struct ResponsePolicy {
    /// The name and version that the server tells.
    pub identity: Arc<ServerIdentity>,
    /// The DNS cookies.
    pub cookies: Cookies,
    /// How many replies each network gets without a valid cookie.
    pub limits: ReplyLimits,
    /// How long a connection may stay open without a complete query (RFC 7766 section 6.2.3). Single bytes do not extend
    /// it. The edns-tcp-keepalive option tells it (RFC 7828).
    pub idle_timeout: Duration,
}

impl ResponsePolicy {
    /// A policy with a random cookie secret, without limits and without an identity.
    pub fn plain() -> Result<Self, RandomError> {
        let secrets = CookieSecrets { current: CookieSecret::random()?, previous: None };
        Ok(Self {
            identity: Arc::default(),
            cookies: Cookies::new(secrets),
            limits: ReplyLimits::new(0),
            idle_timeout: Duration::from_secs(10),
        })
    }
}

/// Writes the replies that the policy allows; a cheap handle.
#[derive(Clone, Debug)]
pub struct ReplyWriter {
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) watchers: Watchers,
    pub(super) tap: Option<MessageTap>,
    pub(super) recorder: Recorder,
    pub(super) policy: ResponsePolicy,
}

/// The cookie of a message, after its check.
#[derive(Clone, Copy)]
struct CheckedCookie {
    state: CookieState,
    /// The server cookie for the reply.
    reply: Option<[u8; SERVER]>,
}

impl ReplyWriter {
    /// Appends the reply to `out`. Returns `None` and leaves `out` unchanged if the rate limit drops the reply.
    pub fn reply(&self, received: Received<'_>, answer: &Answer<'_>, out: &mut Vec<u8>) -> Option<WrittenReply> {
        let cookie = self.check_cookie(received);
        let is_signed = received.tsig.is_some_and(ReplyTsig::is_signed);
        let is_known = cookie.state == CookieState::Valid || is_signed;
        match self.policy.limits.judge(received.source, answer, is_known) {
            LimitAction::Send => Some(self.send(received, answer, cookie, out)),
            LimitAction::Slip => Some(self.slip(received, answer, cookie, out)),
            LimitAction::Drop => {
                self.record(&observed(received, answer, cookie.state, ReplyOutcome::Dropped));
                None
            }
        }
    }

    /// Records that a message gets no reply, for a reason other than the rate limit.
    pub fn leave_unanswered(&self, received: Received<'_>, answer: &Answer<'_>) {
        let cookie = self.check_cookie(received);
        self.record(&observed(received, answer, cookie.state, ReplyOutcome::Unanswered));
    }

    /// Records a transfer that was sent to its end, as one reply of so many bytes.
    pub fn record_transfer(&self, received: Received<'_>, answer: &Answer<'_>, bytes: usize) -> WrittenReply {
        let cookie = self.check_cookie(received);
        let sent = observed(received, answer, cookie.state, ReplyOutcome::Sent);
        self.record(&Observed { size: bytes, ..sent })
    }

    /// Counts a message that is not a request: a response, or one too short for a header. Such a message has no event.
    pub fn ignore(&self) {
        self.metrics.dropped.one();
    }

    /// Appends SERVFAIL for a message that met an internal fault. `None` if the message is too short for a reply.
    pub fn fault(&self, packet: &[u8], source: MessageSource, out: &mut Vec<u8>) -> Option<WrittenReply> {
        let start = out.len();
        let echo = encode_fault(packet, out)?;
        let received = Received { source, echo: &echo, tsig: None, updated: &[] };
        let answer = Answer::bare(ResponseCode::ServFail);
        let sent = observed(received, &answer, CookieState::Absent, ReplyOutcome::Sent);
        Some(self.record(&Observed { size: out.len() - start, ..sent }))
    }

    fn send(
        &self,
        received: Received<'_>,
        answer: &Answer<'_>,
        cookie: CheckedCookie,
        out: &mut Vec<u8>,
    ) -> WrittenReply {
        let start = out.len();
        let carrier = received.source.transport.carrier();
        let fits = encode(received.echo, answer, self.extras(received, cookie), carrier, out);
        if let Some(tsig) = received.tsig {
            // An unsigned error reply repeats names that the sender chose, so it may not fit. A signed reply always fits.
            let limit = size_limit(carrier, received.echo.edns);
            if tsig.is_signed() || out.len() - start + tsig.size() <= limit {
                tsig.append(out, start, self.clock.commit());
            }
        }
        let sent = observed(received, answer, cookie.state, ReplyOutcome::Sent);
        self.record(&Observed { is_truncated: !fits, size: out.len() - start, ..sent })
    }

    /// Appends an empty reply with TC. It claims NOERROR, since clients ignore the rest of a truncated message.
    fn slip(
        &self,
        received: Received<'_>,
        withheld: &Answer<'_>,
        cookie: CheckedCookie,
        out: &mut Vec<u8>,
    ) -> WrittenReply {
        let start = out.len();
        let Answer { asked, serial, .. } = *withheld;
        let answer = Answer { asked, serial, ..Answer::bare(ResponseCode::NoError) };
        let extras = Extras { must_truncate: true, ..self.extras(received, cookie) };
        encode(received.echo, &answer, extras, received.source.transport.carrier(), out);
        let sent = observed(received, &answer, cookie.state, ReplyOutcome::Slipped);
        self.record(&Observed { is_truncated: true, size: out.len() - start, ..sent })
    }

    fn extras<'a>(&'a self, received: Received<'a>, cookie: CheckedCookie) -> Extras<'a> {
        Extras {
            cookie: cookie.reply,
            nsid: self.policy.identity.nsid(),
            idle_timeout: self.policy.idle_timeout,
            must_truncate: false,
            is_padded: is_padded(received),
            tsig: received.tsig,
        }
    }

    fn check_cookie(&self, received: Received<'_>) -> CheckedCookie {
        let Some(edns) = received.echo.edns else {
            return CheckedCookie { state: CookieState::Absent, reply: None };
        };
        let Some(presented) = edns.cookie else {
            let state = if edns.has_malformed_cookie { CookieState::Malformed } else { CookieState::Absent };
            return CheckedCookie { state, reply: None };
        };
        let checked = self.policy.cookies.check(presented, received.source.address, self.clock.now());
        self.metrics.cookies[usize::from(checked.is_valid)].one();
        let state = match presented.server {
            _ if checked.is_valid => CookieState::Valid,
            Some(_) => CookieState::Invalid,
            None => CookieState::ClientOnly,
        };
        CheckedCookie { state, reply: Some(checked.reply) }
    }

    /// Counts a reply, and tells the observers.
    fn record(&self, observed: &Observed<'_>) -> WrittenReply {
        self.count(observed);
        if self.recorder.is_on()
            && let Some((query, name)) = observed.to_record()
        {
            self.recorder.record(query, name, observed.sent_values());
        }
        if self.watchers.are_there() {
            self.watchers.tell(self.clock.now(), observed);
        }
        let rcode = observed.answer.rcode;
        WrittenReply { rcode, is_truncated: observed.is_truncated, pause: Duration::ZERO }
    }

    fn count(&self, observed: &Observed<'_>) {
        match observed.outcome {
            ReplyOutcome::Sent => {}
            ReplyOutcome::Slipped => self.metrics.slipped.one(),
            ReplyOutcome::Dropped => return self.metrics.withheld.one(),
            ReplyOutcome::Unanswered => return self.metrics.dropped.one(),
        }
        let rtype = observed.echo.queried_type().unwrap_or(RecordType::ZERO);
        self.metrics.answered(rtype, observed.answer.rcode.into());
        if observed.is_truncated {
            self.metrics.truncated.one();
        }
        match observed.source.transport {
            // Most replies go over UDP. A counter of their own would slow down each one, and is the total less the others.
            Transport::Udp => {}
            Transport::Tcp => self.metrics.over_tcp.one(),
            Transport::Tls => self.metrics.over_tls.one(),
            Transport::Quic => self.metrics.over_quic.one(),
        }
    }
}

/// Whether the reply must be padded. Padding hides a length, so only a transport that hides the content has any use for
/// it (RFC 7830 section 6). Over TLS, replies to padded queries are padded; over QUIC, all replies (RFC 9250 section 5.4).
fn is_padded(received: Received<'_>) -> bool {
    match received.source.transport {
        Transport::Udp | Transport::Tcp => false,
        Transport::Tls => received.echo.edns.is_some_and(|edns| edns.padding),
        Transport::Quic => true,
    }
}

/// The observation of a message before a reply is written.
fn observed<'a>(
    received: Received<'a>,
    answer: &'a Answer<'a>,
    cookie: CookieState,
    outcome: ReplyOutcome,
) -> Observed<'a> {
    let Received { source, echo, tsig, updated } = received;
    Observed { source, echo, tsig, updated, cookie, answer, outcome, is_truncated: false, size: 0 }
}
