//! Recent messages of an account, so that a message that is sent again is not carried out again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hickory_proto::op::ResponseCode;

use crate::crypto::tsig::Mac;
use crate::model::time::Timestamp;

/// The most messages of one account in progress.
const AT_ONCE: usize = 32;
/// The most finished messages of one account that are remembered; the oldest are forgotten first. About 100 KiB for an
/// account that sends so many.
const REMEMBERED: usize = 1_024;

/// Identifies a message: its MAC.
type Tag = Box<[u8]>;

/// One account's messages: those in progress, and finished ones that could still be replayed. RFC 8945 section 10 leaves
/// replays within the time window to the server.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    messages: HashMap<Tag, Message>,
    /// The finished messages, the oldest first.
    done: VecDeque<Tag>,
}

#[derive(Debug)]
struct Message {
    /// The time from which TSIG itself rejects the message.
    expires: Timestamp,
    /// The response code of the reply; `None` while the message is in progress.
    rcode: Option<ResponseCode>,
}

/// Whether a message may be carried out.
#[derive(Debug)]
pub enum Admission {
    /// It may be carried out.
    New(Ticket),
    /// It has been carried out, with this reply.
    Done(ResponseCode),
    /// It is being carried out.
    InProgress,
    /// Too many messages of this account are in progress.
    Busy,
}

impl Recent {
    /// Decides on a message by its MAC. From `expires` on, TSIG itself rejects the message.
    pub fn admit(self: &Arc<Self>, mac: &Mac, expires: Timestamp, now: Timestamp) -> Admission {
        let mut table = self.lock();
        table.forget(now);
        let tag: Tag = mac.as_bytes().into();
        match table.messages.get(&tag) {
            Some(Message { rcode: Some(rcode), .. }) => return Admission::Done(*rcode),
            Some(_) => return Admission::InProgress,
            None => {}
        }
        if table.messages.len() - table.done.len() >= AT_ONCE {
            return Admission::Busy;
        }
        table.messages.insert(tag.clone(), Message { expires, rcode: None });
        Admission::New(Ticket { recent: self.clone(), tag: Some(tag) })
    }

    // No change of the table panics half-way, so a poisoned table is used as it is.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Forgets finished messages that are too old, or too many.
    fn forget(&mut self, now: Timestamp) {
        while let Some(oldest) = self.done.front() {
            let is_over = self.messages.get(oldest).is_none_or(|message| message.expires <= now);
            if !is_over && self.done.len() <= REMEMBERED {
                return;
            }
            if let Some(tag) = self.done.pop_front() {
                self.messages.remove(&tag);
            }
        }
    }
}

/// A message that is being carried out. If the ticket is dropped before the end, the message can be sent again.
#[derive(Debug)]
pub struct Ticket {
    recent: Arc<Recent>,
    tag: Option<Tag>,
}

impl Ticket {
    /// Remembers the reply.
    pub fn done(mut self, rcode: ResponseCode) {
        let Some(tag) = self.tag.take() else { return };
        let mut table = self.recent.lock();
        if let Some(message) = table.messages.get_mut(&tag) {
            message.rcode = Some(rcode);
            table.done.push_back(tag);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(tag) = self.tag.take() {
            self.recent.lock().messages.remove(&tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tsig::TsigKey;
    use crate::model::tsig::Algorithm;

    const NOW: u64 = 1_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(NOW + seconds)
    }

    fn admit(recent: &Arc<Recent>, number: usize, now: Timestamp) -> Admission {
        let mac = TsigKey::new(Algorithm::HmacSha256, b"secret").mac(&[&number.to_be_bytes()]);
        recent.admit(&mac, at(300), now)
    }

    fn ticket(recent: &Arc<Recent>, number: usize, now: Timestamp) -> Ticket {
        match admit(recent, number, now) {
            Admission::New(ticket) => ticket,
            other => panic!("{number}: {other:?}"),
        }
    }

    #[test]
    fn a_message_is_carried_out_once_until_it_is_too_old_anyway() {
        let recent = Arc::default();
        let first = ticket(&recent, 1, at(0));
        assert!(matches!(admit(&recent, 1, at(0)), Admission::InProgress));
        first.done(ResponseCode::Refused);
        ticket(&recent, 2, at(1)).done(ResponseCode::NoError);
        for now in [0, 299] {
            assert!(matches!(admit(&recent, 1, at(now)), Admission::Done(ResponseCode::Refused)));
            assert!(matches!(admit(&recent, 2, at(now)), Admission::Done(ResponseCode::NoError)));
        }
        ticket(&recent, 3, at(300)).done(ResponseCode::NoError);
        assert_eq!(recent.lock().messages.len(), 1, "nothing is kept that cannot come again");
    }

    #[test]
    fn what_was_not_carried_out_may_be_sent_again() {
        let recent = Arc::default();
        drop(ticket(&recent, 1, at(0)));
        ticket(&recent, 1, at(0)).done(ResponseCode::NoError);
    }

    #[test]
    fn nobody_fills_the_memory_or_all_places() {
        let recent = Arc::default();
        let held: Vec<Ticket> = (0..AT_ONCE).map(|number| ticket(&recent, number, at(0))).collect();
        assert!(matches!(admit(&recent, AT_ONCE, at(0)), Admission::Busy));
        drop(held);
        for number in 0..3 * REMEMBERED {
            ticket(&recent, number, at(0)).done(ResponseCode::NoError);
        }
        let table = recent.lock();
        assert!(table.messages.len() <= REMEMBERED + 1 && table.done.len() == table.messages.len());
        drop(table);
        assert!(matches!(admit(&recent, 3 * REMEMBERED - 1, at(0)), Admission::Done(_)), "the newest are kept");
    }
}
