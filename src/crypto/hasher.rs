//! Key hashes, computed on threads of their own behind a bounded, fair queue.
//!
//! A hash costs milliseconds of CPU and megabytes of memory, and anybody can have the server compute one. So there are as
//! many threads as cores, at a low priority: the kernel gives the cores to the DNS threads first, and a flood of wrong
//! keys never delays an answer. Tokio's blocking pool would compute hundreds at once, at the priority of the DNS threads.

mod queue;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::oneshot;
use tracing::warn;

use crate::metrics::Metrics;
use crate::model::prefix::Prefix;
use crate::model::secret::{ApiKey, ApiKeyHash, HashError};

use queue::{Kind, Queue};

/// The increment of the threads' nice value over the rest of the process (nice(2)).
const NICE: i32 = 10;
/// The wait that [`HasherError::Busy`] asks for. By then the queue is empty on any machine.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HasherError {
    #[error("too many keys are waiting to be hashed; try again in {} seconds", retry_after.as_secs())]
    Busy { retry_after: Duration },
    #[error(transparent)]
    Hash(#[from] HashError),
}

const BUSY: HasherError = HasherError::Busy { retry_after: RETRY_AFTER };

/// Computes key hashes. A cheap handle; when the last one is dropped, the threads end.
#[derive(Clone, Debug)]
pub struct Hasher(Arc<Threads>);

impl Hasher {
    /// Starts as many threads as there are cores.
    pub fn start(metrics: Arc<Metrics>) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads(cores, metrics)
    }

    fn with_threads(count: usize, metrics: Arc<Metrics>) -> io::Result<Self> {
        let shared = Arc::new(Shared { queue: Mutex::default(), work: Condvar::new(), metrics });
        let mut threads = Threads { shared, handles: Vec::with_capacity(count) };
        for _ in 0..count {
            let shared = threads.shared.clone();
            threads.handles.push(thread::Builder::new().name("hasher".into()).spawn(move || shared.run())?);
        }
        Ok(Self(Arc::new(threads)))
    }

    /// Hashes a new key, for an account that is being registered or whose key changes.
    pub async fn hash(&self, key: ApiKey, prefix: Prefix) -> Result<ApiKeyHash, HasherError> {
        Ok(self.compute(Kind::New, prefix, move |_| ApiKeyHash::of(&key)).await??)
    }

    /// The index of the hash that the key matches, if any. Jobs of a prefix with a wrong key come last for a while.
    pub async fn verify(
        &self,
        key: ApiKey,
        hashes: Vec<ApiKeyHash>,
        prefix: Prefix,
    ) -> Result<Option<usize>, HasherError> {
        self.compute(Kind::Verify, prefix, move |shared| {
            let found = hashes.iter().position(|hash| hash.verify(&key));
            if found.is_none() {
                shared.lock().failed(prefix, Instant::now());
            }
            found
        })
        .await
    }

    async fn compute<T: Send + 'static>(
        &self,
        kind: Kind,
        prefix: Prefix,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Result<T, HasherError> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |shared| {
            // The caller may have gone. A result that nobody receives is not worth a core.
            if !sender.is_closed() {
                let start = Instant::now();
                let result = work(shared);
                shared.metrics.hashes.took(start.elapsed());
                _ = sender.send(result);
            }
        });
        let shared = &self.0.shared;
        if !shared.lock().push(kind, prefix, job, Instant::now()) {
            return Err(BUSY);
        }
        shared.work.notify_one();
        // The sender drops without a result if the job has made room for another, has panicked, or if the threads end.
        receiver.await.map_err(|_| BUSY)
    }
}

type Job = Box<dyn FnOnce(&Shared) + Send>;

struct Shared {
    queue: Mutex<Queue<Job>>,
    work: Condvar,
    metrics: Arc<Metrics>,
}

impl Shared {
    fn run(&self) {
        // On Linux setpriority(2) applies to one thread: without a pid, to the calling one.
        let own = rustix::process::getpriority_process(None);
        if let Err(error) = own.and_then(|own| rustix::process::setpriority_process(None, nicer_than(own))) {
            warn!("cannot lower the priority of a hashing thread: {error}");
        }
        while let Some(job) = self.next() {
            // A panic costs its own request, and not the thread. No job leaves shared state half changed.
            _ = catch_unwind(AssertUnwindSafe(|| job(self)));
        }
    }

