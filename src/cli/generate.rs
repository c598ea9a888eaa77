//! Completion scripts, generated from the definition of the command line.

use clap::{Args, Command};
use clap_complete::Shell;

use super::error::Result;
use super::output::print;

/// `completions SHELL`
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

/// Prints a completion script.
pub fn completions(wanted: &Completions, mut command: Command) -> Result<()> {
    let mut out = Vec::new();
    clap_complete::generate(wanted.shell, &mut command, "txtgate", &mut out);
    print(String::from_utf8_lossy(&out).trim_end())
}
