//! Response rate limiting: how much traffic forged source addresses can direct at the real owner of an address.
//!
//! Replies over UDP are counted by network (/24, /56). Past the limit, an answer is replaced with an empty reply with TC,
//! which is no larger than its query. A real client retries over TCP and gets the answer, so that forged queries cannot
//! lock a network out of a zone. Errors past the limit are not sent: no real client needs them.

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

/// Pairs of buckets in the table, which takes half a megabyte. Networks with the same hash share a pair and its limits.
/// Forged sources from everywhere spread over all pairs and fill none. The hash is keyed at random at each start, so that
/// nobody can choose which networks share a pair.
const PAIRS: usize = 32_768;
/// How much unused allowance a network may save up.
const BURST: Duration = Duration::from_secs(1);

/// Live values, of 56 bytes each, in a reply that is too small to be useful for an attack by amplification. A
/// certificate for a name and its wildcard needs two at a time.
const FEW: usize = 4;
/// The text bytes of so many challenge values; persistent values are longer.
const FEW_BYTES: usize = FEW * TXT_VALUE;

/// What the limit does with an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitAction {
    /// The answer is sent.
    Send,
    /// An empty reply with TC is sent in its place, and the client can retry over TCP.
    Slip,
    /// Nothing is sent.
    Drop,
}

/// The limits, shared by all threads; a cheap handle. Each bucket is one atomic, so no thread waits for another.
#[derive(Clone)]
pub struct ReplyLimits(Option<Arc<BucketTable>>);

struct BucketTable {
    /// Nanoseconds by which one answer fills a bucket.
    share: u64,
    started: Instant,
    hash: RandomState,
    pairs: Box<[BucketPair]>,
}

/// Two leaky buckets of a network. Each holds the time, in nanoseconds since the start, at which it runs empty.
#[derive(Default)]
struct BucketPair {
    answers: AtomicU64,
    errors: AtomicU64,
}

impl fmt::Debug for ReplyLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyLimits").field("share", &self.0.as_ref().map(|table| table.share)).finish_non_exhaustive()
    }
}

impl ReplyLimits {
    /// Allows each network `per_second` answers a second, and as many errors. 0 means no limit.
    pub fn new(per_second: u32) -> Self {
        if per_second == 0 {
            return Self(None);
        }
        Self(Some(Arc::new(BucketTable {
            share: 1_000_000_000 / u64::from(per_second),
            started: Instant::now(),
            hash: RandomState::new(),
            pairs: (0..PAIRS).map(|_| BucketPair::default()).collect(),
        })))
    }

    /// Judges an answer. `is_known`: a valid cookie or signature proves that the client's address is not forged.
    ///
    /// A few unsigned live values are exempt: serving them is the server's purpose, and the reply is little larger than
    /// the query. With signatures, or behind a chain of aliases, the reply is large enough for an attack.
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
        let pair = &self.pairs[self.index(prefix)];
        match rcode {
            ResponseCode::NoError | ResponseCode::NXDomain if !self.has_room(&pair.answers, now) => LimitAction::Slip,
            ResponseCode::NoError | ResponseCode::NXDomain => LimitAction::Send,
            _ if !self.has_room(&pair.errors, now) => LimitAction::Drop,
            _ => LimitAction::Send,
        }
    }

    /// The index of a network's buckets. The remainder is below `PAIRS`, so the cast and the index always fit.
    fn index(&self, prefix: Prefix) -> usize {
        (self.hash.hash_one(prefix) % PAIRS as u64) as usize
    }

    /// Adds one answer to the bucket, if there is room for it.
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
        let actions: Vec<_> = (0..1_000).map(|_| table(limits).judge(prefix, rcode, now)).collect();
        (actions.iter().filter(|action| **action == LimitAction::Send).count(), actions[999])
    }

    /// Another network that does not share the first one's buckets.
    fn elsewhere(limits: &ReplyLimits) -> Prefix {
        let table = table(limits);
        (1..=255).map(prefix).find(|other| table.index(*other) != table.index(prefix(0))).unwrap()
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
    fn the_rate_holds_over_time_and_a_network_saves_up_no_more_than_a_second() {
        let limits = ReplyLimits::new(100);
        assert_eq!(burst(&limits, prefix(0), NAME_ERROR, SECOND).0, 100);
        assert_eq!(burst(&limits, prefix(0), NAME_ERROR, SECOND + SECOND / 2).0, 50);
        assert_eq!(burst(&limits, prefix(0), NAME_ERROR, 900 * SECOND).0, 100);
    }

    #[test]
    fn threads_together_keep_to_the_limit() {
        let limits = ReplyLimits::new(100);
        let sent: usize = std::thread::scope(|scope| {
            let burst = || burst(&limits, prefix(0), NAME_ERROR, SECOND).0;
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(burst)).collect();
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
