//! Starts everything, binds everything before it says so, reloads, and drains.

mod house;
mod pulse;

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tracing::warn;

use crate::config::{self, Config};
use crate::dns::tcp::{MAX_CONNECTIONS, MAX_PER_PREFIX, TcpServer};
use crate::dns::udp::UdpListener;
use crate::dns::watch::Watchers;
use crate::dns::{Responder, tcp, udp};
use crate::net::bind::{self, BUFFER, BindError, UdpSockets};
use crate::net::connections::Connections;
use crate::net::inherited::Inherited;
use crate::publisher::LoadError;
use crate::secret::{HashError, RandomError};
use crate::store::StoreError;

pub use house::House;
pub use pulse::Pulse;

/// How long requests in flight get to finish.
const GRACE: Duration = Duration::from_secs(10);

/// Why the daemon did not start.
#[derive(Debug, Error)]
pub enum DaemonError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error("cannot listen for the operator at {}: {source}", path.display())]
    AdminSocket { path: PathBuf, source: io::Error },
    #[error("another txtgate answers at {} already; stop it first, or give this one another `admin-socket`", .0.display())]
    AdminSocketInUse(PathBuf),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
}
