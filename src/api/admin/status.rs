//! `/status`: what is running, and how it is.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::certificates::Certificates;
use crate::certificates::api_certificate::ApiCertificate;
use crate::metrics::Metrics;
use crate::model::time::Behind;
use crate::notify::Notifier;
use crate::publisher::Publisher;
use crate::querylog::verdict::Verdict;
use crate::querylog::{LastAnswer, QueryLog};
use crate::replication::Transfers;
use crate::store::{Counts, StoreError};
use crate::zone::Zone;

use super::super::blocking::read;
use super::super::error::Failure;
use super::super::reply;
use super::super::types::server::ServerSettings;
use super::super::types::status::{Counters, LastPublish, LastValidation, OwnCertificates, Status, ZoneStatus};
use super::watch::QueryStreams;

/// What only the starting program knows of `/status`.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When the daemon started; `None` if no daemon runs and the command line answers itself.
    pub started: Option<Instant>,
    /// The listeners, like `DNS 0.0.0.0:53 (UDP and TCP)`.
    pub listeners: Vec<String>,
    /// How clients reach the server.
    pub server: ServerSettings,
}

pub async fn status(
    State(publisher): State<Publisher>,
    State(metrics): State<Arc<Metrics>>,
    State(facts): State<Arc<Facts>>,
    State(certificates): State<Option<Certificates>>,
    State(streams): State<Option<QueryStreams>>,
    State(notifier): State<Option<Notifier>>,
    State(transfers): State<Option<Transfers>>,
) -> Result<Response, Failure> {
    let answered = streams.and_then(|streams| last_judged(streams.query_log()));
    let stored = read(&publisher, |publisher| Ok::<_, StoreError>(StoreReport::read(publisher, answered))).await?;
    let zones = publisher.zones().load();
    let status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: facts.started.map(|started| started.elapsed().as_secs()),
        listeners: facts.listeners.clone(),
        database: publisher.store().path().to_owned(),
        database_problem: stored.problem,
        clock_problem: publisher.machine_clock().err().map(|behind| clock_problem(&zones, behind)),
        zones: zones.iter().map(zone_status).collect(),
        certificates: certificates
            .map(|certificates| OwnCertificates { api: certificates.api().map(ApiCertificate::report) }),
        accounts: stored.counts.map(|counts| counts.accounts),
        overdue: stored.overdue,
        values: stored.counts.map(|counts| counts.values),
        last_publish: stored.last_publish,
        last_validation: stored.last_validation,
        secondaries: transfers.map(|transfers| transfers.reports()).unwrap_or_default(),
        notifications: notifier.map(|notifier| notifier.view()),
        counters: counters(&metrics),
    };
    Ok(reply::json(StatusCode::OK, &status))
}

/// What the store says, as far as it can be read: a status without counts is worth more than none.
struct StoreReport {
    counts: Option<Counts>,
    overdue: Option<u64>,
    /// What is wrong with the store.
    problem: Option<String>,
    last_publish: Option<LastPublish>,
    last_validation: Option<LastValidation>,
}

impl StoreReport {
    fn read(publisher: &Publisher, answered: Option<JudgedAnswer>) -> Self {
        let now = publisher.moment().running;
        let store = publisher.store();
        let read = store.read(|rows| Ok((rows.counts()?, rows.count_overdue(now)?)));
        let read = read.and_then(|(counts, overdue)| Ok((counts, store.last_publication()?, overdue)));
        let problem = publisher.store().problem().or_else(|| read.as_ref().err().cloned());
        let (counts, last, overdue) =
            read.map_or((None, None, None), |(counts, last, overdue)| (Some(counts), last, Some(overdue)));
        Self {
            counts,
            overdue,
            problem: problem.map(|error| error.to_string()),
            last_publish: last.map(|last| LastPublish {
                at: last.at.to_string(),
                name: last.owner.to_string(),
                note: last.note,
            }),
            last_validation: answered.map(|judged| last_validation(publisher, judged)),
        }
    }
}

/// The last answer with a published value, and the verdict on its newest value.
struct JudgedAnswer {
    answer: LastAnswer,
    verdict: Option<Verdict>,
}

fn last_judged(log: &QueryLog) -> Option<JudgedAnswer> {
    let answer = log.last_answer()?;
    let newest = answer.query.values.first();
    let verdict = newest.and_then(|value| log.verdicts(&answer.owner, None).of(value).cloned());
    Some(JudgedAnswer { answer, verdict })
}

fn last_validation(publisher: &Publisher, judged: JudgedAnswer) -> LastValidation {
    let JudgedAnswer { answer, verdict } = judged;
    let account = publisher.account_at(&answer.owner).ok().flatten();
    LastValidation {
        at: answer.query.at.seconds().to_string(),
        name: answer.owner.to_string(),
        note: account.map(|account| account.note),
        source: answer.query.source.to_string(),
        verdict,
    }
}

fn zone_status(zone: &Zone) -> ZoneStatus {
    ZoneStatus { name: zone.name.clone(), serial: zone.serial().0, signed: zone.signing.is_some() }
}

fn counters(metrics: &Metrics) -> Counters {
    Counters {
        updates: metrics.updates.value(),
        registrations: metrics.registrations.value(),
        denials: metrics.denials.value(),
        refusals: metrics.refusals.value(),
        faults: metrics.faults.value(),
        commits: metrics.committed.value(),
        dns_dropped: metrics.dropped.value(),
        dns_truncated: metrics.truncated.value(),
    }
}

/// What is wrong with a clock that is behind, and what the operator can do.
fn clock_problem(zones: &[Zone], behind: Behind) -> String {
    let is_signed = zones.iter().any(|zone| zone.signing.is_some());
    let effect = if is_signed { "; nothing new is signed" } else { "" };
    format!("{behind}{effect}; correct the clock, or, if it is right now, run `txtgate dnssec trust-clock`")
}
