//! As process 1 of a container, the daemon waits for the processes that its programs leave behind. The kernel makes them
//! its children, and each that nobody waits for stays a zombie.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{debug, warn};

use crate::process::RunningPrograms;

/// How soon the daemon looks again while the first process that has ended is a program, for which another task waits.
const AGAIN: Duration = Duration::from_millis(100);

/// What the first child is that has ended, if one has.
enum Ended {
    Nobody,
    Program,
    Orphan(Pid),
}

/// Waits for orphans for ever, if this is process 1.
pub async fn keep_reaping() {
    if std::process::id() != 1 {
        return;
    }
    let mut children = match signal(SignalKind::child()) {
        Ok(children) => children,
        Err(error) => return warn!(%error, "processes that programs leave behind stay zombies"),
    };
    loop {
        match reap() {
            Ended::Orphan(process) => debug!(%process, "an orphan has ended"),
            Ended::Program => tokio::time::sleep(AGAIN).await,
            Ended::Nobody => _ = children.recv().await,
        }
    }
}

/// Waits for the first child that has ended, unless it is a program of the daemon.
fn reap() -> Ended {
    let programs = RunningPrograms::lock();
    // WNOWAIT: the child may be a program, whose end somebody else waits for.
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let process = match waitid(Id::All, flags) {
        Ok(WaitStatus::Exited(process, _) | WaitStatus::Signaled(process, ..)) => process,
        Ok(_) | Err(Errno::ECHILD) => return Ended::Nobody,
        Err(error) => {
            warn!(%error, "cannot wait for orphans");
            return Ended::Nobody;
        }
    };
    if programs.contains(process.as_raw()) {
        return Ended::Program;
    }
    // An error means that it is gone already.
    _ = waitpid(process, Some(WaitPidFlag::WNOHANG));
    Ended::Orphan(process)
}
