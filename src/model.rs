//! The values of the domain: names, TXT values, accounts, secrets, time. None of them knows of sockets or of the disk.

pub mod account;
pub mod actor;
pub mod admin_token;
pub mod cadence;
pub mod enrolment;
pub mod identifier;
pub mod name;
pub mod network;
pub mod prefix;
pub mod proxy_user;
pub mod secret;
pub mod serial;
pub mod text;
pub mod time;
pub mod tsig;
pub mod txt;
pub mod url;
pub mod wire;
