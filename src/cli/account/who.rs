//! Which account a command means.

use clap::Args;

use crate::cli::operator::encoded;
use crate::cli::output::Output;

/// An account on the command line.
#[derive(Debug, Args)]
pub struct Who {
    /// The account: its domain, username, label or fulldomain
    who: String,
    #[command(flatten)]
    pub output: Output,
}

impl Who {
    /// The path of the account in the operator's API, and what follows it.
    pub fn path(&self, rest: &str) -> String {
        format!("/accounts/{}{rest}", encoded(&self.who))
    }
}
