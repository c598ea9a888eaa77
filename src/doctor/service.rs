//! The doctor as a service: examines on request, and the daemon examines itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::acme::Authority;
use crate::config::Config;
use crate::delegation::iterative::IterativeResolver;
use crate::delegation::roots::Roots;
use crate::net::dns_client::DnsClient;
use crate::publisher::Publisher;

use super::examination::{Examination, Gathered, RunningDaemon, digest_of, read_digest};
use super::names::known::known_names;
use super::report::{Report, ReportedFinding};
use super::request::{ExaminationRequest, MAX_NAMES, MAX_SERVERS, Progress};
use super::run::examine;

/// The most examinations at once: each asks dozens of servers.
const MAX_AT_ONCE: usize = 2;
/// The time between two examinations that the daemon makes of itself.
const DAY: Duration = Duration::from_secs(86_400);
/// The time after the start before the first one, for listeners and certificates to come up.
const SETTLE: Duration = Duration::from_secs(2);

/// Examines the set-up. A cheap handle.
#[derive(Clone, Debug)]
pub struct Doctor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Mutex<LoadedConfig>,
    authority: Authority,
    publisher: Option<Publisher>,
    database_problem: Option<String>,
    daemon: Option<RunningDaemon>,
    at_once: Arc<Semaphore>,
    last: watch::Sender<Option<Arc<Report>>>,
}

/// The configuration in use, and the digest of its file when that was read.
#[derive(Debug, Clone)]
struct LoadedConfig {
    config: Arc<Config>,
    digest: Option<[u8; 32]>,
}

/// Why there is no examination.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExaminationError {
    #[error("{MAX_AT_ONCE} examinations are under way; try again in some seconds")]
    Busy,
    #[error("found {0} names; one examination looks at {MAX_NAMES} at most, so write fewer")]
    Names(usize),
    #[error("found {0} hints or resolvers; one examination takes {MAX_SERVERS} of each at most, so write fewer")]
    Servers(usize),
    #[error(
        "found hints with different ports; write one port for all, since it is that of every nameserver below them"
    )]
    Ports,
}

/// An examination that has one of the places.
#[derive(Debug)]
pub struct BegunExamination {
    doctor: Doctor,
    examination: Examination,
    /// Whether the report is one that the daemon makes of itself too, of everything that it knows.
    is_own: bool,
    permit: OwnedSemaphorePermit,
}

impl BegunExamination {
    /// Runs every check. `tell` gets news on the way.
    pub async fn run(mut self, tell: impl Fn(Progress)) -> Report {
        if self.examination.names.is_empty() {
            self.examination.names = known_names(&self.examination).await;
        }
        let report = examine(self.examination, tell).await;
        if self.is_own {
            self.doctor.0.last.send_replace(Some(Arc::new(report.clone())));
        }
        drop(self.permit);
        report
    }
}

impl Doctor {
    /// A doctor of the server with this configuration. `publisher`: or why the database cannot be opened; `None` where there
    /// is no database yet. `daemon`: none where no daemon runs.
    pub fn new(
        config: Config,
        authority: Authority,
        publisher: Result<Publisher, Option<String>>,
        daemon: Option<RunningDaemon>,
    ) -> Self {
        let (publisher, database_problem) = match publisher {
            Ok(publisher) => (Some(publisher), None),
            Err(problem) => (None, problem),
        };
        let digest = digest_of(&config.path);
        Self(Arc::new(Inner {
            config: Mutex::new(LoadedConfig { config: Arc::new(config), digest }),
            authority,
            publisher,
            database_problem,
            daemon,
            at_once: Arc::new(Semaphore::new(MAX_AT_ONCE)),
            last: watch::Sender::new(None),
        }))
    }

    /// Takes over what a reload applies of a new configuration; everything else is in use until the next start.
    pub async fn reload(&self, new: &Config) {
        let digest = read_digest(new.path.clone()).await;
        let mut loaded = lock(&self.0.config);
        let (zones, certificates) = (new.zones.clone(), new.certificates.clone());
        let config = Arc::new(Config { zones, certificates, ..Config::clone(&loaded.config) });
        *loaded = LoadedConfig { config, digest };
    }

    /// The last report of the daemon's own examinations, and a notice of each later one.
    pub fn reports(&self) -> watch::Receiver<Option<Arc<Report>>> {
        self.0.last.subscribe()
    }

