//! The renewal task's work on one managed certificate: issue it, write its files, run its hook, finish its deletion.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::acme::certificate::{CertificateInfo, Chain};
use crate::config::pkcs12::Password;
use crate::config::{self, ManagedCertificate};
use crate::file::state::blocking;
use crate::metrics::Metrics;
use crate::model::identifier::Identifier;
use crate::model::text::one_line;

use super::super::error::{CertificateError, Result};
use super::super::issue_request::IssueRequest;
use super::super::left_out::LeftOutName;
use super::super::pending::forget;
use super::super::preflight;
use super::super::progress::OrderProgress;
use super::super::renewal::{CertificateInUse, MAX_SLEEP, wall_clock};
use super::super::renewal_task::{self, Attempts, RenewalTask, Step};
use super::difference::RequestDifference;
use super::entry::ManagedEntry;
use super::lacking::lacking;
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

/// Why another certificate is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    /// There is none, it is due, it is for other names, or somebody has asked for another one.
    Certificate,
    /// Names that the certificate lacks can be proven now.
    MoreNames,
}

/// Issues and renews a certificate until it is deleted.
pub async fn run(registry: Arc<Registry>, entry: Arc<ManagedEntry>) {
    renewal_task::run(ManagedTask { registry: registry.clone(), entry: entry.clone() }).await;
    info!(name = %entry.wanted.name, "a certificate is deleted");
    registry.remove(&entry);
}

/// A certificate that has been issued and written.
struct Written {
    info: CertificateInfo,
    left_out: Vec<LeftOutName>,
}

/// Whether a certificate has names that are not asked for, or lacks one that it needs.
fn has_other_names(info: &CertificateInfo, wanted: &ManagedCertificate) -> bool {
    let is_wanted = |name: &String| wanted.names.iter().any(|wanted| wanted.to_string() == *name);
    !info.names.iter().all(is_wanted) || (!wanted.allow_subset && !info.is_for(&wanted.names))
}

/// Issues and renews one certificate.
struct ManagedTask {
    registry: Arc<Registry>,
    entry: Arc<ManagedEntry>,
}

impl RenewalTask for ManagedTask {
    async fn step(&mut self) -> Result<Step> {
        match self.check().await? {
            Todo::Idle(wait) => return Ok(Step::Idle(wait)),
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
                    return Ok(Step::Deleted);
                }
            }
        }
        Ok(Step::Done)
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

    fn step_ended(&self) {
        self.entry.progress.end();
        self.entry.update(|report| report.ended += 1);
    }
}

impl ManagedTask {
    async fn check(&self) -> Result<Todo> {
        let mut state = self.entry.state().await?;
        if state.history.deleting {
            return Ok(Todo::Delete);
        }
        let need = self.need(&mut state).await;
        self.report(&state);
        if need != Need::Nothing || state.lacks_bundle {
            return Ok(Todo::Issue);
        }
        if state.undeployed(&self.entry.wanted).is_some() {
            return Ok(Todo::Deploy);
        }
        let in_use = state.in_use.as_ref().filter(|_| !state.is_revoked());
        let sleep = in_use.map_or(MAX_SLEEP, CertificateInUse::sleep);
        let is_whole = in_use.is_none_or(|in_use| lacking(&self.entry.wanted, &in_use.info).is_empty());
        Ok(Todo::Idle(if is_whole { sleep } else { sleep.min(state.lacking.wait()) }))
    }

    async fn need(&self, state: &mut CertificateState) -> Need {
        let authority = &self.registry.services.authority;
        let is_other = state.is_from_other_ca(&authority.settings().directory);
        let is_revoked = state.is_revoked();
        let Some(in_use) = &mut state.in_use else { return Need::Certificate };
        if is_other || self.entry.is_forced.load(Ordering::Relaxed) || has_other_names(&in_use.info, &self.entry.wanted)
        {
            return Need::Certificate;
        }
        if is_revoked {
            return Need::Nothing;
        }
        if in_use.is_due(authority).await {
            return Need::Certificate;
        }
        let lacking = lacking(&self.entry.wanted, &in_use.info);
        if !lacking.is_empty() && self.can_be_proven(state, lacking).await { Need::MoreNames } else { Need::Nothing }
    }

    /// Whether one of the names that the certificate lacks can be proven now, by its records.
    async fn can_be_proven(&self, state: &mut CertificateState, lacking: Vec<Identifier>) -> bool {
        let services = &self.registry.services;
        let names = state.lacking.to_look_at(lacking);
        if names.is_empty() {
            return false;
        }
        let settings = settings_for(&self.entry.wanted, services.authority.settings());
        // The progress of orders is not that of a look.
        let progress = OrderProgress::new(self.entry.wanted.name.to_string());
        let request = IssueRequest { names: &names, progress: &progress, ..self.issue_request(state, &settings) };
        match preflight::locate(services, &request).await {
            Ok(found) => {
                state.lacking.note(&found.left_out);
                true
            }
            Err(error) => {
                let problem = error.explained();
                let left_out = |name| LeftOutName { name, problem: problem.clone(), missing: None, is_refused: false };
                state.lacking.note(&names.into_iter().map(left_out).collect::<Vec<_>>());
                self.entry.update(|report| report.missing = error.missing().to_vec());
                false
            }
        }
    }

