//! What survives: kill -9, a database that others hold, lose, fill or break, signals, and wrong clocks.

mod broken;
mod clock;
mod damaged;
mod kill;
mod missing;
mod signals;
mod stalled;
mod sync;
mod unwritable;
