//! The read road: bytes of a query -> [`question::Question`] -> [`answer::Answer`] -> bytes.
//!
//! All listeners call one function, [`Responder::respond`]. It never waits, never touches the disk and logs nothing
//! per query. An UPDATE has to wait for the disk; it comes back as a thing to be carried out elsewhere ([`update`]).
//!
//! There is one codec and one road, not a fast one for the common query and a general one for the rest: what is
//! uncommon costs the common query a branch, the whole of it takes a quarter of a microsecond where the kernel takes
//! five, and two roads would have to be kept the same for ever. That it reads and writes what others do is tested
//! against a codec that is built on hickory-proto (`tests/differential.rs`); that it allocates nothing is measured by
//! `benches/answer.rs`.

pub mod answer;
pub mod dnssec;
pub mod ede;
pub mod encode;
pub mod identity;
pub mod limits;
pub mod listener;
pub mod question;
pub mod quic;
pub mod tcp;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod tsig;
pub mod udp;
pub mod update;
pub mod watch;
mod wire;

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tracing::error;

use crate::crypto::cookie::{CookieSecret, Cookies, Secrets};
use crate::metrics::Metrics;
use crate::model::name::{MAX_NAME, NameRef};
use crate::model::secret::RandomError;
use crate::model::time::{Clock, Timestamp};
use crate::zone::signing::Way;
use crate::zone::{Zone, Zones};

use answer::{Answer, answer};
use dnssec::{Proof, prove};
use ede::Ede;
use encode::{Carrier, Extras, encode, encode_fault};
use identity::Identity;
use limits::{Limits, Verdict};
use question::{Class, Echo, Question, Refusal};
use tsig::Seal;
use update::{Update, Updates};
use watch::Watchers;

/// By which listener a query came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Quic,
}

impl Transport {
    /// The name in lower case, for the operator.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Quic => "quic",
        }
    }

    fn carrier(self) -> Carrier {
        match self {
            Self::Udp => Carrier::Datagram,
            Self::Tcp | Self::Tls | Self::Quic => Carrier::Stream,
        }
    }

    fn way(self) -> Way {
        match self.carrier() {
            Carrier::Datagram => Way::Datagram,
            Carrier::Stream => Way::Stream,
        }
    }
}

/// Who asked, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source {
    /// The address that the query came from.
    pub address: IpAddr,
    /// The listener that it came by.
    pub transport: Transport,
}

/// A reply that has been written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Responded {
    /// Its response code.
    pub rcode: ResponseCode,
    /// Whether it did not fit and says so (TC).
    pub is_truncated: bool,
    /// How long the next query of the same connection must wait, so that signatures are made no faster than is good
    /// for everybody. Zero over UDP.
    pub pause: Duration,
}

/// What becomes of a message.
#[derive(Debug)]
pub enum Outcome {
    /// No reply.
    Silence,
    /// A reply, which has been written.
    Replied(Responded),
    /// An UPDATE that only the disk is left to wait for; nothing has been written.
    Update(Box<Update>),
}

impl Outcome {
    /// The reply that has been written, if one has.
    pub fn replied(self) -> Option<Responded> {
        match self {
            Self::Replied(responded) => Some(responded),
            Self::Silence | Self::Update(_) => None,
        }
    }
}

/// Who is replied to.
#[derive(Clone, Copy, Debug)]
struct Client<'s> {
    source: Source,
    /// What the reply ends with, where the client has signed.
    seal: Option<&'s Seal>,
}

/// Answers queries; a cheap handle that each listener thread has a clone of.
#[derive(Clone, Debug)]
pub struct Responder {
    zones: Zones,
    clock: Clock,
    metrics: Arc<Metrics>,
    watchers: Watchers,
    policy: ResponsePolicy,
    updates: Option<Updates>,
}

/// What surrounds the decision, and never enters it: who we say that we are, whom we know, and how much anybody gets.
#[derive(Clone, Debug)]
pub struct ResponsePolicy {
    /// What we say of ourselves.
    pub identity: Arc<Identity>,
    /// By which clients are known again.
    pub cookies: Cookies,
    /// How much a network that is not known gets.
    pub limits: Limits,
}

