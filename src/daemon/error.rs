//! Why the daemon cannot start.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::crypto::keyring::KeyringError;
use crate::model::secret::{HashError, RandomError};
use crate::net::bind::BindError;
use crate::net::tls::TlsError;
use crate::publisher::{Abort, LoadError};
use crate::store::StoreError;

/// Why the daemon cannot start or reload.
#[derive(Debug, Error)]
pub enum DaemonError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Load(#[from] Abort<LoadError>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot listen on the admin socket {}: {source}", path.display())]
    AdminSocket { path: PathBuf, source: io::Error },
    #[error("another txtgate already listens on {}; stop it first, or give this one another `admin-socket`", .0.display())]
    AdminSocketInUse(PathBuf),
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}
