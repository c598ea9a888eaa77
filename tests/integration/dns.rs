//! DNS messages of the daemon, byte by byte.

mod answers;
mod encrypted;
mod limits;
mod observed;
mod peers;
mod proxied;
mod questions;
mod sizes;
mod statics;
mod tapped;
mod tcp;