impl ResponsePolicy {
    /// With secrets of this process's own, no limits, and nothing said.
    pub fn plain() -> Result<Self, RandomError> {
        let secrets = Secrets { current: CookieSecret::random()?, previous: None };
        Ok(Self { identity: Arc::default(), cookies: Cookies::new(secrets), limits: Limits::new(0) })
    }
}

impl Responder {
    /// Answers from `zones` as of `clock`, counts in `metrics` and tells `watchers`.
    pub fn new(zones: Zones, clock: Clock, metrics: Arc<Metrics>, watchers: Watchers, policy: ResponsePolicy) -> Self {
        Self { zones, clock, metrics, watchers, policy, updates: None }
    }

    /// The same that also takes UPDATEs and knows who signs.
    pub fn with_updates(self, updates: Updates) -> Self {
        Self { updates: Some(updates), ..self }
    }

    /// Appends the reply to a message of any content to `out`, which is unchanged where there is none yet.
    ///
    /// A panic on the way is SERVFAIL for this one query, and the caller's loop goes on.
    pub fn respond(&self, packet: &[u8], source: Source, out: &mut Vec<u8>) -> Outcome {
        let outcome = self.caught(packet, out, |out| self.respond_or_panic(packet, source, out));
        let is_answered = !matches!(outcome, Outcome::Silence);
        match source.transport {
            // The many, for whom one more count would cost more than it tells: they are the rest of all.
            Transport::Udp => {}
            Transport::Tcp if is_answered => self.metrics.over_tcp.one(),
            Transport::Tls if is_answered => self.metrics.over_tls.one(),
            Transport::Quic if is_answered => self.metrics.over_quic.one(),
            _ => {}
        }
        outcome
    }

    /// The same with the reply's length before it, as on streams (RFC 1035 section 4.2.2).
    fn respond_framed(&self, packet: &[u8], source: Source, out: &mut Vec<u8>) -> Outcome {
        let start = out.len();
        out.extend_from_slice(&[0; 2]);
        let outcome = self.respond(packet, source, out);
        match &outcome {
            Outcome::Replied(_) => {
                // The encoder keeps to 65,535 bytes.
                let length = (out.len() - start - 2) as u16;
                out[start..start + 2].copy_from_slice(&length.to_be_bytes());
            }
            Outcome::Silence | Outcome::Update(_) => out.truncate(start),
        }
        outcome
    }

    fn respond_or_panic(&self, packet: &[u8], source: Source, out: &mut Vec<u8>) -> Outcome {
        let mut lower = [0; MAX_NAME];
        let client = Client { source, seal: None };
        match Question::read(packet, &mut lower) {
            Ok(question) => {
                let updates = self.updates.as_ref();
                let is_virtual = |name: NameRef<'_>| updates.is_some_and(|updates| updates.is_open_zone(name));
                self.answer(&question, client, is_virtual, out)
            }
            Err(Refusal::Drop) => {
                self.metrics.dropped.one();
                Outcome::Silence
            }
            Err(Refusal::Signed(echo)) => self.respond_signed(packet, &echo, source, out),
            Err(Refusal::Update(echo)) if self.updates.as_ref().is_some_and(Updates::are_on) => {
                self.refuse(&echo, ResponseCode::Refused, Some(Ede::NEEDS_TSIG), client, out)
            }
            Err(Refusal::Update(echo)) => self.refuse(&echo, ResponseCode::NotImp, None, client, out),
            Err(Refusal::Reply { echo, rcode, ede }) => self.refuse(&echo, rcode, ede, client, out),
        }
    }

