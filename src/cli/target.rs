//! The daemon that a command is for: the one of a configuration on this machine, or one elsewhere.

use std::sync::Arc;

use crate::config::Config;

use super::error::{CliError, Result};
use super::remote::Remote;

/// Where the daemon is.
#[derive(Debug)]
pub enum Target {
    /// On this machine.
    Local(Box<Config>),
    /// Behind the admin API over the network.
    Remote(Arc<Remote>),
}

impl Target {
    /// The same, by value.
    pub fn into_config(self, what: &str) -> Result<Config> {
        self.config(what).cloned()
    }

    /// The configuration, for what only the daemon's machine can do. `what` is that command.
    pub fn config(&self, what: &str) -> Result<&Config> {
        match self {
            Self::Local(config) => Ok(config),
            Self::Remote(remote) => Err(CliError::Usage(format!(
                "`txtgate {what}` works on files of the daemon's machine, so it does not go over --server {}; run it there",
                remote.url()
            ))),
        }
    }
}
