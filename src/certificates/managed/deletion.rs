//! The deletion of a managed certificate: its files, its state, and the persistent authorizations that it relied on.

use std::sync::Arc;

use tracing::info;

use crate::config::certificate::CertificateName;
use crate::file::state::{FileError, blocking};

use super::super::error::{CertificateError, Result};
use super::super::grants::{self, PersistentGrant};
use super::ManagedCertificates;
use super::entry::ManagedEntry;
use super::report::DeletionReport;

/// Reads the grants that certificates rely on. Blocks.
fn read_grants(entries: &[Arc<ManagedEntry>]) -> std::result::Result<Vec<PersistentGrant>, FileError> {
    let mut all = Vec::new();
    for entry in entries {
        all.extend(grants::read(&entry.folder.grants())?);
    }
    Ok(all)
}

impl ManagedCertificates {
    /// Forgets a certificate and deletes its files. Its labels stay, so that a CNAME never leads to a stranger. Persistent
    /// authorizations are withdrawn, unless another certificate relies on them.
    pub async fn delete(&self, name: &CertificateName) -> Result<DeletionReport> {
        let entry = self.registry.get(name)?;
        if entry.is_configured {
            return Err(CertificateError::Configured(name.to_string()));
        }
        // A task of its own: the caller may go away, and what has begun goes on.
        let deleting = tokio::spawn(self.clone().delete_all(entry));
        deleting.await.map_err(|error| CertificateError::Interrupted(error.to_string()))?
    }

    async fn delete_all(self, entry: Arc<ManagedEntry>) -> Result<DeletionReport> {
        let _deploying = entry.deploying.lock().await;
        let mut state = entry.state().await?;
        // First of all: the next attempt finishes what a crash interrupts here, and a renewal would publish it again.
        let report = self.withdraw(&entry).await?;
        state.history.deleting = true;
        if let Err(problem) = entry.store(&state).await {
            state.history.deleting = false;
            return Err(problem);
        }
        if let Err(problem) = entry.erase().await {
            // The renewal task tries again, and reports the outcome.
            entry.update(|report| report.attempts.problem = Some(problem.explained()));
            entry.wake.notify_one();
            return Err(problem);
        }
        self.registry.remove(&entry);
        info!(name = %entry.wanted.name, withdrawn = report.withdrawn.len(), standing = report.standing.len(), "a certificate is deleted");
        Ok(report)
    }

    /// Withdraws the grants that no other certificate relies on.
    async fn withdraw(&self, entry: &Arc<ManagedEntry>) -> Result<DeletionReport> {
        let mut others: Vec<Arc<ManagedEntry>> = self.registry.entries().values().cloned().collect();
        others.retain(|other| other.wanted.name != entry.wanted.name);
        let this = entry.clone();
        let granted = blocking(move || read_grants(&[this])).await?;
        let used = blocking(move || read_grants(&others)).await?;
        let mut report = DeletionReport::default();
        for grant in granted.iter().filter(|grant| !used.contains(grant)) {
            let is_withdrawn = grant.withdraw(&self.registry.services.publisher).await?;
            let list = if is_withdrawn { &mut report.withdrawn } else { &mut report.standing };
            list.push(grant.to_string());
        }
        Ok(report)
    }
}
