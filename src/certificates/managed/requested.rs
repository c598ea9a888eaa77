//! Certificates that commands have asked for: their requests are in the state folder.

use std::time::Duration;

use tracing::error;

use crate::config::ManagedCertificate;
use crate::config::certificate::CertificateName;
use crate::file::state::{FileError, blocking};

use super::super::error::Result;
use super::super::renewal::wall_clock;
use super::ManagedCertificates;
use super::history::read_requests;

/// The time between two attempts to read a request that could not be read: the machine may learn of its users late.
const READ_INTERVAL: Duration = Duration::from_secs(600);

impl ManagedCertificates {
    /// Starts renewal tasks for all requests that have none. Reports those that cannot be read, and returns whether there are
    /// none of them.
    pub(super) async fn take_requests(&self) -> bool {
        let state = self.registry.services.authority.settings().state.clone();
        let base = self.registry.base.clone();
        match blocking(move || read_requests(&state, &base)).await {
            Ok(requests) => {
                for (name, request) in requests {
                    self.take_found_request(&name, request).await;
                }
                self.registry.unreadable().is_empty()
            }
            Err(problem) => {
                error!("the requests of commands cannot be read: {problem}");
                false
            }
        }
    }

    /// Starts a renewal task for a request that was found in the state folder, unless the certificate has one or was deleted
    /// since then. A deletion removes the files first and the task last, so that the request of a certificate without a task
    /// is still there unless it was deleted.
    async fn take_found_request(&self, name: &CertificateName, found: Result<ManagedCertificate>) {
        if self.registry.find(name).is_some() {
            self.registry.unreadable().remove(name);
            return;
        }
        let folder = self.registry.folder_of(name);
        let is_there = blocking(move || Ok::<_, FileError>(folder.has_request())).await;
        if is_there.unwrap_or(true) {
            self.take_request(name, found);
        }
    }

    /// Starts a renewal task for a request, unless the certificate has one.
    pub(super) fn take_request(&self, name: &CertificateName, request: Result<ManagedCertificate>) {
        if self.registry.find(name).is_some() {
            self.registry.unreadable().remove(name);
            return;
        }
        match request {
            Ok(wanted) => {
                self.start_task(wanted, false);
            }
            Err(problem) => {
                error!(%name, "a certificate is not renewed: {}", problem.explained());
                self.registry.services.metrics.managed.failed(&name.to_string(), wall_clock().as_unix());
                self.registry.unreadable().insert(name.clone(), problem);
            }
        }
    }

    /// Reads requests again that could not be read, for as long as the daemon runs.
    pub(super) async fn keep_reading(self, mut all_read: bool) {
        loop {
            tokio::time::sleep(READ_INTERVAL).await;
            if !all_read || !self.registry.unreadable().is_empty() {
                all_read = self.take_requests().await;
            }
        }
    }
}
