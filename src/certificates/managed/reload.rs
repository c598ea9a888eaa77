//! Managed certificates after a reload of the configuration.

use std::sync::{Arc, PoisonError};

use tokio::task::JoinSet;
use tracing::info;

use crate::config::ManagedCertificate;
use crate::file::state::blocking;

use super::ManagedCertificates;
use super::entry::ManagedEntry;

impl ManagedCertificates {
    /// Applies the certificates of a new configuration, and retries failed ones at once. Certificates that are not in it
    /// any more are not renewed, and their files stay. Does not wait for orders under way.
    pub fn reload(&self, configured: &[ManagedCertificate]) {
        self.registry.services.authority.retry_now();
        let mut reloading = JoinSet::new();
        for wanted in configured {
            if self.is_new(wanted) {
                reloading.spawn(self.clone().replace(wanted.clone()));
            }
        }
        for entry in self.registry.entries().values() {
            match configured.iter().find(|wanted| wanted.name == entry.wanted.name) {
                None if entry.is_configured => {
                    reloading.spawn(self.clone().release(entry.clone()));
                }
                // Replaced above.
                Some(wanted) if *wanted != entry.wanted => {}
                _ => entry.wake.notify_one(),
            }
        }
        let managed = self.clone();
        reloading.spawn(async move {
            managed.take_requests().await;
        });
        *self.tasks.reloading.lock().unwrap_or_else(PoisonError::into_inner) = reloading;
    }

    /// Whether a certificate of the configuration was not there before, or was different.
    fn is_new(&self, wanted: &ManagedCertificate) -> bool {
        let entries = self.registry.entries();
        let present = entries.get(&wanted.name).filter(|entry| entry.is_configured);
        present.is_none_or(|entry| entry.wanted != *wanted)
    }

    /// Keeps a certificate as the new configuration says.
    async fn replace(self, wanted: ManagedCertificate) {
        let former = self.registry.find(&wanted.name);
        let _idle = match &former {
            Some(former) => Some(former.idle().await),
            None => None,
        };
        info!(name = %wanted.name, "a certificate is kept as the configuration now says");
        self.start_task(wanted, true);
    }

    /// Stops keeping a certificate that is not in the configuration any more. If a command had asked for it before, keeps
    /// it as that command said.
    async fn release(self, gone: Arc<ManagedEntry>) {
        let name = &gone.wanted.name;
        let _idle = gone.idle().await;
        let folder = gone.folder.clone();
        let base = self.registry.base.clone();
        let request = blocking(move || folder.read_request(&base)).await;
        self.registry.remove(&gone);
        match request.transpose() {
            None => info!(%name, "a certificate is not in the configuration any more: not renewed, its files stay"),
            Some(request) => {
                info!(%name, "a certificate is not in the configuration any more, but a command has asked for it");
                self.take_request(name, request);
            }
        }
    }
}