    fn report(&self, state: &CertificateState) {
        let in_use = state.in_use.as_ref();
        let expires = in_use.map_or(0, |in_use| in_use.info.not_after.as_unix());
        let name = self.entry.wanted.name.to_string();
        let lacking = in_use.map(|in_use| lacking(&self.entry.wanted, &in_use.info)).unwrap_or_default();
        self.metrics().managed.expires(&name, expires);
        self.metrics().managed.lacking(&name, lacking.len() as u64);
        self.entry.update(|report| {
            report.shown = in_use.map(|in_use| in_use.info.clone());
            let renewed = in_use.filter(|_| !state.is_revoked());
            report.renew_at = renewed.map(|in_use| in_use.due().to_string());
            report.renewal_basis = renewed.map(CertificateInUse::basis);
            report.lacking = state.lacking.view(&lacking);
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
        // While the renewal task waited, the certificate may have been revoked or deleted.
        if state.history.deleting {
            return Ok(());
        }
        match self.need(&mut state).await {
            Need::Certificate => self.issue_next(&mut state, false).await?,
            Need::MoreNames => self.issue_next(&mut state, true).await?,
            Need::Nothing if state.lacks_bundle => self.write_bundle(&mut state).await?,
            Need::Nothing => {}
        }
        self.report(&state);
        Ok(())
    }

    /// Issues the next certificate. One that is only to have more names is not issued for the same ones again.
    async fn issue_next(&self, state: &mut CertificateState, for_more_names: bool) -> Result<()> {
        self.log_other_names(state);
        let issued = match self.issue_and_write(state, for_more_names).await {
            Err(CertificateError::StillIncomplete(left_out)) => {
                state.lacking.note(&left_out);
                self.log_left_out(&left_out);
                return Ok(());
            }
            issued => issued?,
        };
        self.metrics().certificates_issued.one();
        state.in_use = Some(CertificateInUse::issued(issued.info, state.in_use.as_ref()));
        state.lacking.reset();
        state.lacking.note(&issued.left_out);
        self.log_left_out(&issued.left_out);
        self.entry.is_forced.store(false, Ordering::Relaxed);
        let missing = issued.left_out.into_iter().filter_map(|left_out| left_out.missing).collect();
        self.entry.update(|report| report.missing = missing);
        Ok(())
    }

    fn log_left_out(&self, left_out: &[LeftOutName]) {
        for LeftOutName { name, problem, .. } in left_out {
            error!(certificate = %self.entry.wanted.name, "the certificate is without {name}: {problem}");
        }
    }

    /// Says by which names a certificate differs from the one before. The configuration may have changed in the meantime.
    fn log_other_names(&self, state: &CertificateState) {
        let Some(in_use) = state.in_use.as_ref() else { return };
        let wanted: Vec<String> = self.entry.wanted.names.iter().map(ToString::to_string).collect();
        let difference = RequestDifference::of_names(&in_use.info.names, &wanted);
        if !difference.lines.is_empty() {
            let lines = difference.lines.join("; ");
            warn!(name = %self.entry.wanted.name, "the certificate is for other names than the one before: {lines}");
        }
    }

    async fn issue_and_write(&self, state: &mut CertificateState, for_more_names: bool) -> Result<Written> {
        let entry = &self.entry;
        let services = &self.registry.services;
        entry.progress.start(&entry.wanted.names);
        // Nothing is ordered that could not be written.
        let password = bundle_password(&entry.wanted).await?;
        create_folders(&entry.wanted).await?;
        let settings = settings_for(&entry.wanted, services.authority.settings());
        let present = state.in_use.as_ref().map(|in_use| in_use.info.names.clone()).filter(|_| for_more_names);
        let request = IssueRequest { unless_for: present.as_deref(), ..self.issue_request(state, &settings) };
        let issued = services.issue(&request).await?;
        entry.progress.stage("writing the files");
        state.history.issued = Some((issued.chain.info.serial.clone(), settings.directory.clone()));
        state.history.proven = issued.proven;
        entry.store(state).await?;
        let info = write_files(entry.wanted.clone(), issued.chain, password).await?;
        state.lacks_bundle = false;
        // The certificate is in place and its hook has to run, so this is not a failure of the attempt.
        if let Err(problem) = forget(&entry.paths.pending).await {
            warn!(name = %entry.wanted.name, "the finished order cannot be deleted: {problem}");
        }
        Ok(Written { info, left_out: issued.left_out })
    }

    /// The request for the next certificate, with all its names.
    fn issue_request<'a>(&'a self, state: &CertificateState, settings: &'a config::Acme) -> IssueRequest<'a> {
        let entry = &self.entry;
        IssueRequest {
            names: &entry.wanted.names,
            settings,
            allows_subset: entry.wanted.allow_subset,
            unless_for: None,
            is_renewal: state.in_use.is_some(),
            replaces: state.replaces(&settings.directory),
            proven_before: state.history.proven.clone(),
            checks_caa: true,
            pending: &entry.paths.pending,
            grants: &entry.paths.grants,
            progress: &entry.progress,
            gate: &entry.gate,
        }
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
        warn!(name = %wanted.name, "the deploy hook has printed: {}", one_line(&outcome.output));
        let mut what = outcome.ended;
        if !outcome.output.is_empty() {
            what += &format!("; it has printed \"{}\"", one_line(&outcome.output));
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
