//! The certificate of the API: got, kept, renewed and exchanged while in use.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::config::{OwnCertificate, UntilIssued};
use crate::file;
use crate::metrics::Metrics;
use crate::net::lookup::Lookup;
use crate::net::tls::Tls;
use crate::publisher::Publisher;

use super::issue::{Means, Request, forget, issue};
use super::progress::Progress;
use super::renewal::{Current, backoff, wall_clock};
use crate::acme::account::blocking;
use crate::acme::authority::Authority;
use crate::acme::certificate::{CertificateKey, Chain, Facts};
use crate::acme::error::{AcmeError, Result};
use crate::acme::retry_after::Refusal;
use crate::acme::state::{failed, private_folder, private_text};
use crate::delegation::challenge_target::{Placed, Proof, Proven, Search};
use crate::delegation::nameservers;

/// Between two looks at the clock, which may have been set meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// The line of the file that says who issued it.
const FROM: &str = "directory: ";

/// What keeps the API's certificate. A cheap handle.
#[derive(Clone, Debug)]
pub struct Own(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    authority: Authority,
    publisher: Publisher,
    lookup: Lookup,
    metrics: Arc<Metrics>,
    tls: Tls,
    settings: OwnCertificate,
    report: Mutex<Report>,
    refusal: Refusal,
    wake: Notify,
}

/// How the certificate is, for the operator.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What the API shows.
    pub shown: Option<Facts>,
    /// Whether it is one that the daemon has signed itself.
    pub self_signed: bool,
    /// From when on it is to be renewed.
    pub renew_at: Option<String>,
    /// Attempts that have failed since the last success.
    pub failures: u32,
    /// Why the last one has failed, and what to do.
    pub problem: Option<String>,
    /// When it is tried again.
    pub next_attempt: Option<String>,
}

impl Own {
    /// Shows what the state folder holds, else what the configuration wants until there is one. Nothing is asked yet. What
    /// is wrong there is told of and another certificate is got: it must not hold up DNS.
    pub async fn start(
        authority: Authority,
        publisher: Publisher,
        lookup: Lookup,
        metrics: Arc<Metrics>,
        tls: Tls,
        settings: OwnCertificate,
    ) -> (Self, Keeper) {
        let (report, refusal, wake) = (Mutex::default(), Refusal::default(), Notify::new());
        let own = Self(Arc::new(Inner { authority, publisher, lookup, metrics, tls, settings, report, refusal, wake }));
        let stored = own.shown().await.unwrap_or_else(|problem| own.unusable(&problem));
        if stored.is_none() {
            match own.0.settings.until_issued {
                UntilIssued::SelfSigned => own.show_self_signed().unwrap_or_else(|problem| own.unusable(&problem)),
                UntilIssued::Closed => warn!("the API refuses every handshake until the CA has issued its certificate"),
            }
        }
        let current = stored.map(Current::stored);
        (own.clone(), Keeper { own, current })
    }

    /// Shows what the state folder holds.
    async fn shown(&self) -> Result<Option<Facts>> {
        let Some(chain) = self.stored().await? else { return Ok(None) };
        self.show(&chain, false)?;
        Ok(Some(chain.facts))
    }

    fn unusable<T: Default>(&self, problem: &AcmeError) -> T {
        error!("the API is without a certificate until another one is got: {}", problem.explained());
        self.tell(|report| report.problem = Some(problem.explained()));
        T::default()
    }

