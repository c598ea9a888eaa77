//! What becomes of the managed certificates when the configuration is read again.

use std::sync::{Arc, PoisonError};

use tokio::task::JoinSet;
use tracing::info;

use crate::config::ManagedCertificate;

use super::{Entry, Managed};
use crate::acme::account::blocking;

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
        let managed = self.clone();
        reloading.spawn(async move { _ = managed.take_requested().await });
        *self.0.reloading.lock().unwrap_or_else(PoisonError::into_inner) = reloading;
    }

    /// Keeps a certificate that is new in the configuration, or another one there than before.
    async fn take(&self, wanted: ManagedCertificate) {
        let before = self.kept(&wanted.name);
        let _idle = Entry::idle(before.as_deref()).await;
        info!(name = %wanted.name, "a certificate is kept as the configuration now says");
        self.keep(wanted, true);
    }

    /// Keeps a certificate no longer that has gone from the configuration, but as a command has asked for it before.
    async fn release(&self, gone: &Arc<Entry>) {
        let name = &gone.wanted.name;
        let _idle = Entry::idle(Some(gone)).await;
        let (record, folder) = (gone.folder.clone(), self.0.folder.clone());
        let asked = blocking(move || record.requested(&folder)).await.transpose();
        self.remove(gone);
        match asked {
            None => info!(%name, "a certificate has left the configuration, and is not renewed; its files stay"),
            Some(read) => {
                info!(%name, "a certificate has left the configuration; a command has asked for it");
                self.take_request(name, read);
            }
        }
    }
}
