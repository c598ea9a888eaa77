//! Certificates that the daemon gets, keeps and renews for other programs of this machine.
//!
//! Each has a keeper of its own, which waits for nobody: a certificate whose name is delegated elsewhere fails again
//! and again, ever more seldom, while all others are renewed.

mod bundle;
mod deletion;
pub mod hook;
mod keeper;
pub mod live;
mod record;
mod reload;
mod requested;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use tokio::sync::{MappedMutexGuard, MutexGuard as Held, Notify, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use tracing::info;

use crate::config::certificate::{CertificateName, MAX_CERTIFICATES};
use crate::config::{ManagedCertificate, file};
use crate::metrics::Metrics;
use crate::net::lookup::Lookup;
use crate::publisher::Publisher;

use super::progress::{Progress, Step};
use crate::acme::account::blocking;
use crate::acme::authority::Authority;
use crate::acme::certificate::Facts;
use crate::acme::error::{AcmeError, Result};
use crate::acme::retry_after::Refusal;
use crate::acme::revocation::{By, Reason, revoke};
use crate::delegation::challenge_target::Missing;

pub use deletion::Deleted;

use hook::Outcome;
use keeper::{Work, keep, password};
use record::Folder;

/// Orders under way at once.
const AT_ONCE: usize = 4;

/// All managed certificates. A cheap handle.
#[derive(Clone, Debug)]
pub struct Managed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tools: Tools,
    /// What relative directories of commands are relative to.
    folder: PathBuf,
    entries: Mutex<BTreeMap<CertificateName, Arc<Entry>>>,
    /// What commands have asked for and cannot be read, and why.
    unread: Mutex<BTreeMap<CertificateName, AcmeError>>,
    /// What tries to read that again.
    reading: OnceLock<AbortHandle>,
    /// What takes over the last reading of the configuration; another one ends it.
    reloading: Mutex<JoinSet<()>>,
}

/// What it takes to get a certificate.
#[derive(Clone, Debug)]
struct Tools {
    authority: Authority,
    publisher: Publisher,
    lookup: Lookup,
    metrics: Arc<Metrics>,
    places: Arc<Semaphore>,
}

/// One certificate.
#[derive(Debug)]
struct Entry {
    wanted: ManagedCertificate,
    is_configured: bool,
    folder: Folder,
    report: Mutex<Report>,
    progress: Progress,
    refusal: Refusal,
    wake: Notify,
    /// Another certificate is asked for, whether it is time or not.
    is_forced: AtomicBool,
    keeper: OnceLock<AbortHandle>,
    /// Held while its deploy hook runs, so that nobody takes its place or its files. Never asked for by who holds `work`.
    deploying: tokio::sync::Mutex<()>,
    /// Held by whoever works on it: its keeper, a revocation, its deletion. `None` until it could be read.
    work: tokio::sync::Mutex<Option<Work>>,
}

/// How a certificate is, for the operator.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What is in its files.
    pub shown: Option<Facts>,
    /// Whether it is revoked; then it is not renewed.
    pub revoked: bool,
    /// From when on it is to be renewed.
    pub renew_at: Option<String>,
    /// What is being done; `None`: nothing.
    pub stage: Option<String>,
    /// Attempts that have ended since the daemon started.
    pub ended: u64,
    /// Attempts that have failed since the last success.
    pub failures: u32,
    /// Why the last one has failed, and what to do.
    pub problem: Option<String>,
    /// Records that somebody must add to their zones.
    pub missing: Vec<Missing>,
    /// When it is tried again.
    pub next_attempt: Option<String>,
    /// The CAA record that lets this account alone get certificates.
    pub caa: Option<String>,
    /// What its deploy hook has done last.
    pub hook: Option<Outcome>,
}

/// A certificate in a list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Listed {
    /// What it is called.
    pub name: String,
    /// The names in it.
    pub names: Vec<String>,
    /// Whether it stands in the configuration.
    pub configured: bool,
    /// Where its files are.
    pub live: PathBuf,
    /// Whether somebody has asked for another one, which is not there yet.
    pub asked: bool,
    /// How it is.
    #[serde(flatten)]
    pub report: Report,
    /// How far each name is in the order under way, or was in the last one; left out of lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<Step>,
}

