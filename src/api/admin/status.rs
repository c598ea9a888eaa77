//! `/status`: what is running, and how it is.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::metrics::Metrics;
use crate::model::time::Behind;
use crate::publisher::Publisher;
use crate::store::StoreError;
use crate::zone::Zone;

use super::super::account::read;
use super::super::reply;
use super::{Acme, Ask, Facts, Failure};

pub async fn status(
    State(publisher): State<Publisher>,
    State(metrics): State<Arc<Metrics>>,
    State(facts): State<Arc<Facts>>,
    State(acme): State<Option<Acme>>,
) -> Result<Response, Failure> {
    let (counts, in_place) = read(&publisher, |publisher| {
        let counts = publisher.store().read(|rows| rows.counts())?;
        Ok::<_, StoreError>((counts, publisher.store().is_in_place().map_err(|error| error.to_string())))
    })
    .await?;
    let certificates = match acme {
        Some(acme) => acme.ask(Ask::Certificates).await?,
        None => Value::Null,
    };
    let zones = publisher.zones().load();
    let listed: Vec<_> = zones.iter().map(|zone| json!({ "name": zone.name, "serial": zone.serial().0 })).collect();
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": facts.started.map(|started| started.elapsed().as_secs()),
        "listeners": facts.listeners,
        "database": publisher.store().path(),
        "database_problem": in_place.err(),
        "clock_problem": publisher.machine_clock().err().map(|behind| clock_problem(&zones, behind)),
        "zones": listed,
        "certificates": certificates,
        "accounts": counts.accounts,
        "values": counts.values,
        "counters": {
            "updates": metrics.updates.value(),
            "registrations": metrics.registrations.value(),
            "denials": metrics.denials.value(),
            "refusals": metrics.refusals.value(),
            "faults": metrics.faults.value(),
            "commits": metrics.committed.value(),
            "dns_dropped": metrics.dropped.value(),
            "dns_truncated": metrics.truncated.value(),
        },
    });
    Ok(reply::json(StatusCode::OK, &body))
}

/// What the operator can do about a clock that is behind.
fn clock_problem(zones: &[Zone], behind: Behind) -> String {
    let is_signed = zones.iter().any(|zone| zone.signing.is_some());
    let effect = if is_signed { "; nothing new is signed" } else { "" };
    format!("{behind}{effect}; set it right, or if it is right now: `txtgate dnssec trust-clock`")
}
