//! The read road: octets of a query -> [`question::Question`] -> [`answer::Answer`] -> octets.
//!
//! All listeners call one function, [`Responder::respond`]. It never waits, never touches the disk and logs nothing
//! per query.

pub mod answer;
pub mod ask;
pub mod dnssec;
pub mod ede;
pub mod encode;
pub mod question;
pub mod tcp;
#[cfg(test)]
mod tests;
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

use crate::metrics::Metrics;
use crate::name::MAX_NAME;
use crate::time::Clock;
use crate::zone::Zones;
use crate::zone::signing::Way;

use answer::{Answer, answer};
use dnssec::{Proof, prove};
use encode::{Carrier, encode, encode_fault};
use question::{Question, Refusal};
use watch::Watchers;

/// By which listener a query came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    /// The name in lower case, for the operator.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    fn carrier(self) -> Carrier {
        match self {
            Self::Udp => Carrier::Datagram,
            Self::Tcp => Carrier::Stream,
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
}

impl Responder {
    /// Answers from `zones` as of `clock`, counts in `metrics` and tells `watchers`.
    pub fn new(zones: Zones, clock: Clock, metrics: Arc<Metrics>, watchers: Watchers) -> Self {
        Self { zones, clock, metrics, watchers }
    }

    /// Appends the reply to a message of any content to `out`. `None`: it gets no reply, and `out` is unchanged.
    ///
    /// A panic on the way is SERVFAIL for this one query, and the caller's loop goes on.
    pub fn respond(&self, packet: &[u8], source: Source, out: &mut Vec<u8>) -> Option<Responded> {
        self.caught(packet, out, |out| self.respond_or_panic(packet, source, out))
    }

    fn respond_or_panic(&self, packet: &[u8], source: Source, out: &mut Vec<u8>) -> Option<Responded> {
        let mut lower = [0; MAX_NAME];
        let question = match Question::read(packet, &mut lower) {
            Ok(question) => question,
            Err(Refusal::Drop) => {
                self.metrics.dropped.one();
                return None;
            }
            Err(Refusal::Reply { echo, rcode, ede }) => {
                let refusal = Answer { ede, ..Answer::bare(rcode) };
                let fits = encode(&echo, &refusal, source.transport.carrier(), out);
                return Some(self.count(RecordType::ZERO, rcode, fits));
            }
        };
        let zones = self.zones.load();
        let now = self.clock.now();
        let mut answer = answer(&zones, &question, now);
        let pause = prove(&zones, &question, source.transport.way(), now, &mut answer);
        if matches!(answer.proof, Proof::Withheld) && source.transport != Transport::Udp {
            // A stream has nowhere to send its client to: no answer, and the client asks again.
            self.metrics.dropped.one();
            return None;
        }
        let fits = encode(&question.echo, &answer, source.transport.carrier(), out);
        if self.watchers.are_there() {
            self.watchers.tell(now, source, &question, &answer);
        }
        Some(Responded { pause, ..self.count(question.rtype(), answer.rcode, fits) })
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
