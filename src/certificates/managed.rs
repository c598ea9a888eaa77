//! Managed certificates: issued, stored and renewed for other programs of this machine.
//!
//! Each certificate has a renewal task of its own. A certificate whose names are not delegated here fails again and again, at
//! growing intervals, while all others are renewed.

mod bundle;
mod deletion;
mod difference;
pub mod entry;
pub mod history;
pub mod hook;
pub mod lacking;
pub mod live;
pub mod registry;
mod reload;
pub mod report;
mod requested;
pub mod state;
mod task;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::task::{AbortHandle, JoinSet};
use tracing::info;

use crate::acme::revocation::{RevocationReason, RevokedBy, revoke};
use crate::config::certificate::{CertificateName, MAX_CERTIFICATES};
use crate::config::{ManagedCertificate, file};
use crate::file::state::blocking;
use crate::model::text::listed;

use super::error::{CertificateError, Result};
use super::services::IssueServices;

use difference::RequestDifference;
use entry::ManagedEntry;
use registry::Registry;
use report::ManagedCertificateView;

/// All managed certificates. A cheap handle.
#[derive(Clone, Debug)]
pub struct ManagedCertificates {
    registry: Arc<Registry>,
    tasks: Arc<BackgroundTasks>,
}

#[derive(Debug, Default)]
struct BackgroundTasks {
    /// Reads again the requests that could not be read.
    reading: OnceLock<AbortHandle>,
    /// Applies the last reload of the configuration; another reload ends it.
    reloading: Mutex<JoinSet<()>>,
}

impl ManagedCertificates {
    /// Starts the renewal tasks of all certificates: those of the configuration, and those that commands have asked for.
    /// Relative directories in commands are relative to `base`. A problem with one certificate appears in its report: it
    /// must hold up neither the others nor the daemon.
    pub async fn start(services: IssueServices, configured: &[ManagedCertificate], base: &Path) -> Self {
        let registry = Arc::new(Registry::new(services, base.to_owned()));
        let managed = Self { registry, tasks: Arc::default() };
        for wanted in configured {
            managed.start_task(wanted.clone(), true);
        }
        let all_read = managed.take_requests().await;
        let reading = tokio::spawn(managed.clone().keep_reading(all_read)).abort_handle();
        managed.tasks.reading.get_or_init(|| reading);
        managed
    }

    /// Starts a renewal task, and ends the former one of that name. Returns the certificate as it was before the task did
    /// anything: a caller that waits for the task counts its steps from there.
    fn start_task(&self, wanted: ManagedCertificate, is_configured: bool) -> ManagedCertificateView {
        let folder = self.registry.folder_of(&wanted.name);
        let entry = Arc::new(ManagedEntry::new(wanted, is_configured, folder));
        let view = entry.view();
        let name = entry.wanted.name.clone();
        // Locked until the entry is there: the renewal task may have to remove it at once.
        let mut entries = self.registry.entries();
        let task = task::run(self.registry.clone(), entry.clone());
        entry.set_task(tokio::spawn(task).abort_handle());
        if let Some(former) = entries.insert(name.clone(), entry) {
            former.stop();
        }
        self.registry.unreadable().remove(&name);
        view
    }

    /// Ends all renewal tasks. What they have begun goes on with the next start.
    pub fn stop(&self) {
        self.tasks.reloading.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        if let Some(reading) = self.tasks.reading.get() {
            reading.abort();
        }
        self.registry.entries().values().for_each(|entry| entry.stop());
    }

    /// Lists all certificates by name.
    pub fn list(&self) -> Vec<ManagedCertificateView> {
        let mut views: Vec<_> = self.registry.entries().values().map(|entry| entry.view()).collect();
        for (name, problem) in self.registry.unreadable().iter() {
            views.push(ManagedCertificateView::unreadable(name, problem));
        }
        views.sort_by(|one, other| one.name.cmp(&other.name));
        views
    }

