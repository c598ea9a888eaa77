//! What DNS says, octet by octet.

mod answers;
mod encrypted;
mod limits;
mod questions;
mod sizes;
mod statics;
mod tcp;
