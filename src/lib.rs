//! txtgate
pub mod account;
pub mod api;
pub mod config;
pub mod credentials;
pub mod hasher;
pub mod metrics;
pub mod name;
pub mod net;
pub mod pace;
pub mod publisher;
pub mod remembered;
pub mod secret;
pub mod serial;
pub mod store;
pub mod time;
pub mod txt;
pub mod zone;
