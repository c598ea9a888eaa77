//! The requests and replies of the operator's API. The router and the command line share them, so that neither looks
//! up a member of a JSON object by its name.
//!
//! A request holds domain types: what is not one is refused while the body is read. Times in replies are text, as
//! RFC 3339 writes them.

pub mod account_list;
pub mod accounts;
pub mod acme;
pub mod admin_tokens;
pub mod bulk;
pub mod certificates;
pub mod changes;
pub mod clock;
pub mod console;
pub mod delegations;
pub mod doctor;
pub mod enrolments;
pub mod failure;
pub mod list;
pub mod names;
mod optional;
pub mod queries;
pub mod revealed;
pub mod served;
pub mod server;
pub mod status;
pub mod transfer;
pub mod tsig;
pub mod values;
pub mod watch;
