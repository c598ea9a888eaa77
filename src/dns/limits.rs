//! Response rate limiting: what a forged source address can have us send to its real owner.
//!
//! Counted by network (/24, /56), for datagrams alone. Past the limit an answer becomes a truncated one, no larger than
//! its query: who really asked comes again by TCP and gets it, so that nobody is ever locked out of a zone by queries
//! in his name. Errors are no use to anybody who asks in earnest and are not sent at all.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;

use crate::model::prefix::Prefix;
use crate::model::txt::TXT_VALUE;

use super::answer::{Answer, Records};
use super::signatures::SigningOutcome;
use super::source::{MessageSource, Transport};

/// Places for networks: half a megabyte, and never more. Networks that meet in a place share its limit. Forged sources
/// from everywhere spread over all networks and fill none; which ones meet is random at each start, so that nobody can
/// choose his neighbour.
const NETWORKS: usize = 32_768;
/// How long a network may save up what it does not use.
const BURST: Duration = Duration::from_secs(1);

/// Live values that make a reply which is not worth having sent to somebody else: 56 bytes each. A certificate for a
/// name and its wildcard needs two at a time.
const FEW: usize = 4;
/// Bytes of so many; persistent values are longer.
const FEW_BYTES: usize = FEW * TXT_VALUE;

/// What becomes of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitAction {
    /// It is sent.
    Send,
    /// An empty reply with TC is sent in its place, and the client can retry over TCP.
    Slip,
    /// Nothing is sent.
    Drop,
}

/// The limits, for all threads; a cheap handle. A place is an atomic of its own: nobody waits for anybody.
#[derive(Clone)]
pub struct ReplyLimits(Option<Arc<BucketTable>>);

struct BucketTable {
    /// Nanoseconds of the bucket that one answer fills.
    share: u64,
    started: Instant,
    spread: RandomState,
    networks: Box<[NetworkBuckets]>,
}

/// Two leaky buckets. Each is the time, in nanoseconds since the start, at which it will have run empty.
#[derive(Default)]
struct NetworkBuckets {
    answers: AtomicU64,
    errors: AtomicU64,
}

impl fmt::Debug for ReplyLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyLimits").field("share", &self.0.as_ref().map(|table| table.share)).finish_non_exhaustive()
    }
}

impl ReplyLimits {
    /// So many answers a second for each network, and as many errors; 0: no limit.
    pub fn new(per_second: u32) -> Self {
        Self((per_second > 0).then(|| {
            Arc::new(BucketTable {
                share: 1_000_000_000 / u64::from(per_second),
                started: Instant::now(),
                spread: RandomState::new(),
                networks: (0..NETWORKS).map(|_| NetworkBuckets::default()).collect(),
            })
        }))
    }

    /// Judges an answer. `is_known`: the client has shown a cookie of ours, so that its address is its own.
    ///
    /// Live values are exempt where they are few and not signed: they are what all of this is for, and little larger
    /// than their query. With signatures, or behind a chain of aliases, they would be worth having sent to somebody
    /// else.
    pub fn judge(&self, source: MessageSource, answer: &Answer<'_>, is_known: bool) -> LimitAction {
        let Some(table) = &self.0 else { return LimitAction::Send };
        let is_exempt = source.transport != Transport::Udp || is_known || source.address.is_loopback();
        if is_exempt || is_small(answer) {
            return LimitAction::Send;
        }
        let now = u64::try_from(table.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        table.judge(Prefix::of(source.address), answer.rcode, now)
    }
}

fn is_small(answer: &Answer<'_>) -> bool {
    match (&answer.records, &answer.signing) {
        (Records::Live(txt), SigningOutcome::Unsigned) => {
            let bytes: usize = txt.texts().take(FEW + 1).map(<[u8]>::len).sum();
            answer.aliases.is_empty() && bytes <= FEW_BYTES
        }
        _ => false,
    }
}

impl BucketTable {
    fn judge(&self, prefix: Prefix, rcode: ResponseCode, now: u64) -> LimitAction {
        // The remainder is below NETWORKS, so the cast and the index always fit.
        let place = &self.networks[(self.spread.hash_one(prefix) % NETWORKS as u64) as usize];
        let (bucket, past_it) = match rcode {
            ResponseCode::NoError | ResponseCode::NXDomain => (&place.answers, LimitAction::Slip),
            _ => (&place.errors, LimitAction::Drop),
        };
        if self.has_room(bucket, now) { LimitAction::Send } else { past_it }
    }

