//! What DNS says, byte by byte.

mod answers;
mod encrypted;
mod limits;
mod questions;
mod sizes;
mod statics;
mod tcp;
