//! Standard secondaries: what they may transfer, and the records that they get (RFC 5936, RFC 1995).
//!
//! A secondary is known by its network and, if the configuration says so, by its TSIG key ([`Transfers::admit`]). What it
//! gets is a [`Transfer`]: the records of one serial, written message by message as fast as the client reads. A whole
//! zone comes from a snapshot and differences from the journal of the zone, so that neither holds up queries or updates.
//! The listeners in `dns` read the requests and send the messages.
//!
//! [`SecondaryNotifier`] tells secondaries of new serials (RFC 1996) and looks at those that they have
//! ([`SecondaryReport`]). A catalog zone (RFC 9432) lists the zones for them.

mod admission;
mod catalog;
mod contents;
mod held_zone;
mod notifier;
mod notify_message;
mod notify_target;
mod record;
mod secondary_state;
mod transfer;

pub use admission::{TransferClient, TransferRefusal, TransferRequest, Transfers};
pub use contents::ContentsError;
pub use notifier::SecondaryNotifier;
pub use notify_target::NotifyServices;
pub use secondary_state::SecondaryReport;
pub use transfer::Transfer;
