//! Why the daemon cannot start.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::crypto::keyring::KeyringError;
use crate::file::Unusable;
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
    #[error(
        "{key}: cannot listen on {}; or write another path as `{key}`, in a folder that the daemon can write, like \
         \"/run/txtgate/{}\"", Unusable(path, source), if *key == "admin-socket" { "admin.sock" } else { "api.sock" }
    )]
    Socket { key: &'static str, path: PathBuf, source: io::Error },
    #[error("{key}: {} is there and is not a socket; remove it, or write another path", path.display())]
    NoSocket { key: &'static str, path: PathBuf },
    #[error(
        "another txtgate already listens on {}; stop it first, or give this one another `{key}`", path.display()
    )]
    SocketInUse { key: &'static str, path: PathBuf },
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}
