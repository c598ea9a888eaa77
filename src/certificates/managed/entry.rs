//! One managed certificate.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::sync::{MappedMutexGuard, MutexGuard, Notify};
use tokio::task::AbortHandle;

use crate::acme::retry_after::RetryAfterGate;
use crate::config::ManagedCertificate;
use crate::file::state::blocking;

use super::super::error::Result;
use super::super::progress::OrderProgress;
use super::history::StateFolder;
use super::live;
use super::report::{ManagedCertificateReport, ManagedCertificateView};
use super::state::CertificateState;

/// One certificate, shared by its renewal task and by those who ask for it.
#[derive(Debug)]
pub struct ManagedEntry {
    /// What is asked for.
    pub wanted: ManagedCertificate,
    /// Whether the configuration asks for it; otherwise a command has.
    pub is_configured: bool,
    /// The certificate's folder in the state folder.
    pub folder: StateFolder,
    /// The files of its orders there.
    pub paths: OrderPaths,
    /// The progress of its orders.
    pub progress: OrderProgress,
    /// Closed while the CA wants no request for this certificate.
    pub gate: RetryAfterGate,
    /// Wakes the renewal task.
    pub wake: Notify,
    /// Whether another certificate is asked for before it is due.
    pub is_forced: AtomicBool,
    /// Held while the deploy hook runs, so that nobody replaces the certificate or its files. Must not be taken while
    /// `state` is held.
    pub deploying: tokio::sync::Mutex<()>,
    task: OnceLock<AbortHandle>,
    report: Mutex<ManagedCertificateReport>,
    /// Held during work on the certificate: by its renewal task, a revocation or its deletion. `None` until it has been read.
    state: tokio::sync::Mutex<Option<CertificateState>>,
}

/// The files of a certificate's orders.
#[derive(Debug)]
pub struct OrderPaths {
    /// The order under way.
    pub pending: PathBuf,
    /// The persistent authorizations that the certificate relies on.
    pub grants: PathBuf,
}

/// Keeps orders and hooks of a certificate from running.
#[derive(Debug)]
pub struct Idle<'a> {
    _deploying: MutexGuard<'a, ()>,
    _state: MutexGuard<'a, Option<CertificateState>>,
}

impl ManagedEntry {
    /// A certificate without a renewal task.
    pub fn new(wanted: ManagedCertificate, is_configured: bool, folder: StateFolder) -> Self {
        Self {
            progress: OrderProgress::new(wanted.name.to_string()),
            wanted,
            is_configured,
            paths: OrderPaths { pending: folder.pending(), grants: folder.grants() },
            folder,
            gate: RetryAfterGate::default(),
            wake: Notify::new(),
            is_forced: AtomicBool::new(false),
            deploying: tokio::sync::Mutex::default(),
            task: OnceLock::new(),
            report: Mutex::default(),
            state: tokio::sync::Mutex::default(),
        }
    }

    /// Waits until neither an order nor the deploy hook runs, and keeps both from starting.
    pub async fn idle(&self) -> Idle<'_> {
        let deploying = self.deploying.lock().await;
        Idle { _deploying: deploying, _state: self.state.lock().await }
    }

    /// Holds the state. Reads it if that has not succeeded yet.
    pub async fn state(&self) -> Result<MappedMutexGuard<'_, CertificateState>> {
        let mut held = self.state.lock().await;
        let state = match held.take() {
            Some(state) => state,
            None => {
                let wanted = self.wanted.clone();
                let folder = self.folder.clone();
                blocking(move || CertificateState::load(&wanted, &folder)).await?
            }
        };
        Ok(MutexGuard::map(held, |held| held.insert(state)))
    }

    /// Writes the history to disk.
    pub async fn store(&self, state: &CertificateState) -> Result<()> {
        let folder = self.folder.clone();
        let history = state.history.clone();
        Ok(blocking(move || folder.write_history(&history)).await?)
    }

    /// Deletes the files, and everything that the daemon remembers.
    pub async fn erase(&self) -> Result<()> {
        let wanted = self.wanted.clone();
        let folder = self.folder.clone();
        blocking(move || {
            live::delete(&wanted)?;
            Ok(folder.delete()?)
        })
        .await
    }

    /// Forgets the state: it is read again when it is needed.
    pub async fn forget_state(&self) {
        *self.state.lock().await = None;
    }

    /// Makes `task` the one that [`ManagedEntry::stop`] ends.
    pub fn set_task(&self, task: AbortHandle) {
        self.task.get_or_init(|| task);
    }

    /// Ends the renewal task. The next renewal task goes on with what it has begun.
    pub fn stop(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// Changes the report.
    pub fn update<T>(&self, change: impl FnOnce(&mut ManagedCertificateReport) -> T) -> T {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The certificate for a list.
    pub fn view(&self) -> ManagedCertificateView {
        let mut report = self.update(|report| report.clone());
        report.stage = self.progress.current_stage();
        report.caa = self.progress.caa_record();
        ManagedCertificateView {
            name: self.wanted.name.to_string(),
            names: self.wanted.names.iter().map(ToString::to_string).collect(),
            configured: self.is_configured,
            live: live::live(&self.wanted),
            asked: self.is_forced.load(Ordering::Relaxed),
            changes: Vec::new(),
            report,
            progress: Vec::new(),
        }
    }

    /// The certificate with the progress of each name.
    pub fn detailed_view(&self) -> ManagedCertificateView {
        ManagedCertificateView { progress: self.progress.names(), ..self.view() }
    }
}