impl Managed {
    /// Starts the keepers of all certificates: those of the configuration, and those that commands have asked for.
    /// `folder` is what relative directories are relative to. What is wrong with one of them is told of in its report:
    /// it must hold up neither the others nor the daemon.
    pub async fn start(
        authority: Authority,
        publisher: Publisher,
        lookup: Lookup,
        metrics: Arc<Metrics>,
        configured: &[ManagedCertificate],
        folder: &Path,
    ) -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let tools = Tools { authority, publisher, lookup, metrics, places };
        let managed = Self(Arc::new(Inner {
            tools,
            folder: folder.to_owned(),
            entries: Mutex::default(),
            unread: Mutex::default(),
            reading: OnceLock::new(),
            reloading: Mutex::default(),
        }));
        for wanted in configured {
            managed.keep(wanted.clone(), true);
        }
        let is_read = managed.take_requested().await;
        let reading = tokio::spawn(managed.clone().keep_reading(is_read)).abort_handle();
        managed.0.reading.get_or_init(|| reading);
        managed
    }

    /// Starts a keeper. The certificate as it was before that has done anything: whoever waits for it counts from there.
    fn keep(&self, wanted: ManagedCertificate, is_configured: bool) -> Listed {
        let entry = Arc::new(Entry {
            folder: self.folder_of(&wanted.name),
            wanted,
            is_configured,
            report: Mutex::default(),
            progress: Progress::default(),
            refusal: Refusal::default(),
            wake: Notify::new(),
            is_forced: AtomicBool::new(false),
            keeper: OnceLock::new(),
            deploying: tokio::sync::Mutex::default(),
            work: tokio::sync::Mutex::default(),
        });
        let listed = entry.listed();
        // Its keeper may find that it is to be removed: not before it is here.
        let mut entries = self.lock();
        let keeper = tokio::spawn(keep(self.clone(), entry.clone())).abort_handle();
        entry.keeper.get_or_init(|| keeper);
        entries.insert(entry.wanted.name.clone(), entry.clone()).inspect(|before| before.stop());
        self.unread().remove(&entry.wanted.name);
        listed
    }

    /// Keeps a certificate no longer.
    fn remove(&self, gone: &Arc<Entry>) {
        let (mut entries, name) = (self.lock(), &gone.wanted.name);
        if entries.get(name).is_some_and(|kept| Arc::ptr_eq(kept, gone)) {
            entries.remove(name);
            self.0.tools.metrics.managed.forget(&name.to_string());
        }
        gone.stop();
    }

    fn folder_of(&self, name: &CertificateName) -> Folder {
        Folder::of(&self.0.tools.authority.settings().state, name)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CertificateName, Arc<Entry>>> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, name: &CertificateName) -> Option<Arc<Entry>> {
        self.lock().get(name).cloned()
    }

    fn entry(&self, name: &CertificateName) -> Result<Arc<Entry>> {
        let why = || self.unread().get(name).cloned().unwrap_or_else(|| AcmeError::NoCertificate(name.to_string()));
        self.kept(name).ok_or_else(why)
    }

    /// Ends all keepers; what one has begun goes on with the next start.
    pub fn stop(&self) {
        self.0.reloading.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.0.reading.get().inspect(|reading| reading.abort());
        self.lock().values().for_each(|entry| entry.stop());
    }

    /// All of them, by name.
    pub fn list(&self) -> Vec<Listed> {
        let mut listed: Vec<Listed> = self.lock().values().map(|entry| entry.listed()).collect();
        listed.extend(self.unread().iter().map(|(name, problem)| Listed::unread(name, problem)));
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        listed
    }

    /// One of them.
    pub fn show(&self, name: &CertificateName) -> Result<Listed> {
        if let Some(problem) = self.unread().get(name) {
            return Ok(Listed::unread(name, problem));
        }
        let entry = self.entry(name)?;
        Ok(Listed { progress: entry.progress.steps(), ..entry.listed() })
    }

    /// Takes on another certificate, or one in place of the one of that name. It is renewed like one of the
    /// configuration from then on.
    pub async fn request(&self, wanted: file::Certificate) -> Result<Listed> {
        let read = ManagedCertificate::read(&wanted, &self.0.folder);
        let read = read.map_err(|wrong| AcmeError::Wanted(wrong.to_string()))?;
        let before = self.kept(&read.name);
        if before.as_ref().is_some_and(|before| before.is_configured) {
            return Err(AcmeError::Configured(read.name.to_string()));
        }
        if before.is_none() && self.lock().len() >= MAX_CERTIFICATES {
            return Err(AcmeError::Wanted(format!("there are {MAX_CERTIFICATES} certificates already")));
        }
        password(&read).await?;
        self.0.tools.authority.mended();
        let _idle = Entry::idle(before.as_deref()).await;
        let (folder, name) = (self.folder_of(&read.name), read.name.to_string());
        let request = move || {
            if folder.record().is_ok_and(|record| record.deleting) {
                return Err(AcmeError::Deleting(name));
            }
            folder.request(&wanted)
        };
        blocking(request).await?;
        info!(name = %read.name, names = ?read.names, "a certificate is asked for");
        Ok(self.keep(read, false))
    }

    /// Tries again at once what has failed; where nothing has, gets another certificate, whether it is time or not.
    pub async fn renew(&self, name: &CertificateName) -> Result<Listed> {
        if self.unread().contains_key(name) {
            self.take_requested().await;
        }
        let entry = self.entry(name)?;
        // A hook that has failed needs no other certificate.
        if entry.tell(|report| report.problem.is_none() || report.revoked) {
            entry.is_forced.store(true, Ordering::Relaxed);
        }
        let listed = entry.listed();
        self.0.tools.authority.mended();
        entry.wake.notify_one();
        Ok(listed)
    }

    /// Revokes the certificate in the files. It is not renewed then, unless somebody asks for it.
    pub async fn revoke(&self, name: &CertificateName, reason: Reason) -> Result<Listed> {
        let entry = self.entry(name)?;
        let mut work = entry.work().await?;
        let wanted = entry.wanted.clone();
        let chain = blocking(move || live::read(&wanted)).await?;
        let chain = chain.ok_or_else(|| AcmeError::Certificate(format!("{name} has none yet")))?;
        let first = chain.certificates().first().ok_or_else(|| AcmeError::Certificate("the chain is empty".into()))?;
        let account = self.0.tools.authority.account().await?;
        match revoke(By::Account(&account), first, reason).await {
            Err(error) if error.is("alreadyRevoked") => info!(%name, "it was revoked before"),
            // An account that came later has not proven its names, but we have the key.
            Err(error) if error.is("unauthorized") => {
                let key = chain.key().signing_key()?;
                revoke(By::CertificateKey(account.client(), &key), first, reason).await?;
            }
            done => done?,
        }
        work.record.revoked = Some(chain.facts.serial);
        entry.store(&work).await?;
        entry.tell(|report| report.revoked = true);
        Ok(entry.listed())
    }
}