    /// Examines the set-up, within seconds.
    pub async fn examine(
        &self,
        request: ExaminationRequest,
        tell: impl Fn(Progress),
    ) -> Result<Report, ExaminationError> {
        Ok(self.begin(request)?.run(tell).await)
    }

    /// Takes the request for an examination, which begins when the result runs.
    pub fn begin(&self, request: ExaminationRequest) -> Result<BegunExamination, ExaminationError> {
        let is_own = request == ExaminationRequest::default();
        let examination = self.examination(request)?;
        let permit = self.0.at_once.clone().try_acquire_owned().map_err(|_| ExaminationError::Busy)?;
        Ok(BegunExamination { doctor: self.clone(), examination, is_own, permit })
    }

    fn examination(&self, request: ExaminationRequest) -> Result<Examination, ExaminationError> {
        let ExaminationRequest { names, hints, resolvers } = request;
        if names.len() > MAX_NAMES {
            return Err(ExaminationError::Names(names.len()));
        }
        if let Some(&count) = [hints.len(), resolvers.len()].iter().find(|&&count| count > MAX_SERVERS) {
            return Err(ExaminationError::Servers(count));
        }
        let roots = match hints.as_slice() {
            [] => Roots::default(),
            hints => Roots::private(hints).ok_or(ExaminationError::Ports)?,
        };
        let LoadedConfig { config, digest } = lock(&self.0.config).clone();
        let dns = DnsClient::new(&config.resolvers).with_detours(config.detours.clone());
        Ok(Examination {
            upstreams: config.doctor.resolvers.iter().cloned().chain(resolvers).collect(),
            iterative: IterativeResolver::new(dns.clone(), roots.clone()),
            dns,
            config,
            names,
            roots,
            authority: self.0.authority.clone(),
            publisher: self.0.publisher.clone(),
            database_problem: self.0.database_problem.clone(),
            config_digest: digest,
            daemon: self.0.daemon.clone(),
            gathered: Gathered::default(),
        })
    }

    /// Examines the daemon after its start and once a day, as the configuration says, for as long as the daemon runs. Logs
    /// what is wrong.
    pub async fn keep_examining(self) {
        let config = lock(&self.0.config).config.clone();
        // No CA reaches a listener on the loopback, so its delegation says nothing.
        let is_local = config.dns.listen.iter().all(|address| address.ip().is_loopback());
        sleep(SETTLE).await;
        if config.doctor.at_start && !is_local {
            self.examine_and_log().await;
        }
        if !config.doctor.daily || is_local {
            return;
        }
        loop {
            sleep(DAY).await;
            self.examine_and_log().await;
        }
    }

    async fn examine_and_log(&self) {
        let former = self.0.last.borrow().clone();
        match self.examine(ExaminationRequest::default(), |_| ()).await {
            Ok(report) => log(&report, former.as_deref()),
            Err(error) => warn!(%error, "the daemon did not examine its set-up"),
        }
    }
}

fn lock(config: &Mutex<LoadedConfig>) -> MutexGuard<'_, LoadedConfig> {
    config.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Logs a report: of a later one, what has changed since the former.
fn log(report: &Report, former: Option<&Report>) {
    let is_in = |report: &Report, finding: &ReportedFinding| {
        report.problems().any(|other| other.code == finding.code && other.subject == finding.subject)
    };
    for finding in report.problems().filter(|finding| finding.follows_from.is_none()) {
        if former.is_some_and(|former| is_in(former, finding)) {
            continue;
        }
        let code = finding.code.as_deref().unwrap_or_default();
        let needed = finding.needed.as_ref().map(|record| format!(": {record}")).unwrap_or_default();
        warn!(code, subject = finding.subject, "{}; {}{needed}", finding.answer, finding.mend);
    }
    for gone in former.iter().flat_map(|former| former.problems()).filter(|finding| !is_in(report, finding)) {
        info!(code = gone.code.as_deref().unwrap_or_default(), subject = gone.subject, "no longer a problem");
    }
    match report.problems().count() {
        0 => info!(checks = report.checks.len(), "the set-up is sound"),
        problems => info!(problems, "the set-up was examined; `txtgate doctor` shows all of it"),
    }
}