    /// Waits for a job; `None` when the hasher is dropped.
    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if queue.is_closed() {
                return None;
            }
            if let Some(job) = queue.pop() {
                return Some(job);
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<Job>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads. Dropping this ends them after their current hashes.
struct Threads {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
}

/// The nice value of a hashing thread, given that of the process. 19 is the lowest priority.
fn nicer_than(own: i32) -> i32 {
    (own + NICE).min(19)
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Threads({})", self.handles.len())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let waiting = self.shared.lock().close();
        self.shared.work.notify_all();
        drop(waiting);
        for handle in self.handles.drain(..) {
            _ = handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher() -> (Hasher, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::default());
        (Hasher::with_threads(1, metrics.clone()).unwrap(), metrics)
    }

    const HERE: Prefix = Prefix::V4([192, 0, 2]);

    #[tokio::test]
    async fn hashes_and_finds_the_right_one() {
        let (hasher, metrics) = hasher();
        let (key, other) = (ApiKey::random().unwrap(), ApiKey::random().unwrap());
        let mine = hasher.hash(key.clone(), HERE).await.unwrap();
        let theirs = hasher.hash(other, HERE).await.unwrap();
        assert_eq!(hasher.verify(key.clone(), vec![theirs.clone(), mine], HERE).await, Ok(Some(1)));
        assert_eq!(hasher.verify(key, vec![theirs], HERE).await, Ok(None));
        assert!(metrics.render(&[]).contains("txtgate_hash_seconds_count 4\n"));
    }

    #[tokio::test]
    async fn a_waiter_that_is_gone_costs_no_hash() {
        let (hasher, metrics) = hasher();
        let held = hasher.0.shared.lock();
        let key = ApiKey::random().unwrap();
        let waiting = tokio::spawn({
            let hasher = hasher.clone();
            async move { hasher.compute(Kind::New, HERE, |_| ()).await }
        });
        drop(held);
        // One job keeps the only thread busy while the second one's waiter goes away.
        let (release, hold) = std::sync::mpsc::channel::<()>();
        let (begins, begun) = oneshot::channel();
        let first = hasher.compute(Kind::New, HERE, move |_| {
            _ = begins.send(());
            hold.recv()
        });
        let second = hasher.hash(key, HERE);
        tokio::pin!(first);
        tokio::select! { biased;
            _ = &mut first => panic!("held"),
            _ = second => panic!("behind the first"),
            begun = begun => begun.unwrap(),
        }
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        waiting.await.unwrap().unwrap();
        hasher.compute(Kind::New, HERE, |_| ()).await.unwrap();
        assert!(metrics.render(&[]).contains("txtgate_hash_seconds_count 3\n"));
    }

    #[tokio::test]
    async fn a_panic_costs_one_request_and_no_thread() {
        let (hasher, _) = hasher();
        let panicked: Result<(), _> = hasher.compute(Kind::New, HERE, |_| panic!("on purpose")).await;
        assert_eq!(panicked, Err(BUSY));
        assert_eq!(hasher.compute(Kind::New, HERE, |_| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn the_threads_run_at_a_lower_priority_than_the_process_whatever_that_is() {
        let (hasher, _) = hasher();
        let nice = || rustix::process::getpriority_process(None).unwrap();
        assert_eq!(hasher.compute(Kind::New, HERE, move |_| nice()).await, Ok(nicer_than(nice())));
        assert_eq!([0, -5, 15].map(nicer_than), [NICE, NICE - 5, 19]);
    }

    #[tokio::test]
    async fn a_full_queue_is_busy_and_the_end_wakes_whoever_waits() {
        let (hasher, _) = hasher();
        let (release, hold) = std::sync::mpsc::channel::<()>();
        let mut waiters = Vec::new();
        let (begins, begun) = oneshot::channel();
        // The first has to be on its thread before the others fill the queue behind it.
        let first = hasher.clone();
        waiters.push(tokio::spawn(async move {
            let work = move |_: &Shared| {
                _ = begins.send(());
                hold.recv().ok()
            };
            first.compute(Kind::New, HERE, work).await
        }));
        begun.await.unwrap();
        for _ in 0..queue::PER_KIND {
            let hasher = hasher.clone();
            waiters.push(tokio::spawn(async move { hasher.compute(Kind::New, HERE, |_| Some(())).await }));
            // The runtime has this one thread: the task is in the queue before this one goes on.
            tokio::task::yield_now().await;
        }
        let full = hasher.compute(Kind::New, HERE, |_| ()).await;
        assert_eq!(full, Err(BUSY));
        release.send(()).unwrap();
        for waiter in waiters {
            waiter.await.unwrap().unwrap();
        }
    }
}
