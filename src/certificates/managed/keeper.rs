//! What gets one certificate and renews it for as long as the daemon runs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::config::pkcs12::Password;
use crate::config::{self, ManagedCertificate};
use crate::model::identifier::Identifier;
use crate::model::name::{CHALLENGE_LABEL, PERSIST_LABEL};
use crate::model::time::Timestamp;
use crate::model::url::Url;

use super::super::issue::{Means, Request, forget, issue};
use super::super::progress::{Progress, State};
use super::super::renewal::{Current, backoff, wall_clock};
use super::record::{Folder, Record};
use super::{Entry, Managed, Tools, bundle, hook, live};
use crate::acme::account::blocking;
use crate::acme::certificate::{Chain, Facts};
use crate::acme::error::{AcmeError, Result};
use crate::delegation::challenge_target::{Missing, Placed, Proof, Search, proven};
use crate::delegation::{caa, nameservers};

/// Between two looks at the clock, which may have been set meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(600);

/// What is known of a certificate, and to be done.
#[derive(Debug)]
pub struct Work {
    pub(super) record: Record,
    current: Option<Current>,
    /// A bundle was asked for after the certificate was got.
    lacks_bundle: bool,
}

impl Work {
    /// What the disk knows. Blocks.
    pub fn load(wanted: &ManagedCertificate, folder: &Folder) -> Result<Self> {
        let record = folder.record()?;
        folder.make()?;
        let current = match live::read(wanted) {
            Ok(chain) => chain.map(|chain| Current::stored(chain.facts)),
            Err(problem) => {
                error!(name = %wanted.name, "its files cannot be used, and another certificate is got: {problem}");
                None
            }
        };
        let lacks_bundle = current.is_some() && wanted.pkcs12.is_some() && !live::has_bundle(wanted);
        Ok(Self { record, current, lacks_bundle })
    }

    fn is_revoked(&self) -> bool {
        self.current.as_ref().is_some_and(|current| self.record.revoked.as_ref() == Some(&current.facts.serial))
    }

    /// What another certificate would replace at this CA: one that it has issued itself (RFC 9773 section 5).
    fn replaces(&self, directory: &Url) -> Option<String> {
        let facts = &self.current.as_ref()?.facts;
        let is_its = |(serial, ca): &&(String, Url)| *serial == facts.serial && ca == directory;
        self.record.issued.as_ref().filter(is_its).and(facts.renewal_id.clone())
    }

    /// The certificate that is there, where the hook has not done its work with it.
    fn undeployed(&self, wanted: &ManagedCertificate) -> Option<Facts> {
        let facts = &self.current.as_ref()?.facts;
        let is_done = self.record.hook.as_ref().is_some_and(|hook| hook.success && hook.serial == facts.serial);
        (wanted.hook.is_some() && !is_done && !self.record.deleting).then(|| facts.clone())
    }
}

/// What is to be done.
enum Todo {
    /// Nothing for so long.
    Wait(Duration),
    /// A certificate, or its bundle, is to be got.
    Get,
    /// The hook has not done its work.
    Deploy,
    /// A deletion that has begun is to be finished.
    Delete,
}

/// Gets a certificate, and does what is to be done whenever it is time, until it is deleted.
pub async fn keep(managed: Managed, entry: Arc<Entry>) {
    let keeper = Keeper { tools: managed.0.tools.clone() };
    while let Some(wait) = keeper.turn(&entry).await {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = entry.wake.notified() => {}
        }
    }
    info!(name = %entry.wanted.name, "a certificate is deleted");
    managed.remove(&entry);
}

struct Keeper {
    tools: Tools,
}