    /// How it is now.
    pub fn report(&self) -> Report {
        self.0.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tries again at once where the last attempt has failed: something may have been mended.
    pub fn wake(&self) {
        self.0.authority.mended();
        self.0.wake.notify_one();
    }

    fn tell(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.0.report.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn path(&self) -> PathBuf {
        self.0.authority.settings().state.join("api.pem")
    }

    /// The certificate in the state folder, where it is of the CA and for the names that are configured.
    async fn stored(&self) -> Result<Option<Chain>> {
        let (state, path) = (self.0.authority.settings().state.clone(), self.path());
        let text = blocking(move || {
            private_folder(&state)?;
            private_text(&path)
        });
        let Some(text) = text.await? else { return Ok(None) };
        let chain = match Chain::from_pem(&text) {
            Ok(chain) => chain,
            Err(problem) => {
                error!("{} cannot be used, and another certificate is got; {problem}", self.path().display());
                return Ok(None);
            }
        };
        let from = format!("{FROM}{}\n", self.0.authority.settings().directory);
        if !text.starts_with(&from) || !chain.facts.is_for(&self.0.settings.names) {
            info!("the certificate in {} is of another CA or for other names", self.path().display());
            return Ok(None);
        }
        Ok(Some(chain))
    }

    fn show_self_signed(&self) -> Result<()> {
        let key = CertificateKey::generate(self.0.authority.settings().key_type)?;
        let chain = key.self_signed(&self.0.settings.names)?;
        warn!(sha256 = chain.facts.sha256, "the API shows a self-signed certificate until the CA has issued one");
        self.show(&chain, true)
    }

    fn show(&self, chain: &Chain, self_signed: bool) -> Result<()> {
        self.0.tls.install(chain.certified()?);
        let expires = if self_signed { 0 } else { chain.facts.not_after.as_unix() };
        self.0.metrics.api_certificate_expires.set(expires);
        self.tell(|report| {
            report.shown = Some(chain.facts.clone());
            report.self_signed = self_signed;
        });
        Ok(())
    }

    /// Gets a certificate and puts it in place: first on disk, then before everybody.
    async fn renew(&self, replaces: Option<String>) -> Result<Facts> {
        let names = self.placed().await?;
        let Inner { authority, publisher, lookup, refusal, .. } = &*self.0;
        let account = authority.hold().await?;
        let mut delegations = nameservers::verified(publisher, lookup, &names).await?;
        let settings = authority.settings();
        let (pending, grants) = (&settings.state.join("api.pending"), &settings.state.join("api.grants"));
        // Nobody waits for this one.
        let progress = &Progress::default();
        let request = Request { names: &names, settings, replaces, pending, grants, progress, refusal };
        let chain = issue(Means { account: &account, publisher, lookup }, &mut delegations, &request).await?;
        drop(account);
        // One file with both: a chain and another one's key can never meet.
        let text = format!("{FROM}{}\n{}{}", settings.directory, chain.key().reveal_pem(), chain.pem());
        let path = self.path();
        blocking(move || replace(&path, text.as_bytes()).map_err(|source| failed(&path, source))).await?;
        self.show(&chain, false)?;
        forget(pending).await.unwrap_or_else(|problem| warn!("the order of the API's certificate is kept: {problem}"));
        Ok(chain.facts)
    }

    /// Where each name is proven: in its own zone, which is ours.
    async fn placed(&self) -> Result<Vec<Placed>> {
        let proof = Proof::of(self.0.authority.settings(), &self.0.authority).await?;
        let (publisher, lookup) = (self.0.publisher.clone(), self.0.lookup.clone());
        Search { publisher, lookup, proof, before: Proven::new() }.place(&self.0.settings.names).await
    }
}

/// Puts a key's file in the place of one that others may have been able to read; nobody else reads the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::set_permissions(path, Permissions::from_mode(0o600)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => file::replace(path, bytes),
    }
}

/// What renews the certificate for as long as the daemon runs.
pub struct Keeper {
    own: Own,
    current: Option<Current>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keeper")
    }
}

impl Keeper {
    /// Renews it whenever it is time.
    pub async fn keep(mut self) {
        loop {
            let wait = if self.is_due().await { self.attempt().await } else { self.until_due() };
            let sleep = tokio::time::sleep(wait);
            tokio::select! {
                () = sleep => {}
                () = self.own.0.wake.notified() => {}
            }
        }
    }

    /// Whether there is none, or it is time for another one.
    async fn is_due(&mut self) -> bool {
        let Some(current) = &mut self.current else { return true };
        current.renewal.refresh(&self.own.0.authority, &current.facts).await;
        let due = current.due();
        self.own.tell(|report| report.renew_at = Some(due.to_string()));
        wall_clock() >= due
    }

    fn until_due(&self) -> Duration {
        let left = self.current.as_ref().map(|current| current.due().since(wall_clock()));
        left.unwrap_or_default().clamp(Duration::from_secs(1), LOOK_EVERY)
    }

    /// One attempt; how long to wait then.
    async fn attempt(&mut self) -> Duration {
        let replaces = self.current.as_ref().and_then(|current| current.facts.renewal_id.clone());
        match self.own.renew(replaces).await {
            Ok(facts) => {
                self.own.0.metrics.certificates_issued.one();
                let current = Current::new(facts, self.current.as_ref());
                self.own.tell(|report| {
                    (report.failures, report.problem, report.next_attempt) = (0, None, None);
                    report.renew_at = Some(current.due().to_string());
                });
                self.current = Some(current);
                Duration::from_secs(1)
            }
            Err(problem) => self.failed(&problem),
        }
    }

    fn failed(&self, problem: &AcmeError) -> Duration {
        self.own.0.metrics.certificate_failures.one();
        let failures = self.own.report().failures + 1;
        let wait = backoff(failures).max(problem.retry_after().unwrap_or_default());
        let next = wall_clock().plus(wait);
        error!(failures, next_attempt = %next, "the API's certificate could not be got: {}", problem.explained());
        self.own.tell(|report| {
            report.failures = failures;
            report.problem = Some(problem.explained());
            report.next_attempt = Some(next.to_string());
        });
        wait
    }
}
