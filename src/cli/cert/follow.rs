//! Waits for a certificate, and says how it ends.

use std::time::Duration;

use axum::http::Method;

use crate::api::types::certificates::ManagedCertificateView;
use crate::certificates::missing_record::MissingRecord;
use crate::cli::error::{CliError, Result};
use crate::cli::operator::Operator;
use crate::cli::output::{print, tell};
use crate::cli::table::{cell, printable};

use super::path::path;
use super::progress::Progress;

/// The time between two looks at what the daemon does.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Shows what the daemon does until it is done, or has failed.
pub fn follow(operator: &Operator, before: &ManagedCertificateView) -> Result<()> {
    let name = &before.name;
    let mut progress = Progress::new(name);
    loop {
        let now: ManagedCertificateView = operator.ask(Method::GET, &path(name, ""))?;
        let report = &now.report;
        let has_ended = report.ended > before.report.ended && report.stage.is_none();
        let is_over = has_ended && (!now.asked || report.attempts.problem.is_some());
        // Until the daemon begins, the view shows the order before.
        if is_over || report.stage.is_some() {
            progress.update(&now)?;
        }
        if is_over {
            progress.end();
            return outcome(&now);
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

fn outcome(now: &ManagedCertificateView) -> Result<()> {
    let report = &now.report;
    if report.attempts.problem.is_some() && !report.missing.is_empty() {
        return missing(&now.name, &report.missing);
    }
    if let Some(problem) = &report.attempts.problem {
        return Err(CliError::Refused(problem.clone()));
    }
    let not_after = report.shown.as_ref().map(|shown| shown.not_after.to_string());
    print(&format!(
        "{}: valid until {}, renewed from {} on, in {}",
        cell(&now.name),
        cell(&not_after),
        cell(&report.renew_at),
        cell(&now.live)
    ))?;
    for lacking in &report.lacking {
        tell(&format!("{} is without {}: {}", cell(&now.name), cell(&lacking.name), printable(&lacking.problem)));
    }
    if let Some(caa) = &report.caa {
        print(&format!("This record at your domain lets nobody else get certificates for it:\n{caa}"))?;
    }
    Ok(())
}

/// Prints the records that are missing, as lines of a zone file, and fails.
fn missing(name: &str, missing: &[MissingRecord]) -> Result<()> {
    print("Add these records, once and for ever:\n")?;
    let mut lines = Vec::new();
    let mut found = Vec::new();
    for one in missing {
        let records: Vec<String> = one.needed.records().map(|record| printable(&record)).collect();
        lines.push(records.join("\nor, in place of it,\n"));
        found.push(printable(&format!("{}: {}", one.needed.name, one.found)));
    }
    print(&lines.join("\n"))?;
    let what = if missing.iter().any(|one| one.needed.txt.is_some()) {
        "persistent authorizations are missing"
    } else {
        "names of the certificate are not delegated to this server yet"
    };
    Err(CliError::Missing(format!(
        "{what}: {}; when the records are there, run `txtgate cert renew {name}`, or wait: the daemon tries again by \
         itself",
        found.join("; ")
    )))
}