    /// Puts one answer into the bucket, if there is room for it.
    fn has_room(&self, bucket: &AtomicU64, now: u64) -> bool {
        let filled = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |empty_at| {
            let empty_at = empty_at.max(now) + self.share;
            (empty_at - now <= BURST.as_nanos() as u64).then_some(empty_at)
        });
        filled.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const NAME_ERROR: ResponseCode = ResponseCode::NXDomain;

    fn prefix(third: u8) -> Prefix {
        Prefix::V4([192, 0, third])
    }

    fn table(limits: &ReplyLimits) -> &BucketTable {
        limits.0.as_ref().unwrap()
    }

    /// How many of 1,000 answers at one moment are sent, and what becomes of the last.
    fn burst(limits: &ReplyLimits, prefix: Prefix, rcode: ResponseCode, now: u64) -> (usize, LimitAction) {
        let verdicts: Vec<_> = (0..1_000).map(|_| table(limits).judge(prefix, rcode, now)).collect();
        (verdicts.iter().filter(|verdict| **verdict == LimitAction::Send).count(), verdicts[999])
    }

    /// Another network that does not happen to share the first one's place.
    fn elsewhere(limits: &ReplyLimits) -> Prefix {
        let at = |prefix| table(limits).spread.hash_one(prefix) % NETWORKS as u64;
        (1..=255).map(prefix).find(|other| at(*other) != at(prefix(0))).unwrap()
    }

    #[test]
    fn past_the_limit_answers_slip_and_errors_are_dropped() {
        let limits = ReplyLimits::new(100);
        assert_eq!(burst(&limits, prefix(0), NAME_ERROR, SECOND), (100, LimitAction::Slip));
        assert_eq!(
            burst(&limits, prefix(0), ResponseCode::NoError, SECOND),
            (0, LimitAction::Slip),
            "one bucket for both"
        );
        assert_eq!(
            burst(&limits, prefix(0), ResponseCode::Refused, SECOND),
            (100, LimitAction::Drop),
            "errors: another"
        );
        assert_eq!(burst(&limits, prefix(0), ResponseCode::FormErr, SECOND), (0, LimitAction::Drop));
        assert_eq!(burst(&limits, elsewhere(&limits), NAME_ERROR, SECOND).0, 100, "another network");
    }

    #[test]
    fn the_rate_holds_over_time_and_nobody_saves_up_more_than_a_second() {
        let limits = ReplyLimits::new(100);
        assert_eq!(burst(&limits, prefix(0), NAME_ERROR, SECOND).0, 100);
        assert_eq!(burst(&limits, prefix(0), NAME_ERROR, SECOND + SECOND / 2).0, 50);
        assert_eq!(burst(&limits, prefix(0), NAME_ERROR, 900 * SECOND).0, 100);
    }

    #[test]
    fn threads_together_keep_to_the_limit() {
        let limits = ReplyLimits::new(100);
        let sent: usize = std::thread::scope(|scope| {
            let one = || scope.spawn(|| burst(&limits, prefix(0), NAME_ERROR, SECOND).0);
            let threads: Vec<_> = (0..4).map(|_| one()).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(sent, 100);
    }

    #[test]
    fn a_flood_from_everywhere_limits_nobody() {
        let limits = ReplyLimits::new(100);
        // 20,000 a second from 65,536 networks, for three seconds.
        let slipped = (0..60_000_u64).filter(|turn| {
            let prefix = Prefix::V4([203, (turn >> 8) as u8, *turn as u8]);
            table(&limits).judge(prefix, NAME_ERROR, SECOND + turn * SECOND / 20_000) != LimitAction::Send
        });
        assert_eq!(slipped.count(), 0);
        assert_eq!(burst(&limits, prefix(0), NAME_ERROR, 5 * SECOND).0, 100);
    }
}
