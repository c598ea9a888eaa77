//! Looks names up from the root down, as the resolvers of a CA do: at the nameservers themselves, with no cache of anybody
//! else in between.
//!
//! A recursive resolver says what it sees, and not where that comes from. Here each zone on the way is known with its
//! nameservers, so that a record that is missing, a nameserver that is lame and a zone that is gone are told apart.

mod error;
mod failure;
mod lookup;
mod referral;
mod resolver;
mod zone_cut;

pub use error::{IterativeError, failures_shown};
pub use failure::ServerFailure;
pub use lookup::Resolved;
pub use resolver::{IterativeResolver, ServerReply};
pub use zone_cut::{Unresolved, ZoneCut};
