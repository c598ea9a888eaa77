//! txtgate
pub mod account;
pub mod dns;
pub mod metrics;
pub mod name;
pub mod net;
pub mod secret;
pub mod serial;
pub mod time;
pub mod txt;
pub mod zone;
