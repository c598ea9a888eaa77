//! From the query path to the query log: a bounded queue for each thread that answers queries.
//!
//! A queue is a few buffers, each behind a lock that both sides only try. The thread appends to the first buffer that it
//! can have; the log takes a whole buffer away and leaves an empty one. So the query path never waits: not for the log,
//! which holds a lock for the time of one swap, and not for memory, which is allocated at the start. A channel would
//! need a record of a fixed size, with room for the longest name, or an allocation for each query. The log is woken once
//! for each half of a buffer, not for each query.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::sync::Notify;

use crate::model::serial::Serial;
use crate::model::time::PreciseTimestamp;

use super::message::{CookieState, ReplyOutcome, Transport};

#[cfg(test)]
pub mod tests;

/// Queries in one buffer. At 4 us a query, a thread that does nothing else fills two buffers in 8 ms.
const QUERIES: usize = 1_024;
/// Bytes of names and values in one buffer.
const BYTES: usize = 128 * 1_024;
/// Queries of one network that a queue takes in a second. A flood from one network leaves room for all others, and costs the
/// log next to nothing; a validation is a handful of queries from each network.
const PER_NETWORK: u32 = 1_000;
/// Counters of networks. Networks with the same hash share one.
const COUNTERS: usize = 1_024;
/// Buffers of the queue of one thread: the second takes the queries while the log empties the first.
pub const ONE_THREAD: usize = 2;
/// Buffers of a queue that the threads of the runtime share: whoever finds one in use takes the next.
pub const SHARED: usize = 4;

/// A query and its reply, without the name and the values.
#[derive(Clone, Copy, Debug)]
pub struct QueryRecord {
    /// When the reply was written.
    pub at: PreciseTimestamp,
    /// The zone's serial, read together with the records of the reply.
    pub serial: Serial,
    /// The sender's address.
    pub source: IpAddr,
    /// The sender's port; 0 where it is not known.
    pub port: u16,
    /// The address and port that the query was sent to.
    pub listener: SocketAddr,
    pub transport: Transport,
    /// The type of the question.
    pub rtype: RecordType,
    /// The UDP size that the client offers, in bytes; `None` without EDNS.
    pub edns_size: Option<u16>,
    /// Whether the client asks for DNSSEC records.
    pub dnssec_ok: bool,
    pub cookie: CookieState,
    /// The response code; of a reply that was held back, the code that it would have had.
    pub rcode: ResponseCode,
    pub outcome: ReplyOutcome,
    /// Whether the reply had TC set.
    pub is_truncated: bool,
    /// Whether the name lies below that of an owner.
    pub is_below: bool,
}

/// The queue of one listener's thread, or of the tasks of one listener.
#[derive(Debug)]
pub struct Queue {
    buffers: Box<[Mutex<Buffer>]>,
    counters: NetworkCounters,
    lost: AtomicU64,
    over_share: AtomicU64,
    /// Told when half of a buffer is in use.
    filling: Arc<Notify>,
}

/// Queries that are not in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Missed {
    /// Those that no buffer had room for. They may have been anybody's, so nothing is complete any more.
    pub lost: u64,
    /// Those past their network's share. The log has what the network asked before them, and all that others asked.
    pub over_share: u64,
}

impl AddAssign for Missed {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.over_share += other.over_share;
    }
}

/// How many queries each network has sent in this second.
#[derive(Debug)]
struct NetworkCounters {
    /// The second in the upper half, and the count in the lower one.
    counters: Box<[AtomicU32]>,
    /// Odd and random, so that nobody can choose which networks share a counter.
    key: u64,
}

impl NetworkCounters {
    fn new() -> Self {
        let key = RandomState::new().hash_one(0) | 1;
        Self { counters: (0..COUNTERS).map(|_| AtomicU32::new(0)).collect(), key }
    }

    /// Counts a query; false where its network has sent too many. Threads that share a queue may count a few too little.
    fn admits(&self, source: IpAddr, at: PreciseTimestamp) -> bool {
        let second = (at.as_millis() / 1_000) as u32 & 0xffff;
        let counter = &self.counters[self.index(source)];
        let found = counter.load(Ordering::Relaxed);
        let count = if found >> 16 == second { found & 0xffff } else { 0 };
        let is_admitted = count < PER_NETWORK;
        if is_admitted {
            counter.store(second << 16 | (count + 1), Ordering::Relaxed);
        }
        is_admitted
    }

    /// The upper bits of a product are the ones that depend on all bits of its factors.
    fn index(&self, source: IpAddr) -> usize {
        let network = match source {
            IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
            IpAddr::V6(v6) => (v6.to_bits() >> 80) as u64 | 1 << 63,
        };
        (network.wrapping_mul(self.key) >> 32) as usize % COUNTERS
    }
}

impl Queue {
    /// An empty queue of so many buffers, which tells `filling` when half of one is in use.
    pub fn new(buffers: usize, filling: Arc<Notify>) -> Self {
        let buffers = (0..buffers).map(|_| Mutex::new(Buffer::empty())).collect();
        let (lost, over_share) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { buffers, counters: NetworkCounters::new(), lost, over_share, filling }
    }

