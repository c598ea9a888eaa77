//! The handle, and the limit that all its clones share.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
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
    detours: Arc<Detours>,
    questions: Arc<Semaphore>,
}

/// Where this machine reaches nameservers that it cannot reach at the addresses that the DNS tells, as behind NAT.
pub type Detours = BTreeMap<IpAddr, SocketAddr>;

impl DnsClient {
    /// A client that asks these resolvers, in this order. If there are none, the client asks those of `/etc/resolv.conf`,
    /// which it reads for each question.
    pub fn new(resolvers: &[SocketAddr]) -> Self {
        let questions = Arc::new(Semaphore::new(MAX_QUESTIONS));
        Self { resolvers: resolvers.into(), detours: Arc::default(), questions }
    }

    /// The same client, which asks the nameservers at these addresses elsewhere.
    pub fn with_detours(self, detours: Detours) -> Self {
        Self { detours: Arc::new(detours), ..self }
    }

    /// The same client with a limit of its own: as many questions under way, beside those of the other clones.
    pub fn with_own_limit(&self, questions: usize) -> Self {
        Self { questions: Arc::new(Semaphore::new(questions)), ..self.clone() }
    }

    /// Where a nameserver is asked that the DNS says is at this address.
    pub fn way_to(&self, server: SocketAddr) -> SocketAddr {
        self.detours.get(&server.ip()).copied().unwrap_or(server)
    }

    /// A permit for one question; `None` if none becomes free within ten seconds.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        timeout(MAX_WAIT, self.questions.acquire()).await.ok()?.ok()
    }
}
