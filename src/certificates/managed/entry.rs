//! One managed certificate.

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

/// One certificate, shared by its keeper and by those who ask for it.
#[derive(Debug)]
pub struct ManagedEntry {
    /// What is asked for.
    pub wanted: ManagedCertificate,
    /// Whether the configuration asks for it; otherwise a command has.
    pub is_configured: bool,
    /// The certificate's folder in the state folder.
    pub folder: StateFolder,
    /// The progress of its orders.
    pub progress: OrderProgress,
    /// Closed while the CA wants no request for this certificate.
    pub gate: RetryAfterGate,
    /// Wakes the keeper.
    pub wake: Notify,
    /// Whether another certificate is asked for before it is due.
    pub is_forced: AtomicBool,
    /// Held while the deploy hook runs, so that nobody replaces the certificate or its files. Must not be taken while
    /// `state` is held.
    pub deploying: tokio::sync::Mutex<()>,
    keeper: OnceLock<AbortHandle>,
    report: Mutex<ManagedCertificateReport>,
    /// Held during work on the certificate: by its keeper, a revocation or its deletion. `None` until it has been read.
    state: tokio::sync::Mutex<Option<CertificateState>>,
}

/// Keeps orders and hooks of a certificate from running.
#[derive(Debug)]
pub struct Idle<'a> {
    _deploying: MutexGuard<'a, ()>,
    _state: MutexGuard<'a, Option<CertificateState>>,
}

impl ManagedEntry {
    /// A certificate without a keeper.
    pub fn new(wanted: ManagedCertificate, is_configured: bool, folder: StateFolder) -> Self {
        Self {
            progress: OrderProgress::new(wanted.name.to_string()),
            wanted,
            is_configured,
            folder,
            gate: RetryAfterGate::default(),
            wake: Notify::new(),
            is_forced: AtomicBool::new(false),
            deploying: tokio::sync::Mutex::default(),
            keeper: OnceLock::new(),
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

    /// Makes `keeper` the one that [`ManagedEntry::stop`] ends.
    pub fn set_keeper(&self, keeper: AbortHandle) {
        self.keeper.get_or_init(|| keeper);
    }

    /// Ends the keeper. The next keeper goes on with what it has begun.
    pub fn stop(&self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.abort();
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
            report,
            progress: Vec::new(),
        }
    }

    /// The certificate with the progress of each name.
    pub fn detailed_view(&self) -> ManagedCertificateView {
        ManagedCertificateView { progress: self.progress.names(), ..self.view() }
    }
}
