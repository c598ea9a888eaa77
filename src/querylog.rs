//! The query log: what was asked for the names of accounts, what was answered, and what that means.
//!
//! ```text
//!  threads that answer queries          one task                        readers
//!   dns --- Recorder ---> Queue ------> QueryLog::run ---> QueryTable ---> evidence, streams
//!                       (bounded)            ^
//!                                            | committed Changes: when a value was published, and retired
//! ```
//!
//! Nothing here is on the query path but [`Recorder::record`]: it copies the query and its reply into a bounded queue,
//! and counts what does not fit. A task empties the queues into a table with the last queries of each owner, and with
//! the networks that got each value. The table has a limit of memory, and forgets first what was unused for longest.
//! Only names of owners, and names below those, are logged: a flood of random names pushes nothing out.

mod archive;
pub mod evidence;
mod follow;
pub mod judged;
mod kept_value;
mod log;
mod logged;
mod lru;
pub mod message;
mod owner_log;
mod owners;
mod queue;
mod recorder;
mod suspects;
mod table;
mod vantage_file;
pub mod vantages;
pub mod verdict;

pub use follow::{FollowedQuery, MAX_FOLLOWERS, QueryStream, TooManyFollowers};
pub use log::QueryLog;
pub use queue::QueryRecord;
pub use recorder::Recorder;
pub use suspects::UnexpectedValidation;
pub use table::LastAnswer;
