//! The values of the domain: names, TXT values, accounts, secrets, time. None of them knows of sockets or of the disk.

pub mod account;
pub mod actor;
pub mod enrolment;
pub mod identifier;
pub mod name;
pub mod prefix;
pub mod secret;
pub mod serial;
mod text;
pub mod time;
pub mod tsig;
pub mod txt;
pub mod url;
