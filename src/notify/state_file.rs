//! The file of what was reported and what is to be delivered.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;
use tracing::{error, info};

use crate::file::{self, Unusable};

use super::matter::OpenMatter;
use super::message::Message;

/// What the file's name has behind the database's.
const SUFFIX: &str = ".notify";
/// The most bytes that are read: more than 1,000 matters and three full queues of the longest messages have.
const MAX_BYTES: u64 = 32 << 20;
/// How long notifications wait for a write: a disk that hangs must not hold up the notification about it.
const WRITE_LIMIT: Duration = Duration::from_secs(3);

/// What the file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Stored {
    /// The matters that were reported and are not over.
    pub open: Vec<OpenMatter>,
    /// The messages that are not delivered, by channel.
    pub waiting: BTreeMap<String, Vec<Message>>,
}

impl Stored {
    /// The messages of a channel.
    pub fn waiting(&self, channel: &str) -> Vec<Message> {
        self.waiting.get(channel).cloned().unwrap_or_default()
    }
}

/// The file.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    /// One write at a time, in the order of the snapshots. A write that hangs keeps the guard until it ends.
    pub(super) writing: Arc<Mutex<()>>,
    is_failing: AtomicBool,
    /// How long to wait for a write.
    pub(super) limit: Duration,
}

impl StateFile {
    /// The file beside a database.
    pub fn beside(database: &Path) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push(SUFFIX);
        Self { path: name.into(), writing: Arc::default(), is_failing: AtomicBool::new(false), limit: WRITE_LIMIT }
    }

    /// Reads the file. One that cannot be used costs repeated messages, and no start.
    pub fn read(&self) -> Stored {
        match read(&self.path) {
            Ok(stored) => stored,
            Err(problem) => {
                let path = self.path.display();
                error!("{path} cannot be used, and matters that are open are reported again: {problem}");
                Stored::default()
            }
        }
    }

    /// Replaces the file, if there is something to write. Returns whether that is on disk; no later than after
    /// `WRITE_LIMIT` twice, and at once while an earlier write hangs.
    pub async fn write(&self, snapshot: impl FnOnce() -> Option<Stored>) -> bool {
        let is_failing = self.is_failing.load(Ordering::Relaxed);
        let patience = if is_failing { Duration::ZERO } else { self.limit };
        let outcome = match timeout(patience, self.writing.clone().lock_owned()).await {
            Err(_) => Err(hangs()),
            Ok(guard) => {
                let Some(stored) = snapshot() else { return true };
                let path = self.path.clone();
                let write = move || {
                    let bytes = serde_json::to_vec(&stored).map_err(io::Error::other)?;
                    file::replace(&path, &bytes)
                };
                self.run(guard, write).await
            }
        };
        self.note(outcome.as_ref().err());
        outcome.is_ok()
    }

    /// Runs a write on a thread that may wait, and waits for it no longer than the limit. The guard stays with the write.
    async fn run(
        &self,
        guard: OwnedMutexGuard<()>,
        write: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let guarded = move || {
            let _guard = guard;
            write()
        };
        match timeout(self.limit, tokio::task::spawn_blocking(guarded)).await {
            Ok(outcome) => outcome.unwrap_or_else(|error| Err(io::Error::other(error))),
            Err(_) => Err(hangs()),
        }
    }

    /// Logs when writes begin to fail, and when they succeed again.
    fn note(&self, problem: Option<&io::Error>) {
        let was_failing = self.is_failing.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(problem) if !was_failing => {
                let unusable = Unusable(&self.path, problem);
                error!(
                    "notifications are sent from memory only, and a restart may lose or repeat some: cannot write {unusable}"
                );
            }
            None if was_failing => info!("{} can be written again", self.path.display()),
            _ => {}
        }
    }
}

fn hangs() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the disk does not answer")
}

fn read(path: &Path) -> Result<Stored, String> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Stored::default()),
        Ok(file) if file.len() > MAX_BYTES => return Err(format!("it has more than {MAX_BYTES} bytes")),
        _ => {}
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    #[tokio::test]
    async fn what_was_written_is_read_and_what_is_damaged_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("t.db");
        let file = StateFile::beside(&database);
        assert_eq!(file.read().waiting.len(), 0);
        let message = Message::test("auth.test", Timestamp::from_unix(0));
        let waiting = BTreeMap::from([("mail".to_owned(), vec![message.clone()])]);
        assert!(file.write(|| Some(Stored { open: Vec::new(), waiting })).await);
        assert_eq!(file.read().waiting("mail"), [message]);
        assert!(file.read().waiting("webhook").is_empty());
        std::fs::write(folder.path().join("t.db.notify"), "{").unwrap();
        assert_eq!(file.read().waiting.len(), 0);
        assert!(!StateFile::beside(&folder.path().join("no/t.db")).write(|| Some(Stored::default())).await);
    }

    #[tokio::test]
    async fn a_write_that_hangs_holds_up_no_other_and_is_followed_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = StateFile::beside(&folder.path().join("t.db"));
        file.limit = Duration::from_millis(20);
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let guard = file.writing.clone().lock_owned().await;
        let hanging = file.run(guard, move || held.recv().map_err(io::Error::other)).await;
        assert_eq!(hanging.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(!file.write(|| panic!("the order of the snapshots")).await, "the earlier write has not ended");
        let_go.send(()).unwrap();
        drop(file.writing.clone().lock_owned().await);
        file.limit = WRITE_LIMIT;
        assert!(file.write(|| Some(Stored::default())).await);
        assert!(folder.path().join("t.db.notify").exists());
    }
}
