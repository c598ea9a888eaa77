//! Certificates that commands have asked for, as the state folder has them.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tracing::error;

use crate::config::ManagedCertificate;
use crate::config::certificate::CertificateName;

use super::super::renewal::wall_clock;
use super::{BTreeMap, Listed, Managed, Report, record};
use crate::acme::account::blocking;
use crate::acme::error::{AcmeError, Result};

/// Between two attempts to read what could not be read: the machine may know its users only now.
const READ_AGAIN: Duration = Duration::from_secs(600);

impl Managed {
    /// Keeps every certificate that a command has asked for and nobody keeps yet. Whether all of them could be read;
    /// the others are told of.
    pub(super) async fn take_requested(&self) -> bool {
        let (state, folder) = (self.0.tools.authority.settings().state.clone(), self.0.folder.clone());
        match blocking(move || record::requested(&state, &folder)).await {
            Ok(found) => {
                found.into_iter().for_each(|(name, read)| self.take_request(&name, read));
                self.unread().is_empty()
            }
            Err(problem) => {
                error!("what commands have asked for is not known: {}", problem.explained());
                false
            }
        }
    }

    /// Keeps a certificate as a command has asked for it, unless the configuration has it.
    pub(super) fn take_request(&self, name: &CertificateName, read: Result<ManagedCertificate>) {
        match read {
            _ if self.kept(name).is_some() => _ = self.unread().remove(name),
            Ok(wanted) => _ = self.keep(wanted, false),
            Err(problem) => {
                error!(%name, "a certificate is not renewed: {}", problem.explained());
                self.0.tools.metrics.managed.failed(&name.to_string(), wall_clock().as_unix());
                self.unread().insert(name.clone(), problem);
            }
        }
    }

    /// Reads again, for as long as the daemon runs, what could not be read.
    pub(super) async fn keep_reading(self, mut is_read: bool) {
        loop {
            tokio::time::sleep(READ_AGAIN).await;
            if !is_read || !self.unread().is_empty() {
                is_read = self.take_requested().await;
            }
        }
    }

    pub(super) fn unread(&self) -> MutexGuard<'_, BTreeMap<CertificateName, AcmeError>> {
        self.0.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listed {
    /// One of which no more is known than that somebody has asked for it.
    pub(super) fn unread(name: &CertificateName, problem: &AcmeError) -> Self {
        let report = Report { problem: Some(problem.explained()), ..Report::default() };
        Self { name: name.to_string(), report, ..Self::default() }
    }
}
