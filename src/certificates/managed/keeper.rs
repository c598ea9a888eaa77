//! The keeper's work on one managed certificate: issue it, write its files, run its hook, finish its deletion.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{info, warn};

use crate::acme::certificate::{CertificateInfo, Chain};
use crate::config::pkcs12::Password;
use crate::config::{self, ManagedCertificate};
use crate::file::state::blocking;
use crate::metrics::Metrics;

use super::super::error::{CertificateError, Result};
use super::super::issue_request::IssueRequest;
use super::super::keeper::{Attempts, Kept, Turn, keep};
use super::super::pending::forget;
use super::super::renewal::{CertificateInUse, MAX_SLEEP, wall_clock};
use super::entry::ManagedEntry;
use super::registry::Registry;
use super::state::CertificateState;
use super::{bundle, hook, live};

/// What is to be done.
enum Todo {
    /// Nothing yet.
    Idle(Duration),
    /// Issue a certificate, or write its bundle.
    Issue,
    /// Run the hook.
    Deploy,
    /// Finish a deletion.
    Delete,
}

/// Keeps a certificate until it is deleted.
pub async fn run(registry: Arc<Registry>, entry: Arc<ManagedEntry>) {
    keep(ManagedKeeper { registry: registry.clone(), entry: entry.clone() }).await;
    info!(name = %entry.wanted.name, "a certificate is deleted");
    registry.remove(&entry);
}

/// Keeps one certificate.
struct ManagedKeeper {
    registry: Arc<Registry>,
    entry: Arc<ManagedEntry>,
}

impl Kept for ManagedKeeper {
    async fn turn(&mut self) -> Result<Turn> {
        match self.check().await? {
            Todo::Idle(wait) => return Ok(Turn::Idle(wait)),
            Todo::Issue => {
                self.entry.progress.start(&[]);
                self.issue().await?;
                self.deploy().await?;
            }
            Todo::Deploy => self.deploy().await?,
            Todo::Delete => {
                self.entry.erase().await?;
                // The configuration may have a certificate of that name by now: it starts afresh.
                self.entry.forget_state().await;
                if !self.entry.is_configured {
                    return Ok(Turn::Deleted);
                }
            }
        }
        Ok(Turn::Done)
    }

    fn update<T>(&self, change: impl FnOnce(&mut Attempts) -> T) -> T {
        self.entry.update(|report| change(&mut report.attempts))
    }

    fn title(&self) -> String {
        format!("the certificate {}", self.entry.wanted.name)
    }

    fn metrics(&self) -> &Metrics {
        &self.registry.services.metrics
    }

    fn wake(&self) -> &Notify {
        &self.entry.wake
    }

    fn failed(&self, problem: &CertificateError) {
        let name = self.entry.wanted.name.to_string();
        self.metrics().managed.failed(&name, wall_clock().as_unix());
        self.entry.update(|report| report.missing = problem.missing().to_vec());
    }

    fn turn_ended(&self) {
        self.entry.progress.end();
        self.entry.update(|report| report.ended += 1);
    }
}

impl ManagedKeeper {
    async fn check(&self) -> Result<Todo> {
        let mut state = self.entry.state().await?;
        if state.history.deleting {
            return Ok(Todo::Delete);
        }
        let needs_certificate = self.needs_certificate(&mut state).await;
        self.report(&state);
        if needs_certificate || state.lacks_bundle {
            return Ok(Todo::Issue);
        }
        if state.undeployed(&self.entry.wanted).is_some() {
            return Ok(Todo::Deploy);
        }
        let in_use = state.in_use.as_ref().filter(|_| !state.is_revoked());
        Ok(Todo::Idle(in_use.map_or(MAX_SLEEP, CertificateInUse::sleep)))
    }

    async fn needs_certificate(&self, state: &mut CertificateState) -> bool {
        let authority = &self.registry.services.authority;
        let is_other = state.is_from_other_ca(&authority.settings().directory);
        let is_revoked = state.is_revoked();
        let Some(in_use) = &mut state.in_use else { return true };
        if is_other || self.entry.is_forced.load(Ordering::Relaxed) || !in_use.info.is_for(&self.entry.wanted.names) {
            return true;
        }
        !is_revoked && in_use.is_due(authority).await
    }

    fn report(&self, state: &CertificateState) {
        let in_use = state.in_use.as_ref();
        let expires = in_use.map_or(0, |in_use| in_use.info.not_after.as_unix());
        self.metrics().managed.expires(&self.entry.wanted.name.to_string(), expires);
        self.entry.update(|report| {
            report.shown = in_use.map(|in_use| in_use.info.clone());
            report.renew_at = in_use.filter(|_| !state.is_revoked()).map(|in_use| in_use.due().to_string());
            report.revoked = state.is_revoked();
            report.hook = state.history.hook.clone();
        });
    }