    /// Appends a query, its name in uncompressed wire form and the values in its reply. Counts it where no
    /// buffer has room, or its network has sent too many. Never waits, and never allocates.
    pub fn push<'v>(&self, record: QueryRecord, name: &[u8], values: impl Iterator<Item = &'v [u8]> + Clone) {
        if !self.counters.admits(record.source, record.at) {
            self.over_share.fetch_add(1, Ordering::Relaxed);
            return;
        }
        for buffer in &self.buffers {
            let mut buffer = match buffer.try_lock() {
                Ok(buffer) => buffer,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => continue,
            };
            let was_filling = buffer.is_filling();
            if buffer.push(record, name, values.clone()) {
                let is_filling = buffer.is_filling();
                drop(buffer);
                if is_filling && !was_filling {
                    self.filling.notify_one();
                }
                return;
            }
        }
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes what has been queued since the last time, a buffer at a time. `spare` is an empty buffer, and is one again
    /// afterwards. Returns how many queries were missed meanwhile.
    pub fn drain(&self, spare: &mut Buffer, mut each: impl FnMut(&Buffer)) -> Missed {
        for buffer in &self.buffers {
            std::mem::swap(&mut *locked(buffer), spare);
            each(spare);
            spare.clear();
        }
        let taken = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        Missed { lost: taken(&self.lost), over_share: taken(&self.over_share) }
    }
}

#[cfg(test)]
impl Queue {
    /// Keeps the first buffer in use.
    pub fn hold_first(&self) -> MutexGuard<'_, Buffer> {
        locked(&self.buffers[0])
    }
}

/// A panic never leaves a buffer with half a query: the query counts once its record is in place.
fn locked(buffer: &Mutex<Buffer>) -> MutexGuard<'_, Buffer> {
    buffer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Queries in the order in which they were answered.
#[derive(Debug)]
pub struct Buffer {
    queries: Vec<QueuedQuery>,
    bytes: Vec<u8>,
}

/// A record, and where its name and values end in the bytes. They begin where those of the record before end.
#[derive(Clone, Copy, Debug)]
struct QueuedQuery {
    record: QueryRecord,
    name_end: u32,
    end: u32,
}

/// A query in a buffer.
#[derive(Clone, Copy, Debug)]
pub struct BufferedQuery<'b> {
    pub record: QueryRecord,
    /// The name as sent, in uncompressed wire form.
    pub name: &'b [u8],
    values: &'b [u8],
}

impl Buffer {
    /// A buffer with all the memory that it ever has.
    pub fn empty() -> Self {
        Self { queries: Vec::with_capacity(QUERIES), bytes: Vec::with_capacity(BYTES) }
    }

    /// The queries, in their order.
    pub fn queries(&self) -> impl Iterator<Item = BufferedQuery<'_>> {
        let starts = [0].into_iter().chain(self.queries.iter().map(|query| query.end as usize));
        self.queries.iter().zip(starts).map(|(query, start)| {
            let (name_end, end) = (query.name_end as usize, query.end as usize);
            BufferedQuery {
                record: query.record,
                name: &self.bytes[start..name_end],
                values: &self.bytes[name_end..end],
            }
        })
    }

    fn clear(&mut self) {
        self.queries.clear();
        self.bytes.clear();
    }

    /// Whether half of the room is in use, so that it is time to empty the buffer.
    fn is_filling(&self) -> bool {
        self.queries.len() >= QUERIES / 2 || self.bytes.len() >= BYTES / 2
    }

    /// False where there is no room.
    fn push<'v>(&mut self, record: QueryRecord, name: &[u8], values: impl Iterator<Item = &'v [u8]>) -> bool {
        if self.queries.len() == QUERIES {
            return false;
        }
        let start = self.queries.last().map_or(0, |query| query.end as usize);
        // Bytes of a query that did not fit, or of a panic, are overwritten.
        self.bytes.truncate(start);
        if !self.append(name) {
            return false;
        }
        let name_end = self.bytes.len() as u32;
        for value in values {
            // No TXT value comes near 65,535 bytes.
            if !self.append(&(value.len() as u16).to_be_bytes()) || !self.append(value) {
                return false;
            }
        }
        self.queries.push(QueuedQuery { record, name_end, end: self.bytes.len() as u32 });
        true
    }

    fn append(&mut self, bytes: &[u8]) -> bool {
        let has_room = self.bytes.len() + bytes.len() <= BYTES;
        if has_room {
            self.bytes.extend_from_slice(bytes);
        }
        has_room
    }
}

impl<'b> BufferedQuery<'b> {
    /// The TXT values in the reply, in its order.
    pub fn values(&self) -> impl Iterator<Item = &'b [u8]> + Clone {
        let mut rest = self.values;
        std::iter::from_fn(move || {
            let (length, behind) = rest.split_first_chunk()?;
            let (value, behind) = behind.split_at_checked(u16::from_be_bytes(*length).into())?;
            rest = behind;
            Some(value)
        })
    }
}
