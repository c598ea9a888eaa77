//! What commands print.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use clap::Args;
use serde::Serialize;

use super::error::{CliError, Result};

/// How a command prints.
#[derive(Debug, Clone, Copy, Args)]
pub struct Output {
    /// Print JSON for scripts
    #[arg(long)]
    pub json: bool,
}

impl Output {
    /// Prints a reply as JSON on one line, or the text for people.
    pub fn print<R: Serialize>(self, reply: &R, text: impl FnOnce(&R) -> String) -> Result<()> {
        if self.json { print_json(reply) } else { print(&text(reply)) }
    }
}

/// Prints a reply as JSON on one line.
pub fn print_json(reply: &impl Serialize) -> Result<()> {
    print(&as_line(reply))
}

/// A reply as JSON on one line.
pub fn as_line(reply: &impl Serialize) -> String {
    // invariant: no reply has a map with keys that are not strings, the one thing that fails here
    serde_json::to_string(reply).unwrap_or_default()
}

/// Prints a line. A closed pipe, as behind `| head`, ends the command.
pub fn print(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(CliError::Closed),
        done => Ok(done?),
    }
}

/// Prints a message to standard error. If that fails, nobody can be told; `eprintln!` would panic.
pub fn tell(what: &dyn Display) {
    _ = writeln!(std::io::stderr(), "txtgate: {what}");
}