    /// Issues a certificate, or writes the bundle of the present one.
    async fn issue(&self) -> Result<()> {
        // Taken before the state: a revocation does not wait for the orders of others. The semaphore is never closed; if it
        // were, going on would do no harm.
        let _slot = self.registry.order_slots.acquire().await;
        let mut state = self.entry.state().await?;
        // While the keeper waited, the certificate may have been revoked or deleted.
        if state.history.deleting {
            return Ok(());
        }
        if self.needs_certificate(&mut state).await {
            let info = self.issue_and_write(&mut state).await?;
            self.metrics().certificates_issued.one();
            state.in_use = Some(CertificateInUse::issued(info, state.in_use.as_ref()));
            self.entry.is_forced.store(false, Ordering::Relaxed);
            self.entry.update(|report| report.missing.clear());
        } else if state.lacks_bundle {
            self.write_bundle(&mut state).await?;
        }
        self.report(&state);
        Ok(())
    }

    async fn issue_and_write(&self, state: &mut CertificateState) -> Result<CertificateInfo> {
        let entry = &self.entry;
        let services = &self.registry.services;
        entry.progress.start(&entry.wanted.names);
        // Nothing is ordered that could not be written.
        let password = bundle_password(&entry.wanted).await?;
        create_folders(&entry.wanted).await?;
        let settings = settings_for(&entry.wanted, services.authority.settings());
        let pending = entry.folder.pending();
        let request = IssueRequest {
            names: &entry.wanted.names,
            settings: &settings,
            replaces: state.replaces(&settings.directory),
            proven_before: state.history.proven.clone(),
            checks_caa: true,
            pending: &pending,
            grants: &entry.folder.grants(),
            progress: &entry.progress,
            gate: &entry.gate,
        };
        let issued = services.issue(&request).await?;
        entry.progress.stage("writing the files");
        state.history.issued = Some((issued.chain.info.serial.clone(), settings.directory.clone()));
        state.history.proven = issued.proven;
        entry.store(state).await?;
        let info = write_files(entry.wanted.clone(), issued.chain, password).await?;
        state.lacks_bundle = false;
        // The certificate is in place and its hook has to run, so this is no failure of the attempt.
        if let Err(problem) = forget(&pending).await {
            warn!(name = %entry.wanted.name, "the finished order cannot be deleted: {problem}");
        }
        Ok(info)
    }

    /// Writes the present certificate once more, with a bundle. The hook has not seen the bundle.
    async fn write_bundle(&self, state: &mut CertificateState) -> Result<()> {
        self.entry.progress.stage("writing the PKCS#12 bundle");
        let password = bundle_password(&self.entry.wanted).await?;
        let wanted = self.entry.wanted.clone();
        let Some(chain) = blocking(move || live::read(&wanted)).await? else { return Ok(()) };
        state.history.hook = None;
        self.entry.store(state).await?;
        write_files(self.entry.wanted.clone(), chain, password).await?;
        state.lacks_bundle = false;
        Ok(())
    }

    /// Runs the hook. The outcome is stored, so that the hook succeeds once for each certificate, after a crash too.
    async fn deploy(&self) -> Result<()> {
        let wanted = &self.entry.wanted;
        let Some(hook) = &wanted.hook else { return Ok(()) };
        // Neither an order slot nor the state is held while the hook runs: other certificates can be issued meanwhile, and
        // this one can be revoked.
        let _deploying = self.entry.deploying.lock().await;
        let Some(info) = self.entry.state().await?.undeployed(wanted) else { return Ok(()) };
        self.entry.progress.stage(format!("running the deploy hook {hook}"));
        let outcome = hook::run(hook, wanted, &info, wall_clock().to_string()).await;
        {
            let mut state = self.entry.state().await?;
            state.history.hook = Some(outcome.clone());
            self.report(&state);
            self.entry.store(&state).await?;
        }
        if outcome.success {
            info!(name = %wanted.name, "the deploy hook has succeeded: {}", outcome.ended);
            return Ok(());
        }
        warn!(name = %wanted.name, "the deploy hook has printed: {:?}", outcome.output);
        let mut what = outcome.ended;
        if !outcome.output.is_empty() {
            what += &format!("; it has printed {:?}", outcome.output);
        }
        Err(CertificateError::Hook { program: hook.to_string(), what })
    }
}

/// Reads the password of the bundle, if a bundle is wanted.
pub async fn bundle_password(wanted: &ManagedCertificate) -> Result<Option<Password>> {
    let Some(pkcs12) = wanted.pkcs12.clone() else { return Ok(None) };
    blocking(move || Ok(Some(pkcs12.password()?))).await
}

async fn create_folders(wanted: &ManagedCertificate) -> Result<()> {
    let wanted = wanted.clone();
    blocking(move || live::create_folders(&wanted)).await
}

async fn write_files(wanted: ManagedCertificate, chain: Chain, password: Option<Password>) -> Result<CertificateInfo> {
    blocking(move || {
        let bundle = password.map(|password| bundle::seal(&chain, &wanted.name, &password)).transpose()?;
        live::write(&wanted, &chain, bundle.as_deref())?;
        Ok(chain.info)
    })
    .await
}

/// The CA's settings with those of the certificate.
fn settings_for(wanted: &ManagedCertificate, acme: &config::Acme) -> config::Acme {
    config::Acme {
        key_type: wanted.key_type.unwrap_or(acme.key_type),
        challenge: wanted.challenge.unwrap_or(acme.challenge),
        profile: wanted.profile.clone().or_else(|| acme.profile.clone()),
        ..acme.clone()
    }
}
