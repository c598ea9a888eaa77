//! Messages of over 4,096 bytes that arrive on streams. Few clients send any, and two bytes are enough to announce one of
//! 65,535 bytes. So those that arrive at the same time are counted like connections: a new one is always admitted, and
//! one on which nothing has arrived for longest makes room.

use std::net::IpAddr;

use crate::model::prefix::Prefix;
use crate::net::connections::{ConnectionPermit, Connections};

/// Bytes of a message that each connection or QUIC stream may hold without a permit.
pub const SHORT: usize = 4_096;
/// Long messages that may arrive at the same time. They take 16 MiB.
const TOTAL: usize = 256;
/// Long messages from one network prefix.
const PER_PREFIX: usize = 32;

/// The long messages that are arriving, on all streams; a cheap handle.
#[derive(Clone, Debug)]
pub struct LongMessages(Connections);

/// The permit of a message that is arriving. A short one needs none.
#[derive(Debug, Default)]
pub struct MessagePermit(Option<ConnectionPermit>);

impl LongMessages {
    /// Allows as many as the limits say.
    pub fn new() -> Self {
        Self::limited(TOTAL, PER_PREFIX)
    }

    /// Allows so many in total and from one network prefix.
    pub(super) fn limited(total: usize, per_prefix: usize) -> Self {
        Self(Connections::new(total, per_prefix))
    }

    /// Admits a message of `length` bytes from `source`.
    pub fn admit(&self, length: u16, source: IpAddr) -> MessagePermit {
        let is_long = usize::from(length) > SHORT;
        MessagePermit(is_long.then(|| self.0.admit(Prefix::of(source))))
    }
}

impl Default for LongMessages {
    fn default() -> Self {
        Self::new()
    }
}

impl MessagePermit {
    /// Whether it is for a long message.
    pub fn is_for_long(&self) -> bool {
        self.0.is_some()
    }

    /// Notes that bytes of the message have arrived.
    pub fn touch(&self) {
        if let Some(permit) = &self.0 {
            permit.touch();
        }
    }

    /// Waits until the message has to make room for others, which a short one never has. Cancel safe.
    pub async fn evicted(&self) {
        match &self.0 {
            Some(permit) => permit.evicted().await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_message_makes_room_for_a_newer_one_and_short_ones_count_for_nothing() {
        let messages = LongMessages::limited(2, 2);
        let source: IpAddr = "192.0.2.1".parse().unwrap();
        let [first, second] = [4_097, 65_535].map(|length| messages.admit(length, source));
        first.touch();
        for _ in 0..10 {
            assert!(!messages.admit(SHORT as u16, source).is_for_long());
        }
        let third = messages.admit(5_000, source);
        assert!(third.is_for_long());
        tokio::select! { biased;
            () = first.evicted() => panic!("bytes of it have just arrived"),
            () = third.evicted() => panic!("it is the newest"),
            () = second.evicted() => {}
        }
    }
}