impl Keeper {
    /// One look, and an attempt where something is to be done; how long to wait then. `None`: it is deleted.
    async fn turn(&self, entry: &Entry) -> Option<Duration> {
        let done = match self.look(entry).await {
            Ok(Todo::Wait(left)) => {
                entry.tell(|report| report.ended += 1);
                return Some(left);
            }
            Ok(Todo::Delete) => match self.finish_deletion(entry).await {
                Ok(()) if !entry.is_configured => return None,
                done => done,
            },
            Ok(Todo::Get) => self.attempt(entry).await,
            Ok(Todo::Deploy) => self.deploy(entry).await,
            Err(problem) => Err(problem),
        };
        let wait = match &done {
            Ok(()) => {
                entry.tell(|report| (report.failures, report.problem, report.next_attempt) = (0, None, None));
                Duration::from_secs(1)
            }
            Err(problem) => self.failed(entry, problem),
        };
        entry.tell(|report| (report.stage, report.ended) = (None, report.ended + 1));
        Some(wait)
    }

    async fn look(&self, entry: &Entry) -> Result<Todo> {
        let mut work = entry.work().await?;
        if work.record.deleting {
            return Ok(Todo::Delete);
        }
        let needs_certificate = self.needs_certificate(entry, &mut work).await;
        self.report(entry, &work);
        if needs_certificate || work.lacks_bundle {
            return Ok(Todo::Get);
        }
        if work.undeployed(&entry.wanted).is_some() {
            return Ok(Todo::Deploy);
        }
        let left = work.current.as_ref().filter(|_| !work.is_revoked());
        let left = left.map_or(LOOK_EVERY, |current| current.due().since(wall_clock()));
        Ok(Todo::Wait(left.clamp(Duration::from_secs(1), LOOK_EVERY)))
    }

    /// What the configuration has meanwhile under that name begins anew.
    async fn finish_deletion(&self, entry: &Entry) -> Result<()> {
        entry.erase().await?;
        *entry.work.lock().await = None;
        Ok(())
    }

    async fn needs_certificate(&self, entry: &Entry, work: &mut Work) -> bool {
        let Work { record, current: Some(current), .. } = work else { return true };
        let elsewhere = |(serial, ca): &(String, _)| {
            *serial == current.facts.serial && *ca != self.tools.authority.settings().directory
        };
        let is_other = !current.facts.is_for(&entry.wanted.names) || record.issued.as_ref().is_some_and(elsewhere);
        if entry.is_forced.load(Ordering::Relaxed) || is_other {
            return true;
        }
        if record.revoked.as_ref() == Some(&current.facts.serial) {
            return false;
        }
        current.renewal.refresh(&self.tools.authority, &current.facts).await;
        wall_clock() >= current.due()
    }

    fn report(&self, entry: &Entry, work: &Work) {
        let current = work.current.as_ref();
        let expires = current.map_or(0, |current| current.facts.not_after.as_unix());
        self.tools.metrics.managed.expires(&entry.wanted.name.to_string(), expires);
        entry.tell(|report| {
            report.shown = current.map(|current| current.facts.clone());
            report.renew_at = current.filter(|_| !work.is_revoked()).map(|current| current.due().to_string());
            report.revoked = work.is_revoked();
            report.hook = work.record.hook.clone();
        });
    }

    fn failed(&self, entry: &Entry, problem: &AcmeError) -> Duration {
        let failures = entry.tell(|report| {
            report.failures += 1;
            report.failures
        });
        let wait = backoff(failures).max(problem.retry_after().unwrap_or_default());
        let (now, next) = (wall_clock(), wall_clock().plus(wait));
        let (name, said) = (&entry.wanted.name, problem.explained());
        error!(%name, failures, next_attempt = %next, "a certificate is not as it should be: {said}");
        self.tools.metrics.certificate_failures.one();
        self.tools.metrics.managed.failed(&name.to_string(), now.as_unix());
        entry.tell(|report| {
            (report.problem, report.next_attempt) = (Some(said), Some(next.to_string()));
            report.missing = problem.missing().to_vec();
        });
        wait
    }

    async fn attempt(&self, entry: &Entry) -> Result<()> {
        entry.progress.start(&[]);
        self.renew(entry).await?;
        self.deploy(entry).await
    }

