//! Why a command fails, and the exit codes.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::api::types::bulk::RowRefusal;
use crate::config::ConfigError;
use crate::config::keyfile::KeyFileError;
use crate::daemon::DaemonError;
use crate::file::{Unusable, in_words};
use crate::model::secret::RandomError;
use crate::publisher::{Abort, AccessError};
use crate::store::StoreError;
use crate::store::import::ImportError;

use super::hook::error::HookError;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Key(#[from] KeyFileError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error(transparent)]
    Hook(#[from] HookError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Access(#[from] Abort<AccessError>),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Refused(String),
    /// The request would take something from a certificate that is there.
    #[error("{0}")]
    Replaces(String),
    /// Of a request with many rows.
    #[error("{} rows are refused", .0.len())]
    Rows(Vec<RowRefusal>),
    /// Somebody has to add records to their zones first.
    #[error("{0}")]
    Missing(String),
    /// An examination has found something wrong.
    #[error("the set-up has problems: {0}")]
    Unsound(usize),
    #[error("cannot write {}", Unusable(path, source))]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}", no_daemon(path, source))]
    NoDaemon { path: PathBuf, source: std::io::Error },
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
    /// The reader of the output has gone, as behind `| head`.
    #[error("nobody reads the output")]
    Closed,
}

impl CliError {
    /// The exit code of the process: 2 for an error in arguments or configuration, 3 for missing records, 1 for any other
    /// failure. A command whose output nobody reads any more exits with 141, as if SIGPIPE had killed it: Rust ignores
    /// that signal.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Key(_) | Self::Usage(_) | Self::Rows(_) => 2,
            Self::Missing(_) => 3,
            Self::Closed => 141,
            Self::Hook(error) => error.exit_code(),
            Self::Daemon(DaemonError::Load(Abort::Refused(_)) | DaemonError::Keyring(_)) => 2,
            _ => 1,
        }
    }
}

/// A socket without a daemon, or one that this user may not open.
fn no_daemon(path: &Path, source: &std::io::Error) -> String {
    match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => format!(
            "no daemon answers at {} ({}); start it, or name its configuration with --config",
            path.display(),
            in_words(source)
        ),
        _ => format!("cannot reach the daemon at {}", Unusable(path, source)),
    }
}

/// What a command returns.
pub type Result<T> = std::result::Result<T, CliError>;