impl Entry {
    /// Holds one so that neither an order nor a deploy hook of it is under way.
    async fn idle(entry: Option<&Self>) -> Option<(Held<'_, ()>, Held<'_, Option<Work>>)> {
        let entry = entry?;
        let deploying = entry.deploying.lock().await;
        Some((deploying, entry.work.lock().await))
    }

    /// Holds what is known of it, which is read where it was not yet.
    async fn work(&self) -> Result<MappedMutexGuard<'_, Work>> {
        let mut held = self.work.lock().await;
        let work = match held.take() {
            Some(work) => work,
            None => {
                let (wanted, folder) = (self.wanted.clone(), self.folder.clone());
                blocking(move || Work::load(&wanted, &folder)).await?
            }
        };
        Ok(Held::map(held, |held| held.insert(work)))
    }

    fn stop(&self) {
        self.keeper.get().inspect(|keeper| keeper.abort());
    }

    fn listed(&self) -> Listed {
        Listed {
            name: self.wanted.name.to_string(),
            names: self.wanted.names.iter().map(ToString::to_string).collect(),
            configured: self.is_configured,
            live: live::live(&self.wanted),
            asked: self.is_forced.load(Ordering::Relaxed),
            report: self.report.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            progress: Vec::new(),
        }
    }

    fn tell<T>(&self, change: impl FnOnce(&mut Report) -> T) -> T {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn store(&self, work: &Work) -> Result<()> {
        let (folder, record) = (self.folder.clone(), work.record.clone());
        blocking(move || folder.store(&record)).await
    }
}