    /// Shows one certificate, with the progress of its names.
    pub fn show(&self, name: &CertificateName) -> Result<ManagedCertificateView> {
        if let Some(problem) = self.registry.unreadable().get(name) {
            return Ok(ManagedCertificateView::unreadable(name, problem));
        }
        Ok(self.registry.get(name)?.detailed_view())
    }

    /// Adds a certificate, or changes one that a command has asked for. It is renewed like one of the configuration. A
    /// request that lacks a name or a setting of the former one is refused, unless it is to replace that.
    pub async fn request(&self, request: file::Certificate, may_replace: bool) -> Result<ManagedCertificateView> {
        let wanted = ManagedCertificate::read(&request, &self.registry.base);
        let wanted = wanted.map_err(|error| CertificateError::Invalid(error.to_string()))?;
        let former = self.registry.find(&wanted.name);
        if former.as_ref().is_some_and(|former| former.is_configured) {
            return Err(CertificateError::Configured(wanted.name.to_string()));
        }
        if former.is_none() && self.registry.entries().len() >= MAX_CERTIFICATES {
            return Err(CertificateError::Invalid(format!("there are already {MAX_CERTIFICATES} certificates")));
        }
        task::bundle_password(&wanted).await?;
        self.registry.services.authority.retry_now();
        let _idle = match &former {
            Some(former) => Some(former.idle().await),
            None => None,
        };
        let folder = self.registry.folder_of(&wanted.name);
        let name = wanted.name.to_string();
        let is_readable = former.is_some();
        let changes = blocking(move || {
            if folder.read_history().is_ok_and(|history| history.deleting) {
                return Err(CertificateError::Deleting(name));
            }
            // A request that cannot be used is replaced by any other.
            let former = if is_readable { folder.read_raw_request()? } else { None };
            let difference = former.map(|former| RequestDifference::between(&former, &request)).unwrap_or_default();
            if difference.is_loss && !may_replace {
                return Err(CertificateError::Replaces { name, changes: difference.lines });
            }
            folder.write_request(&request)?;
            Ok(difference.lines)
        })
        .await?;
        info!(name = %wanted.name, names = %listed(&wanted.names), changes = %listed(&changes), "a certificate is requested");
        Ok(ManagedCertificateView { changes, ..self.start_task(wanted, false) })
    }

    /// Makes the next attempt at once if the last one has failed; otherwise gets another certificate, due or not.
    pub async fn renew(&self, name: &CertificateName) -> Result<ManagedCertificateView> {
        if self.registry.unreadable().contains_key(name) {
            self.take_requests().await;
        }
        let entry = self.registry.get(name)?;
        // If a hook has failed, no other certificate is needed.
        if entry.update(|report| report.attempts.problem.is_none() || report.revoked) {
            entry.is_forced.store(true, Ordering::Relaxed);
        }
        let view = entry.view();
        self.registry.services.authority.retry_now();
        entry.wake.notify_one();
        Ok(view)
    }

    /// Revokes the certificate in the files. It is not renewed until somebody asks for that.
    pub async fn revoke(&self, name: &CertificateName, reason: RevocationReason) -> Result<ManagedCertificateView> {
        let entry = self.registry.get(name)?;
        let mut state = entry.state().await?;
        let wanted = entry.wanted.clone();
        let chain = blocking(move || live::read(&wanted)).await?;
        let chain = chain.ok_or_else(|| CertificateError::NotIssued(name.to_string()))?;
        let certificate = chain.leaf();
        let account = self.registry.services.authority.account().await?;
        match revoke(RevokedBy::Account(&account), certificate, reason).await {
            Err(error) if error.is("alreadyRevoked") => info!(%name, "the certificate was revoked before"),
            // A newer account has not proven the names, but the certificate's own key is here.
            Err(error) if error.is("unauthorized") => {
                let key = chain.key().signing_key()?;
                revoke(RevokedBy::CertificateKey(account.client(), &key), certificate, reason).await?;
            }
            done => done?,
        }
        state.history.revoked = Some(chain.info.serial);
        entry.store(&state).await?;
        entry.update(|report| report.revoked = true);
        Ok(entry.view())
    }
}
