//! The handle, and the limit that all its clones share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// The most questions under way in the whole process.
pub const MAX_QUESTIONS: usize = 32;
/// How long a question waits for others to end before it fails.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Asks resolvers and nameservers. Cheap to clone; all clones share one limit of questions under way.
#[derive(Clone, Debug)]
pub struct DnsClient {
    pub(super) resolvers: Arc<[SocketAddr]>,
    questions: Arc<Semaphore>,
}

impl DnsClient {
    /// A client that asks these resolvers, in this order. If there are none, the client asks those of `/etc/resolv.conf`,
    /// which it reads for each question.
    pub fn new(resolvers: &[SocketAddr]) -> Self {
        Self { resolvers: resolvers.into(), questions: Arc::new(Semaphore::new(MAX_QUESTIONS)) }
    }

    /// A permit for one question; `None` if none becomes free within ten seconds.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        timeout(MAX_WAIT, self.questions.acquire()).await.ok()?.ok()
    }
}
