//! A client of certificate authorities: RFC 8555 (ACME), RFC 9773 (renewal information), and nothing else.
//!
//! The crate has a client of its own because crash safety reaches through every layer of one. Each key is on disk
//! before the CA sees it. A rollover keeps both keys until the CA has said which one it knows. A deactivation counts
//! only when the CA confirms it. A wait that a busy CA asks for is kept. Cryptography comes from ring, HTTP from hyper,
//! certificate requests from rcgen.
//!
//! From the bottom up: [`key`] signs, [`jws`] is what it signs, [`http`] carries the result, and [`problem`] is the
//! CA's refusal. [`client`] is a CA, known by its [`directory`]. [`account`] is the daemon's account there, stored by
//! [`account_file`]; a [`rollover`] gives it another key. [`order`] and [`authorization`] lead to a [`certificate`]. [`authority`] shares one account among
//! all certificates.

pub mod account;
pub mod account_file;
pub mod authority;
pub mod authorization;
pub mod certificate;
pub mod client;
pub mod directory;
pub mod error;
pub mod http;
pub mod jws;
pub mod key;
mod known_key;
pub mod order;
mod polling;
pub mod problem;
pub mod reachable;
pub mod renewal_info;
pub mod retry_after;
pub mod revocation;
pub mod rollover;

pub use authority::Authority;
pub use error::AcmeError;
