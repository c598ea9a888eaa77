//! What becomes of the managed certificates when the configuration is read again.

use std::sync::PoisonError;

use tokio::task::JoinSet;
use tracing::{error, info};

use crate::config::ManagedCertificate;

use super::super::account::blocking;
use super::{Entry, Managed};

impl Managed {
    /// Takes over the certificates of another reading of the configuration, and tries again at once what has failed.
    /// Those that are gone are kept no longer, and their files stay. Does not wait for orders that are under way.
    pub fn reload(&self, configured: &[ManagedCertificate]) {
        self.0.tools.authority.mended();
        let mut reloading = JoinSet::new();
        let entries = self.lock();
        for wanted in configured {
            let known = entries.get(&wanted.name).filter(|entry| entry.is_configured);
            if known.is_none_or(|known| known.wanted != *wanted) {
                let (managed, wanted) = (self.clone(), wanted.clone());
                reloading.spawn(async move { managed.take(wanted).await });
            }
        }
        for entry in entries.values() {
            match configured.iter().find(|wanted| wanted.name == entry.wanted.name) {
                None if entry.is_configured => {
                    let (managed, gone) = (self.clone(), entry.clone());
                    reloading.spawn(async move { managed.release(&gone).await });
                }
                Some(wanted) if *wanted != entry.wanted => {}
                _ => entry.wake.notify_one(),
            }
        }
        *self.0.reloading.lock().unwrap_or_else(PoisonError::into_inner) = reloading;
    }

    /// Keeps a certificate that is new in the configuration, or another one there than before.
    async fn take(&self, wanted: ManagedCertificate) {
        let name = wanted.name.clone();
        let before = self.entry(&name).ok();
        let _work = Entry::idle(before.as_deref()).await;
        match self.keep(wanted, true).await {
            Ok(_) => info!(%name, "a certificate is kept as the configuration now says"),
            Err(problem) => error!(%name, "a certificate stays as it was: {}", problem.explained()),
        }
    }

    /// Keeps a certificate no longer that has gone from the configuration, but as a command has asked for it before.
    async fn release(&self, gone: &Entry) {
        let name = &gone.wanted.name;
        let _work = gone.work.lock().await;
        let (record, folder) = (gone.folder.clone(), self.0.folder.clone());
        let kept = match blocking(move || record.requested(&folder)).await {
            Ok(Some(wanted)) => self.keep(wanted, false).await,
            Ok(None) => Ok(None),
            Err(problem) => Err(problem),
        };
        match kept {
            Ok(Some(_)) => return info!(%name, "a certificate has left the configuration; a command has asked for it"),
            Ok(None) => info!(%name, "a certificate has left the configuration, and is not renewed; its files stay"),
            Err(problem) => error!(%name, "a certificate is not renewed: {}", problem.explained()),
        }
        self.remove(name);
    }
}