    async fn renew(&self, entry: &Entry) -> Result<()> {
        // Before the work is held: a revocation does not wait for the orders of others. Never closed; if it were, going
        // on would be as good.
        let _place = self.tools.places.acquire().await;
        let mut work = entry.work().await?;
        // It may have been revoked meanwhile, or is to be deleted.
        if work.record.deleting {
            return Ok(());
        }
        if self.needs_certificate(entry, &mut work).await {
            let facts = self.get(entry, &mut work).await?;
            self.tools.metrics.certificates_issued.one();
            work.current = Some(Current::new(facts, work.current.as_ref()));
            entry.is_forced.store(false, Ordering::Relaxed);
            entry.tell(|report| report.missing.clear());
        } else if work.lacks_bundle {
            self.bundle(entry, &mut work).await?;
        }
        self.report(entry, &work);
        Ok(())
    }

    /// Gets a certificate and puts it in place.
    async fn get(&self, entry: &Entry, work: &mut Work) -> Result<Facts> {
        let (tools, wanted) = (&self.tools, &entry.wanted);
        let stage = |what: &str| {
            info!(name = %wanted.name, "{what}");
            entry.tell(|report| report.stage = Some(what.to_owned()));
        };
        entry.progress.start(&wanted.names);
        // Without them no certificate can be used as it is wanted, so none is ordered.
        let password = password(wanted).await?;
        prepared(wanted).await?;
        stage("looking where the names' challenges lead");
        let settings = settings(wanted, tools.authority.settings());
        let (publisher, lookup, method) = (tools.publisher.clone(), tools.lookup.clone(), settings.challenge);
        let (proof, before) = (Proof::of(&settings, &tools.authority).await?, work.record.proven.clone());
        let placed = Search { publisher, lookup, proof, before }.place(&wanted.names).await;
        located(&entry.progress, &wanted.names, &placed);
        let placed = placed?;
        stage("asking the nameservers whether they are this server");
        let mut delegations = nameservers::verified(&tools.publisher, &tools.lookup, &placed).await?;
        let account = tools.authority.hold().await?;
        entry.tell(|report| report.caa = caa::recommended(&account, method));
        stage("looking at CAA records");
        caa::check(&tools.lookup, &account, method, &wanted.names).await?;
        let count = wanted.names.len();
        stage(&format!("ordering a certificate and proving {count} name{}", if count == 1 { "" } else { "s" }));
        let replaces = work.replaces(&settings.directory);
        let (pending, grants) = (&entry.folder.pending(), &entry.folder.grants());
        let Entry { progress, refusal, .. } = entry;
        let request = Request { names: &placed, settings: &settings, replaces, pending, grants, progress, refusal };
        let means = Means { account: &account, publisher: &tools.publisher, lookup: &tools.lookup };
        let chain = issue(means, &mut delegations, &request).await?;
        stage("writing its files");
        work.record.issued = Some((chain.facts.serial.clone(), settings.directory.clone()));
        work.record.proven = proven(&placed);
        entry.store(work).await?;
        let facts = put(wanted.clone(), chain, password).await?;
        work.lacks_bundle = false;
        // It is in place: that is no failed attempt, and its hook is to be run.
        forget(pending).await.unwrap_or_else(|problem| warn!(name = %wanted.name, "its order is kept: {problem}"));
        Ok(facts)
    }

    /// Puts the certificate that is there into files once more, with a bundle. The hook has not seen that one.
    async fn bundle(&self, entry: &Entry, work: &mut Work) -> Result<()> {
        entry.tell(|report| report.stage = Some("writing its PKCS#12 bundle".into()));
        let password = password(&entry.wanted).await?;
        let wanted = entry.wanted.clone();
        let Some(chain) = blocking(move || live::read(&wanted)).await? else { return Ok(()) };
        work.record.hook = None;
        entry.store(work).await?;
        put(entry.wanted.clone(), chain, password).await?;
        work.lacks_bundle = false;
        Ok(())
    }

