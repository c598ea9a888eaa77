//! Runs the checks of an examination side by side.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::error;

use crate::delegation::finding::Assessment;
use crate::model::time::Timestamp;

use super::check::Check;
use super::examination::Examination;
use super::fault::Fault;
use super::findings::Findings;
use super::registry::checks;
use super::report::{self, LastLookup, Report, first, reports};
use super::request::Progress;

/// The time that each check has, and so the whole examination: they all begin at once.
pub const LIMIT: Duration = Duration::from_secs(12);

/// What any check may report in the place of its own findings.
pub const UNFINISHED: Fault = Fault {
    code: report::UNFINISHED,
    assessment: Assessment::Unknown,
    meaning: "the check did not end in time, so part of what it looks at is unknown",
    mend: "run `txtgate doctor` again; if the check never ends, look for servers that do not answer in the findings above",
};

/// Runs every check, and reports the findings. Takes [`LIMIT`] at most, and a moment.
pub async fn examine(examination: Examination, tell: impl Fn(Progress)) -> Report {
    let began = Instant::now();
    let examination = Arc::new(examination);
    let all: Vec<&'static Check> = checks().collect();
    tell(Progress::Started(all.len()));
    let results: Vec<_> = all.iter().map(|_| Arc::new(Mutex::new(None))).collect();
    let mut running = JoinSet::new();
    for (&check, result) in all.iter().zip(&results) {
        let (examination, result) = (examination.clone(), result.clone());
        running.spawn(async move {
            let findings = run(check, &examination).await;
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(findings);
            check.title
        });
    }
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(title) => tell(Progress::Ended(title.to_owned())),
            Err(error) => error!(%error, "a check of the doctor failed"),
        }
    }
    let findings = results.iter().map(|result| result.lock().unwrap_or_else(PoisonError::into_inner).take());
    let checks = reports(all.iter().copied().zip(findings.map(|found| found.unwrap_or_else(failed))).collect());
    Report {
        at: now().to_string(),
        milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        by_daemon: examination.daemon.is_some(),
        names: examination.names.clone(),
        first: first(&checks),
        checks,
        not_seen: not_seen(&examination),
        last_lookups: last_lookups(&examination),
    }
}

async fn run(check: &'static Check, examination: &Examination) -> Findings {
    let mut findings = Findings::default();
    if timeout(LIMIT, (check.run)(examination, &mut findings)).await.is_err() {
        let answer = format!("not finished after {} s", LIMIT.as_secs());
        findings.add(UNFINISHED.found(check.title, check.title, answer));
    }
    findings
}

/// In the place of a check that panicked.
fn failed() -> Findings {
    let mut findings = Findings::default();
    let found = UNFINISHED.found("txtgate", "the check", "the check failed by an error of this program");
    findings.add(found.advice("report this with the lines of the log around it"));
    findings
}

/// The date, by the machine's clock, right or wrong.
fn now() -> Timestamp {
    Timestamp::from_unix(SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()))
}

/// The last validation, and the last answer with a value, if that is another one.
fn last_lookups(examination: &Examination) -> Vec<LastLookup> {
    let Some(daemon) = &examination.daemon else { return Vec::new() };
    let validation = daemon.query_log.vantages().last();
    let answer = daemon.query_log.last_answer().filter(|answer| !answer.owner.is_probe());
    let is_of_validation = answer.as_ref().zip(validation.as_ref()).is_some_and(|(answer, validation)| {
        answer.owner == validation.owner && validation.networks.contains(&answer.query.network)
    });
    let answer = answer.filter(|_| !is_of_validation).map(|answer| LastLookup {
        at: answer.query.at.to_string(),
        name: answer.owner.to_string(),
        is_validation: false,
        networks: vec![answer.query.network],
    });
    let validation = validation.map(|validation| LastLookup {
        at: validation.at.to_string(),
        name: validation.owner.to_string(),
        is_validation: true,
        networks: validation.networks.into_iter().collect(),
    });
    let mut all: Vec<LastLookup> = answer.into_iter().chain(validation).collect();
    all.sort_by(|one, other| other.at.cmp(&one.at));
    all
}

/// What this process cannot look at.
fn not_seen(examination: &Examination) -> Vec<String> {
    let mut not_seen = Vec::new();
    if examination.daemon.is_none() {
        not_seen.push("no daemon runs with this configuration: its listeners and limits were not looked at".to_owned());
    }
    if examination.publisher.is_none() {
        not_seen.push("the database is not open: accounts and values were not looked at".to_owned());
    }
    not_seen
}
