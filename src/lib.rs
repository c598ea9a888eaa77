//! txtgate
pub mod account;
pub mod config;
pub mod metrics;
pub mod name;
pub mod publisher;
pub mod secret;
pub mod serial;
pub mod store;
pub mod time;
pub mod txt;
pub mod zone;
