//! The read road: octets of a query -> [`question::Question`] -> [`answer::Answer`] -> octets.
//!
//! All listeners call one function, [`Responder::respond`]. It never waits, never touches the disk and logs nothing
//! per query.
//!
//! There is one codec and one road, not a fast one for the common query and a general one for the rest: what is
//! uncommon costs the common query a branch, the whole of it takes a quarter of a microsecond where the kernel takes
//! five, and two roads would have to be kept the same for ever. That it reads and writes what others do is tested
//! against a codec that is built on hickory-proto (`tests/differential.rs`); that it allocates nothing is measured by
//! `benches/answer.rs`.

pub mod answer;
pub mod ask;
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

use crate::cookie::{CookieSecret, Cookies, Secrets};
use crate::metrics::Metrics;
use crate::name::MAX_NAME;
use crate::secret::RandomError;
use crate::time::{Clock, Timestamp};
use crate::zone::signing::Way;
use crate::zone::{Zone, Zones};

use answer::{Answer, answer};
use dnssec::{Proof, prove};
use encode::{Carrier, Extras, encode, encode_fault};
use identity::Identity;
use limits::{Limits, Verdict};
use question::{Class, Echo, Question, Refusal};
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

/// Answers queries; a cheap handle that each listener thread has a clone of.
#[derive(Clone, Debug)]
pub struct Responder {
    zones: Zones,
    clock: Clock,
    metrics: Arc<Metrics>,
    watchers: Watchers,
    manners: Manners,
}

/// What surrounds the decision, and never enters it: who we say that we are, whom we know, and how much anybody gets.
#[derive(Clone, Debug)]
pub struct Manners {
    /// What we say of ourselves.
    pub identity: Arc<Identity>,
    /// By which clients are known again.
    pub cookies: Cookies,
    /// How much a network that is not known gets.
    pub limits: Limits,
}

impl Manners {
    /// With secrets of this process's own, no limits, and nothing said.
    pub fn plain() -> Result<Self, RandomError> {
        let secrets = Secrets { current: CookieSecret::random()?, previous: None };
        Ok(Self { identity: Arc::default(), cookies: Cookies::new(secrets), limits: Limits::new(0) })
    }
}

impl Responder {
    /// Answers from `zones` as of `clock`, counts in `metrics` and tells `watchers`.
    pub fn new(zones: Zones, clock: Clock, metrics: Arc<Metrics>, watchers: Watchers, manners: Manners) -> Self {
        Self { zones, clock, metrics, watchers, manners }
    }

    /// Appends the reply to a message of any content to `out`. `None`: it gets no reply, and `out` is unchanged.
    ///
    /// A panic on the way is SERVFAIL for this one query, and the caller's loop goes on.
    pub fn respond(&self, packet: &[u8], source: Source, out: &mut Vec<u8>) -> Option<Responded> {
        let responded = self.caught(packet, out, |out| self.respond_or_panic(packet, source, out))?;
        match source.transport {
            // The many, for whom one more count would cost more than it tells: they are the rest of all.
            Transport::Udp => {}
            Transport::Tcp => self.metrics.over_tcp.one(),
            Transport::Tls => self.metrics.over_tls.one(),
            Transport::Quic => self.metrics.over_quic.one(),
        }
        Some(responded)
    }

    /// The same with the reply's length before it, as on streams (RFC 1035 section 4.2.2).
    fn respond_framed(&self, packet: &[u8], source: Source, out: &mut Vec<u8>) -> Option<Responded> {
        let start = out.len();
        out.extend_from_slice(&[0; 2]);
        let Some(responded) = self.respond(packet, source, out) else {
            out.truncate(start);
            return None;
        };
        // The encoder keeps to 65,535 octets.
        let length = (out.len() - start - 2) as u16;
        out[start..start + 2].copy_from_slice(&length.to_be_bytes());
        Some(responded)
    }

    fn respond_or_panic(&self, packet: &[u8], source: Source, out: &mut Vec<u8>) -> Option<Responded> {
        let mut lower = [0; MAX_NAME];
        let now = self.clock.now();
        match Question::read(packet, &mut lower) {
            Ok(question) => {
                let zones = self.zones.load();
                let (answer, pause) = self.decide(&zones, &question, source, now);
                if matches!(answer.proof, Proof::Withheld) && source.transport != Transport::Udp {
                    // A stream has nowhere to send its client to: no answer, and the client asks again.
                    self.metrics.dropped.one();
                    return None;
                }
                if self.watchers.are_there() {
                    self.watchers.tell(now, source, &question, &answer);
                }
                let replied = self.reply(&question.echo, question.rtype(), &answer, source, now, out)?;
                Some(Responded { pause, ..replied })
            }
            Err(Refusal::Drop) => {
                self.metrics.dropped.one();
                None
            }
            Err(Refusal::Reply { echo, rcode, ede }) => {
                let refusal = Answer { ede, ..Answer::bare(rcode) };
                self.reply(&echo, RecordType::ZERO, &refusal, source, now, out)
            }
        }
    }

    /// The answer, and how long the next query of the same stream must wait for it.
    fn decide<'z>(
        &'z self,
        zones: &'z [Zone],
        question: &Question<'_>,
        source: Source,
        now: Timestamp,
    ) -> (Answer<'z>, Duration) {
        if question.class() == Class::Chaos {
            return (self.manners.identity.answer(question), Duration::ZERO);
        }
        let mut answer = answer(zones, question, now);
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
        source: Source,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Option<Responded> {
        let presented = echo.edns.and_then(|edns| edns.cookie);
        let cookie = presented.map(|presented| self.manners.cookies.judge(presented, source.address, now));
        if let Some(cookie) = cookie {
            self.metrics.cookies[usize::from(cookie.is_valid)].one();
        }
        let is_known = cookie.is_some_and(|cookie| cookie.is_valid);
        let verdict = self.manners.limits.judge(source, answer, is_known);
        if verdict == Verdict::Drop {
            self.metrics.withheld.one();
            return None;
        }
        let cookie = cookie.map(|cookie| cookie.reply);
        let mut extras = Extras { cookie, nsid: self.manners.identity.nsid(), cut: false };
        let carrier = source.transport.carrier();
        if verdict == Verdict::Slip {
            self.metrics.slipped.one();
            extras.cut = true;
            // Of a truncated message nothing is to be believed but that it is one.
            encode(echo, &Answer::bare(ResponseCode::NoError), extras, carrier, out);
            return Some(self.count(rtype, ResponseCode::NoError, false));
        }
        let fits = encode(echo, answer, extras, carrier, out);
        Some(self.count(rtype, answer.rcode, fits))
    }

    fn count(&self, rtype: RecordType, rcode: ResponseCode, fits: bool) -> Responded {
        self.metrics.answered(rtype, rcode.into());
        if !fits {
            self.metrics.truncated.one();
        }
        Responded { rcode, is_truncated: !fits, pause: Duration::ZERO }
    }

    fn caught(
        &self,
        packet: &[u8],
        out: &mut Vec<u8>,
        respond: impl FnOnce(&mut Vec<u8>) -> Option<Responded>,
    ) -> Option<Responded> {
        let start = out.len();
        // The zones are only read here and `out` is cut back, so nothing is left half done.
        catch_unwind(AssertUnwindSafe(|| respond(out))).unwrap_or_else(|_| {
            error!("a query of {} octets met a fault of ours and gets SERVFAIL", packet.len());
            out.truncate(start);
            encode_fault(packet, out).then(|| self.count(RecordType::ZERO, ResponseCode::ServFail, true))
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
