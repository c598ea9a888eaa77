//! All managed certificates by name, for their renewal tasks and for commands.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::config::certificate::CertificateName;

use super::super::error::{CertificateError, Result};
use super::super::services::IssueServices;
use super::entry::ManagedEntry;
use super::history::StateFolder;

/// The most orders under way at the same time.
const MAX_ORDERS: usize = 4;

/// The certificates, and what their renewal tasks share.
#[derive(Debug)]
pub struct Registry {
    /// What issuing needs.
    pub services: IssueServices,
    /// Relative directories in commands are relative to this folder.
    pub base: PathBuf,
    /// Bounds the orders under way.
    pub order_slots: Semaphore,
    entries: Mutex<BTreeMap<CertificateName, Arc<ManagedEntry>>>,
    unreadable: Mutex<BTreeMap<CertificateName, CertificateError>>,
}

impl Registry {
    /// A registry without certificates.
    pub fn new(services: IssueServices, base: PathBuf) -> Self {
        Self {
            services,
            base,
            order_slots: Semaphore::new(MAX_ORDERS),
            entries: Mutex::default(),
            unreadable: Mutex::default(),
        }
    }

    /// The certificates that have a renewal task.
    pub fn entries(&self) -> MutexGuard<'_, BTreeMap<CertificateName, Arc<ManagedEntry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The certificates whose requests cannot be read, and why.
    pub fn unreadable(&self) -> MutexGuard<'_, BTreeMap<CertificateName, CertificateError>> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The certificate of a name, if it has a renewal task.
    pub fn find(&self, name: &CertificateName) -> Option<Arc<ManagedEntry>> {
        self.entries().get(name).cloned()
    }

    /// The certificate of a name. Fails if there is none, or if its request cannot be read.
    pub fn get(&self, name: &CertificateName) -> Result<Arc<ManagedEntry>> {
        if let Some(entry) = self.find(name) {
            return Ok(entry);
        }
        let problem = self.unreadable().get(name).cloned();
        Err(problem.unwrap_or_else(|| CertificateError::NotFound(name.to_string())))
    }

    /// Ends the renewal task of a certificate, and removes it unless another one has taken its name.
    pub fn remove(&self, gone: &Arc<ManagedEntry>) {
        let mut entries = self.entries();
        let name = &gone.wanted.name;
        if entries.get(name).is_some_and(|present| Arc::ptr_eq(present, gone)) {
            entries.remove(name);
            self.services.metrics.managed.forget(&name.to_string());
        }
        gone.stop();
    }

    /// The folder of a certificate in the state folder.
    pub fn folder_of(&self, name: &CertificateName) -> StateFolder {
        StateFolder::of(&self.services.authority.settings().state, name)
    }
}
