//! The end of a managed certificate: its files, what is remembered of it, and what it was granted.

use std::sync::Arc;

use serde::Serialize;
use tracing::info;

use crate::config::certificate::CertificateName;

use super::super::grants::{self, Grant};
use super::{Entry, Managed, live};
use crate::acme::account::blocking;
use crate::acme::error::{AcmeError, Result};

/// What has become of the persistent authorizations of a certificate that is deleted, as records.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Deleted {
    /// Those that are not served any more.
    pub withdrawn: Vec<String>,
    /// Those in the zones of others, which go on granting what they say.
    pub standing: Vec<String>,
}

/// What other certificates rely on. Blocks.
fn grants_of(entries: Vec<Arc<Entry>>) -> Result<Vec<Grant>> {
    let read: Result<Vec<Vec<Grant>>> = entries.iter().map(|entry| grants::standing(&entry.folder.grants())).collect();
    Ok(read?.concat())
}

impl Managed {
    /// Forgets a certificate and deletes its files. Its labels stay, so that a CNAME never leads to a stranger; persistent
    /// authorizations are withdrawn from them, unless another certificate relies on them.
    pub async fn delete(&self, name: &CertificateName) -> Result<Deleted> {
        let entry = self.entry(name)?;
        if entry.is_configured {
            return Err(AcmeError::Configured(name.to_string()));
        }
        // Whoever asks may go away; what has begun goes on.
        let deleting = tokio::spawn(self.clone().delete_all(entry));
        deleting.await.map_err(|error| AcmeError::Setup(error.to_string()))?
    }

    async fn delete_all(self, entry: Arc<Entry>) -> Result<Deleted> {
        let _deploying = entry.deploying.lock().await;
        let mut work = entry.work().await?;
        // Before anything else: what a crash leaves undone here is done by the next attempt, or needed by a renewal.
        let deleted = self.withdraw(&entry).await?;
        work.record.deleting = true;
        entry.store(&work).await.inspect_err(|_| work.record.deleting = false)?;
        if let Err(problem) = entry.erase().await {
            // Its keeper tries again, and tells of it.
            entry.tell(|report| report.problem = Some(problem.explained()));
            entry.wake.notify_one();
            return Err(problem);
        }
        self.remove(&entry);
        info!(name = %entry.wanted.name, ?deleted, "a certificate is deleted");
        Ok(deleted)
    }

    async fn withdraw(&self, entry: &Arc<Entry>) -> Result<Deleted> {
        let others = self.lock().values().filter(|other| other.wanted.name != entry.wanted.name).cloned().collect();
        let (own, used) = blocking({
            let entry = entry.clone();
            move || Ok((grants::standing(&entry.folder.grants())?, grants_of(others)?))
        })
        .await?;
        let mut deleted = Deleted::default();
        for grant in own.iter().filter(|grant| !used.contains(grant)) {
            let is_ours = grant.withdraw(&self.0.tools.publisher).await?;
            if is_ours { &mut deleted.withdrawn } else { &mut deleted.standing }.push(grant.to_string());
        }
        Ok(deleted)
    }
}

impl Entry {
    /// Takes away its files, and what is remembered of it.
    pub(super) async fn erase(&self) -> Result<()> {
        let (wanted, folder) = (self.wanted.clone(), self.folder.clone());
        blocking(move || live::delete(&wanted).and_then(|()| folder.remove())).await
    }
}
