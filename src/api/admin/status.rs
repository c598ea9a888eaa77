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
use crate::publisher::Publisher;
use crate::store::StoreError;
use crate::zone::Zone;

use super::super::blocking::read;
use super::super::error::Failure;
use super::super::reply;
use super::super::types::status::{Counters, OwnCertificates, Status, ZoneStatus};

/// What only the starting program knows of `/status`.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When the daemon started; `None` if no daemon runs and the command line answers itself.
    pub started: Option<Instant>,
    /// The listeners, like `DNS 0.0.0.0:53 (UDP and TCP)`.
    pub listeners: Vec<String>,
}

pub async fn status(
    State(publisher): State<Publisher>,
    State(metrics): State<Arc<Metrics>>,
    State(facts): State<Arc<Facts>>,
    State(certificates): State<Option<Certificates>>,
) -> Result<Response, Failure> {
    let (counts, in_place) = read(&publisher, |publisher| {
        let counts = publisher.store().read(|rows| rows.counts())?;
        Ok::<_, StoreError>((counts, publisher.store().is_in_place().map_err(|error| error.to_string())))
    })
    .await?;
    let zones = publisher.zones().load();
    let status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: facts.started.map(|started| started.elapsed().as_secs()),
        listeners: facts.listeners.clone(),
        database: publisher.store().path().to_owned(),
        database_problem: in_place.err(),
        clock_problem: publisher.machine_clock().err().map(|behind| clock_problem(&zones, behind)),
        zones: zones.iter().map(zone_status).collect(),
        certificates: certificates
            .map(|certificates| OwnCertificates { api: certificates.api().map(ApiCertificate::report) }),
        accounts: counts.accounts,
        values: counts.values,
        counters: counters(&metrics),
    };
    Ok(reply::json(StatusCode::OK, &status))
}

fn zone_status(zone: &Zone) -> ZoneStatus {
    ZoneStatus { name: zone.name.clone(), serial: zone.serial().0 }
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
