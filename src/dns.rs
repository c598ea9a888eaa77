//! The query path: bytes of a message -> [`question::Request`] -> [`answer::Answer`] -> bytes.
//!
//! All listeners call one function, [`Responder::respond`]. It never waits, never touches the disk and logs nothing
//! per query. An UPDATE has to wait for the disk, so it comes back as a value that is carried out elsewhere
//! ([`update`]), and so does a zone transfer, which has to wait for its client ([`transfer`]). What was sent in reply is counted and observed after it has been written ([`reply`],
//! [`query_event`]).
//!
//! There is one codec and one path for common and uncommon queries. A separate fast path would save little: all of it
//! takes a quarter of a microsecond where the kernel takes four, and two paths would have to be kept equal for ever.
//! `tests/differential.rs` compares what the codec reads and writes with another one, built on hickory-proto;
//! `benches/answer.rs` measures that it allocates nothing.

pub mod answer;
pub mod dnssec;
pub mod echo;
pub mod ede;
pub mod edns;
pub mod encode;
pub mod error_reply;
pub mod identity;
pub mod limits;
pub mod listener;
mod long_messages;
pub mod query_event;
pub mod question;
pub mod quic;
pub mod reply;
pub mod responder;
pub mod signatures;
pub mod source;
mod tap;
pub mod tcp;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod transfer;
pub mod transfer_question;
pub mod udp;
pub mod update;
pub mod watch;

pub use listener::Heartbeat;
pub use reply::{ResponsePolicy, WrittenReply};
pub use responder::{Outcome, Responder};
pub use source::{MessageSource, Transport};
