//! Certificates that the daemon gets, keeps and renews for other programs of this machine.
//!
//! Each has a keeper of its own, which waits for nobody: a certificate whose name is delegated elsewhere fails again
//! and again, ever more seldom, while all others are renewed.

mod bundle;
pub mod hook;
mod keeper;
pub mod live;
pub mod placement;
mod record;
mod reload;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use tracing::info;

use crate::config::certificate::{CertificateName, MAX_CERTIFICATES};
use crate::config::{ManagedCertificate, file};
use crate::lookup::Lookup;
use crate::metrics::Metrics;
use crate::publisher::Publisher;

use super::account::blocking;
use super::authority::Authority;
use super::certificate::Facts;
use super::error::{AcmeError, Result};
use super::grants::{self, Grant};
use super::progress::{Progress, Step};
use super::refusal::Refusal;
use super::revocation::{By, Reason, revoke};

use hook::Outcome;
use keeper::{Work, keep};
use placement::Missing;
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
    /// Held by whoever works on it: its keeper, a revocation, its deletion.
    work: tokio::sync::Mutex<Work>,
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
#[derive(Debug, Clone, Serialize)]
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
    /// Starts the keepers of all certificates: those of the configuration, and those that commands have asked for.
    /// `folder` is what relative directories are relative to.
    pub async fn start(
        authority: Authority,
        publisher: Publisher,
        lookup: Lookup,
        metrics: Arc<Metrics>,
        configured: &[ManagedCertificate],
        folder: &Path,
    ) -> Result<Self> {
        let state = authority.settings().state.clone();
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let tools = Tools { authority, publisher, lookup, metrics, places };
        let managed = Self(Arc::new(Inner {
            tools,
            folder: folder.to_owned(),
            entries: Mutex::default(),
            reloading: Mutex::default(),
        }));
        for wanted in configured {
            managed.keep(wanted.clone(), true).await?;
        }
        let requested = blocking({
            let folder = folder.to_owned();
            move || record::requested(&state, &folder)
        });
        for wanted in requested.await? {
            if managed.entry(&wanted.name).is_ok() {
                info!(name = %wanted.name, "the configuration has a certificate that a command had asked for; it rules");
            } else {
                managed.keep(wanted, false).await?;
            }
        }
        Ok(managed)
    }

    async fn keep(&self, wanted: ManagedCertificate, is_configured: bool) -> Result<Option<Arc<Entry>>> {
        let folder = Folder::of(&self.0.tools.authority.settings().state, &wanted.name);
        let work = blocking({
            let (wanted, folder) = (wanted.clone(), folder.clone());
            move || Work::load(&wanted, &folder)
        });
        let Some(work) = work.await? else {
            info!(name = %wanted.name, "a certificate is deleted");
            self.remove(&wanted.name);
            return Ok(None);
        };
        let entry = Arc::new(Entry {
            wanted,
            is_configured,
            folder,
            report: Mutex::default(),
            progress: Progress::default(),
            refusal: Refusal::default(),
            wake: Notify::new(),
            is_forced: AtomicBool::new(false),
            keeper: OnceLock::new(),
            work: tokio::sync::Mutex::new(work),
        });
        let keeper = tokio::spawn(keep(self.0.tools.clone(), entry.clone())).abort_handle();
        entry.keeper.get_or_init(|| keeper);
        let before = self.lock().insert(entry.wanted.name.clone(), entry.clone());
        before.inspect(|before| before.stop());
        Ok(Some(entry))
    }

    /// Keeps no certificate of that name any longer.
    fn remove(&self, name: &CertificateName) {
        self.lock().remove(name).inspect(|entry| entry.stop());
        self.0.tools.metrics.managed.forget(&name.to_string());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CertificateName, Arc<Entry>>> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, name: &CertificateName) -> Result<Arc<Entry>> {
        self.lock().get(name).cloned().ok_or_else(|| AcmeError::NoCertificate(name.to_string()))
    }

    /// Ends all keepers; what one has begun goes on with the next start.
    pub fn stop(&self) {
        self.0.reloading.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.lock().values().for_each(|entry| entry.stop());
    }

    /// All of them, by name.
    pub fn list(&self) -> Vec<Listed> {
        self.lock().values().map(|entry| entry.listed()).collect()
    }

    /// One of them.
    pub fn show(&self, name: &CertificateName) -> Result<Listed> {
        let entry = self.entry(name)?;
        Ok(Listed { progress: entry.progress.steps(), ..entry.listed() })
    }

    /// Takes on another certificate, or one in place of the one of that name. It is renewed like one of the
    /// configuration from then on.
    pub async fn request(&self, wanted: file::Certificate) -> Result<Listed> {
        let read = ManagedCertificate::read(&wanted, &self.0.folder);
        let read = read.map_err(|wrong| AcmeError::Wanted(wrong.to_string()))?;
        let before = self.entry(&read.name).ok();
        if before.as_ref().is_some_and(|before| before.is_configured) {
            return Err(AcmeError::Configured(read.name.to_string()));
        }
        if before.is_none() && self.lock().len() >= MAX_CERTIFICATES {
            return Err(AcmeError::Wanted(format!("there are {MAX_CERTIFICATES} certificates already")));
        }
        if let Some(pkcs12) = read.pkcs12.clone() {
            blocking(move || Ok(pkcs12.password()?)).await?;
        }
        self.0.tools.authority.mended();
        let _work = Entry::idle(before.as_deref()).await;
        let folder = Folder::of(&self.0.tools.authority.settings().state, &read.name);
        blocking(move || folder.request(&wanted)).await?;
        info!(name = %read.name, names = ?read.names, "a certificate is asked for");
        let name = read.name.clone();
        let entry = self.keep(read, false).await?;
        entry.map(|entry| entry.listed()).ok_or_else(|| AcmeError::NoCertificate(name.to_string()))
    }

    /// Tries again at once what has failed; where nothing has, gets another certificate, whether it is time or not.
    pub async fn renew(&self, name: &CertificateName) -> Result<Listed> {
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
        let mut work = entry.work.lock().await;
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

    /// Forgets a certificate and deletes its files. Its labels stay, so that a CNAME never leads to a stranger; persistent
    /// authorizations are withdrawn from them, unless another certificate relies on them.
    pub async fn delete(&self, name: &CertificateName) -> Result<Deleted> {
        let entry = self.entry(name)?;
        if entry.is_configured {
            return Err(AcmeError::Configured(name.to_string()));
        }
        let mut work = entry.work.lock().await;
        // Before anything else: what a crash leaves undone here is done by the next attempt, or needed by a renewal.
        let deleted = self.withdraw(&entry).await?;
        work.record.deleting = true;
        entry.store(&work).await?;
        entry.stop();
        let (wanted, folder) = (entry.wanted.clone(), entry.folder.clone());
        blocking(move || live::delete(&wanted).and_then(|()| folder.remove())).await?;
        self.remove(name);
        info!(%name, ?deleted, "a certificate is deleted");
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
    /// Holds one so that no order of it is under way.
    async fn idle(entry: Option<&Self>) -> Option<tokio::sync::MutexGuard<'_, Work>> {
        match entry {
            Some(entry) => Some(entry.work.lock().await),
            None => None,
        }
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
