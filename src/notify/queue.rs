//! The messages that wait for one channel, and how the channel is.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::time::Timestamp;

use super::failure::Failure;
use super::message::Message;

/// The most messages that wait for a channel. One more drops the oldest.
const MAX_WAITING: usize = 256;
/// The wait after the first failure; each following one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Attempts before a message is given up: about 3 days.
const MAX_ATTEMPTS: u32 = 900;
/// Refusals in a row before a message is given up: about an hour. A receiver that was down may refuse while it starts.
const MAX_REFUSALS: u32 = 20;

/// What waits for one channel, and how the channel is.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Message>,
    /// Attempts for the first message that have failed.
    attempts: u32,
    /// How many of the last attempts for it the receiver has refused, without another failure between.
    refusals: u32,
    /// Attempts that have failed since the last success.
    pub failures: u32,
    pub problem: Option<String>,
    pub last_delivery: Option<Timestamp>,
}

impl Queue {
    /// A queue with the messages of an earlier run.
    pub fn of(waiting: Vec<Message>) -> Self {
        let mut queue = Self::default();
        waiting.into_iter().for_each(|message| _ = queue.push(message));
        queue
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The message whose turn it is.
    pub fn first(&self) -> Option<Message> {
        self.waiting.front().cloned()
    }

    /// All of them.
    pub fn messages(&self) -> Vec<Message> {
        self.waiting.iter().cloned().collect()
    }

    /// Adds a message; returns the one that it drives out.
    pub fn push(&mut self, message: Message) -> Option<Message> {
        self.waiting.push_back(message);
        if self.waiting.len() <= MAX_WAITING {
            return None;
        }
        self.pop()
    }

    /// Removes the first message, if it is still this one.
    fn remove(&mut self, message: &Message) {
        if self.waiting.front() == Some(message) {
            self.pop();
        }
    }

    fn pop(&mut self) -> Option<Message> {
        self.attempts = 0;
        self.refusals = 0;
        self.waiting.pop_front()
    }

    /// Takes note of a success.
    pub fn delivered(&mut self, message: &Message, at: Timestamp) {
        self.remove(message);
        self.failures = 0;
        self.problem = None;
        self.last_delivery = Some(at);
    }

    /// Takes note of a failure. Returns whether the message is given up.
    pub fn failed(&mut self, message: &Message, failure: &Failure) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.problem = Some(failure.problem.clone());
        if self.waiting.front() == Some(message) {
            self.attempts += 1;
            self.refusals = if failure.is_refusal { self.refusals + 1 } else { 0 };
        }
        let is_given_up = self.attempts >= MAX_ATTEMPTS || self.refusals >= MAX_REFUSALS;
        if is_given_up {
            self.remove(message);
        }
        is_given_up
    }
}

/// The wait after so many failures in a row.
pub fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FIRST_WAIT * (1 << doublings)).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message::test("auth.test", Timestamp::from_unix(0))
    }

    #[test]
    fn the_queue_is_bounded_and_the_oldest_goes() {
        let first = message();
        let mut queue = Queue::of(vec![first.clone()]);
        for _ in 1..MAX_WAITING {
            assert_eq!(queue.push(message()), None);
        }
        assert_eq!(queue.push(message()), Some(first.clone()));
        assert_eq!(queue.len(), MAX_WAITING);
        queue.delivered(&first, Timestamp::from_unix(1));
        assert_eq!(queue.len(), MAX_WAITING, "another message is not removed in its place");
    }

    #[test]
    fn a_message_that_is_refused_is_given_up_sooner_than_one_that_meets_nobody() {
        let failure = |is_refusal| Failure { problem: "x".into(), is_refusal, retry_after: None };
        for (is_refusal, limit) in [(true, MAX_REFUSALS), (false, MAX_ATTEMPTS)] {
            let (first, second) = (message(), message());
            let mut queue = Queue::of(vec![first.clone(), second]);
            for _ in 1..limit {
                assert!(!queue.failed(&first, &failure(is_refusal)));
            }
            assert!(queue.failed(&first, &failure(is_refusal)));
            assert_eq!((queue.len(), queue.attempts, queue.failures), (1, 0, limit));
        }
    }

    #[test]
    fn a_refusal_after_a_long_outage_does_not_give_a_message_up() {
        let failure = |is_refusal| Failure { problem: "x".into(), is_refusal, retry_after: None };
        let first = message();
        let mut queue = Queue::of(vec![first.clone()]);
        for _ in 0..2 * MAX_REFUSALS {
            assert!(!queue.failed(&first, &failure(false)));
        }
        for _ in 1..MAX_REFUSALS {
            assert!(!queue.failed(&first, &failure(true)), "the receiver has only come back");
        }
        assert!(queue.failed(&first, &failure(true)));
    }

    #[test]
    fn waits_grow_to_a_bound() {
        assert_eq!([1, 2, 3].map(backoff), [FIRST_WAIT, FIRST_WAIT * 2, FIRST_WAIT * 4]);
        assert_eq!([11, 100, u32::MAX].map(backoff), [LONGEST_WAIT; 3]);
        let all: Duration = (1..MAX_ATTEMPTS).map(backoff).sum();
        assert!((259_200..300_000).contains(&all.as_secs()), "{all:?}");
    }
}