    /// Runs the hook; what came of it is stored, so that it is run once for each certificate, crash or not.
    async fn deploy(&self, entry: &Entry) -> Result<()> {
        let Some(hook) = &entry.wanted.hook else { return Ok(()) };
        // Neither a place nor the work is held for as long as a program likes to run: other certificates are got
        // meanwhile, and this one can be revoked.
        let _deploying = entry.deploying.lock().await;
        let Some(facts) = entry.work().await?.undeployed(&entry.wanted) else { return Ok(()) };
        entry.tell(|report| report.stage = Some(format!("running the deploy hook {hook}")));
        let now: Timestamp = wall_clock();
        let outcome = hook::run(hook, &entry.wanted, &facts, now.to_string()).await;
        let (success, ended, output) = (outcome.success, outcome.ended.clone(), outcome.output.clone());
        {
            let mut work = entry.work().await?;
            work.record.hook = Some(outcome);
            self.report(entry, &work);
            entry.store(&work).await?;
        }
        if success {
            info!(name = %entry.wanted.name, "the deploy hook has done its work: {ended}");
            return Ok(());
        }
        warn!(name = %entry.wanted.name, "the deploy hook has printed: {output:?}");
        let said = if output.is_empty() { String::new() } else { format!("; it has printed {output:?}") };
        Err(AcmeError::Hook { program: hook.to_string(), what: format!("{ended}{said}") })
    }
}

/// Which names have their records, as far as that was seen.
fn located(progress: &Progress, names: &[Identifier], placed: &Result<Vec<Placed>>) {
    let missing = placed.as_ref().err().map(AcmeError::missing).unwrap_or_default();
    if placed.is_err() && missing.is_empty() {
        return;
    }
    for name in names {
        let looked_at = [CHALLENGE_LABEL, PERSIST_LABEL].map(|label| format!("{label}.{}", name.base()));
        let is_its = |record: &&Missing| looked_at.iter().any(|end| record.name.ends_with(end));
        match missing.iter().find(is_its) {
            Some(record) => progress.miss(&name.to_string(), &record.found),
            None => progress.reach(&name.to_string(), State::Delegated),
        }
    }
}

/// The password of the bundle that is wanted.
pub async fn password(wanted: &ManagedCertificate) -> Result<Option<Password>> {
    let Some(pkcs12) = wanted.pkcs12.clone() else { return Ok(None) };
    blocking(move || Ok(Some(pkcs12.password()?))).await
}

/// The folders of its files.
async fn prepared(wanted: &ManagedCertificate) -> Result<()> {
    let wanted = wanted.clone();
    blocking(move || live::prepare(&wanted)).await
}

async fn put(wanted: ManagedCertificate, chain: Chain, password: Option<Password>) -> Result<Facts> {
    blocking(move || {
        let bundle = password.map(|password| bundle::seal(&chain, &wanted.name, &password)).transpose()?;
        live::write(&wanted, &chain, bundle.as_deref()).map(|()| chain.facts)
    })
    .await
}

/// The CA's settings as this certificate wants them.
fn settings(wanted: &ManagedCertificate, acme: &config::Acme) -> config::Acme {
    config::Acme {
        key_type: wanted.key_type.unwrap_or(acme.key_type),
        challenge: wanted.challenge.unwrap_or(acme.challenge),
        profile: wanted.profile.clone().or_else(|| acme.profile.clone()),
        ..acme.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::certificate::CertificateKey;

    #[test]
    fn a_certificate_of_another_ca_is_not_named_as_replaced() {
        let key = CertificateKey::generate(config::KeyType::P256).unwrap();
        let mut facts = key.self_signed(&["a.example".parse().unwrap()]).unwrap().facts;
        facts.renewal_id = Some("aki.serial".into());
        let (ours, other): (Url, Url) = ("https://a.test/dir".parse().unwrap(), "https://b.test/dir".parse().unwrap());
        let replaces = |issued| {
            let record = Record { issued, ..Record::default() };
            Work { record, current: Some(Current::stored(facts.clone())), lacks_bundle: false }.replaces(&ours)
        };
        assert_eq!(replaces(Some((facts.serial.clone(), ours.clone()))), facts.renewal_id);
        assert_eq!(replaces(Some((facts.serial.clone(), other))), None);
        assert_eq!(replaces(Some(("another".into(), ours.clone()))), None);
        assert_eq!(replaces(None), None);
    }
}
