//! What survives: kill -9, a database that others hold, lose, fill or break, and signals.

mod broken;
mod kill;
mod signals;
mod sync;
mod unwritable;
