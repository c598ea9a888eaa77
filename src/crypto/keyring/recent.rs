//! What an account has had carried out just now, so that a message that is sent again is not carried out again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hickory_proto::op::ResponseCode;

use crate::crypto::tsig::Mac;
use crate::model::time::Timestamp;

/// Messages that one account may have in progress.
const AT_ONCE: usize = 32;
/// Messages of one account that are remembered; past them it forgets its own oldest. Some 100 KiB for each account
/// that has a key and uses it so much.
const REMEMBERED: usize = 1_024;

/// By what a message is known again.
type Tag = Box<[u8]>;

/// One account's messages: those in progress, and those carried out that could still be sent again (RFC 8945
/// section 10 leaves it to the server to see to that).
#[derive(Debug, Default)]
pub struct Recent(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    messages: HashMap<Tag, Message>,
    /// Those that are done, the oldest first.
    done: VecDeque<Tag>,
}

#[derive(Debug)]
struct Message {
    /// From when on it would be too old anyway.
    expires: Timestamp,
    /// What was replied; `None` while it is in progress.
    rcode: Option<ResponseCode>,
}

/// Whether a message may be carried out.
#[derive(Debug)]
pub enum Admission {
    /// It may.
    New(Ticket),
    /// It was, and this was the reply.
    Done(ResponseCode),
    /// It is being carried out, and its sender will hear of it.
    InProgress,
    /// Too many of this account are in progress.
    Busy,
}

impl Recent {
    /// Judges a message with this MAC that cannot be sent any more at `expires`.
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

    // Nothing in a change of the table panics half-way: go on with it.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Drops what is too old, or too much.
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

/// A message that is being carried out. Dropped before its end, the message may be sent again.
#[derive(Debug)]
pub struct Ticket {
    recent: Arc<Recent>,
    tag: Option<Tag>,
}

impl Ticket {
    /// Remembers what is replied.
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