    /// Answers a question. `is_virtual`: whether this client is told that a name outside of our zones is one.
    fn answer(
        &self,
        question: &Question<'_>,
        client: Client<'_>,
        is_virtual: impl Fn(NameRef<'_>) -> bool,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let (zones, now, source) = (self.zones.load(), self.clock.now(), client.source);
        let (answer, pause) = self.decide(&zones, question, is_virtual, source, now);
        if matches!(answer.proof, Proof::Withheld) && source.transport != Transport::Udp {
            // A stream has nowhere to send its client to: no answer, and the client asks again.
            self.metrics.dropped.one();
            return Outcome::Silence;
        }
        if self.watchers.are_there() {
            self.watchers.tell(now, source, question, &answer);
        }
        match self.reply(&question.echo, question.rtype(), &answer, client, out) {
            Some(replied) => Outcome::Replied(Responded { pause, ..replied }),
            None => Outcome::Silence,
        }
    }

    /// A reply without records.
    fn refuse(
        &self,
        echo: &Echo<'_>,
        rcode: ResponseCode,
        ede: Option<Ede>,
        client: Client<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let refusal = Answer { ede, ..Answer::bare(rcode) };
        self.reply(echo, RecordType::ZERO, &refusal, client, out).map_or(Outcome::Silence, Outcome::Replied)
    }

    /// The answer, and how long the next query of the same stream must wait for it.
    fn decide<'z>(
        &'z self,
        zones: &'z [Zone],
        question: &Question<'_>,
        is_virtual: impl Fn(NameRef<'_>) -> bool,
        source: Source,
        now: Timestamp,
    ) -> (Answer<'z>, Duration) {
        if question.class() == Class::Chaos {
            return (self.policy.identity.answer(question), Duration::ZERO);
        }
        let mut answer = answer(zones, question, is_virtual, now);
        let pause = prove(zones, question, source.transport.way(), &mut answer);
        answer.is_authoritative &= question.class() == Class::In;
        (answer, pause)
    }

    /// Writes an answer as far as the limits let it go out.
    fn reply(
        &self,
        echo: &Echo<'_>,
        rtype: RecordType,
        answer: &Answer<'_>,
        client: Client<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Responded> {
        let Client { source, seal } = client;
        let presented = echo.edns.and_then(|edns| edns.cookie);
        let judge = |presented| self.policy.cookies.judge(presented, source.address, self.clock.now());
        let cookie = presented.map(judge);
        if let Some(cookie) = cookie {
            self.metrics.cookies[usize::from(cookie.is_valid)].one();
        }
        let is_known = cookie.is_some_and(|cookie| cookie.is_valid) || seal.is_some_and(Seal::is_signed);
        let verdict = self.policy.limits.judge(source, answer, is_known);
        if verdict == Verdict::Drop {
            self.metrics.withheld.one();
            return None;
        }
        let cookie = cookie.map(|cookie| cookie.reply);
        let mut extras = Extras { cookie, nsid: self.policy.identity.nsid(), cut: false, seal };
        let carrier = source.transport.carrier();
        if verdict == Verdict::Slip {
            self.metrics.slipped.one();
            extras.cut = true;
            // Of a truncated message nothing is to be believed but that it is one.
            encode(echo, &Answer::bare(ResponseCode::NoError), extras, carrier, out);
            return Some(self.count(rtype, ResponseCode::NoError, false));
        }
        let start = out.len();
        let fits = encode(echo, answer, extras, carrier, out);
        // An error repeats names as long as who sends them likes; a signed reply always fits.
        let is_room = |seal: &Seal| out.len() - start + seal.bytes() <= carrier.limit(echo.edns);
        if let Some(seal) = seal.filter(|seal| seal.is_signed() || is_room(seal)) {
            seal.append(out, start, self.clock.commit());
        }
        Some(self.count(rtype, answer.rcode, fits))
    }

    fn count(&self, rtype: RecordType, rcode: ResponseCode, fits: bool) -> Responded {
        self.metrics.answered(rtype, rcode.into());
        if !fits {
            self.metrics.truncated.one();
        }
        Responded { rcode, is_truncated: !fits, pause: Duration::ZERO }
    }

    fn caught(&self, packet: &[u8], out: &mut Vec<u8>, respond: impl FnOnce(&mut Vec<u8>) -> Outcome) -> Outcome {
        let start = out.len();
        // The zones are only read here and `out` is cut back, so nothing is left half done.
        catch_unwind(AssertUnwindSafe(|| respond(out))).unwrap_or_else(|_| {
            error!("a query of {} bytes met a fault of ours and gets SERVFAIL", packet.len());
            out.truncate(start);
            if !encode_fault(packet, out) {
                return Outcome::Silence;
            }
            Outcome::Replied(self.count(RecordType::ZERO, ResponseCode::ServFail, true))
        })
    }
}

/// A count that a loop raises on each turn, also when idle, several times a second: a watchdog sees it stand still.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// The count.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
