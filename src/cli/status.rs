//! `status`: how the running daemon is, and what it serves.

use axum::http::Method;

use crate::api::problems::problems;
use crate::api::types::certificates::ManagedCertificateView;
use crate::api::types::list::List;
use crate::api::types::status::{LastPublish, LastValidation, Status, ZoneStatus};
use crate::certificates::api_certificate::ApiCertificateReport;
use crate::model::account::Note;
use crate::model::name::idn::both_ways;
use crate::replication::SecondaryReport;

use super::error::Result;
use super::operator::Operator;
use super::output::{Output, print_json};
use super::table::{items, pairs, printable};
use super::target::Target;
use crate::model::time::relative::{relative, span};

/// Prints the daemon's status. Fails if no daemon runs.
pub fn status(output: Output, target: &Target) -> Result<()> {
    let operator = Operator::of_daemon(target)?;
    let status: Status = operator.ask(Method::GET, "/status")?;
    if output.json {
        return print_json(&status);
    }
    let managed: List<ManagedCertificateView> = operator.ask(Method::GET, "/certificates")?;
    super::output::print(&report(&status, &managed.items))
}

/// The status for people: first the state, then what is wrong, then everything else.
fn report(status: &Status, managed: &[ManagedCertificateView]) -> String {
    let problems: Vec<String> =
        problems(status, managed).iter().map(|problem| printable(&problem.to_string())).collect();
    let state = match problems.len() {
        0 => "all is well".to_owned(),
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    let uptime = status.uptime_seconds.map(span).unwrap_or_default();
    let mut out = format!("txtgate {} has run for {uptime}: {state}\n", status.version);
    if !problems.is_empty() {
        out += &format!("\nproblems:\n{}\n", items(&problems));
    }
    out += &format!("\n{}\n", pairs(&facts(status, managed)));
    out.trim_end().to_owned()
}

fn facts(status: &Status, managed: &[ManagedCertificateView]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    push(&mut rows, "zones", status.zones.iter().map(zone));
    push(&mut rows, "secondaries", status.secondaries.iter().map(secondary));
    push(&mut rows, "listeners", status.listeners.iter().cloned());
    let api = status.certificates.as_ref().and_then(|own| own.api.as_ref());
    let certificates = api.map(api_certificate).into_iter().chain(managed_certificates(managed));
    push(&mut rows, "certificates", certificates);
    push(&mut rows, "accounts", [accounts(status)]);
    push(&mut rows, "last publish", [last_publish(status.last_publish.as_ref())]);
    push(&mut rows, "last validation", last_validation(status.last_validation.as_ref()));
    push(&mut rows, "since the start", counters(status));
    push(&mut rows, "database", [status.database.display().to_string()]);
    rows
}

/// Adds a line for each value; only the first one has the name.
fn push(rows: &mut Vec<Vec<String>>, name: &str, values: impl IntoIterator<Item = String>) {
    for (index, value) in values.into_iter().enumerate() {
        let name = if index == 0 { name } else { "" };
        rows.push(vec![name.to_owned(), printable(&value)]);
    }
}

fn zone(zone: &ZoneStatus) -> String {
    let signed = if zone.signed { "signed" } else { "unsigned" };
    format!("{}, serial {}, {signed}", both_ways(&zone.name.to_string()), zone.serial)
}

fn secondary(report: &SecondaryReport) -> String {
    let SecondaryReport { secondary, address, zone, serial, current, problem, .. } = report;
    let state = match (serial, current, problem) {
        (Some(_), true, None) => "up to date".to_owned(),
        (Some(serial), true, Some(problem)) => format!("up to date with serial {serial}, but {problem}"),
        (Some(serial), false, None) => format!("behind with serial {serial}"),
        (Some(serial), false, Some(problem)) => format!("behind with serial {serial}: {problem}"),
        (None, _, Some(problem)) => problem.clone(),
        (None, _, None) => "not heard of yet".to_owned(),
    };
    format!("{secondary} at {address}, {}: {state}", both_ways(&zone.to_string()))
}

fn api_certificate(report: &ApiCertificateReport) -> String {
    let Some(shown) = &report.shown else { return "the API's: none yet".to_owned() };
    let whose = if report.self_signed { ", self-signed until a CA has issued one" } else { "" };
    let renewal = report.renew_at.as_deref().map(relative);
    let renewal = renewal.map(|at| format!(", renewed {at}")).unwrap_or_default();
    let end = relative(&shown.not_after.to_string());
    format!("the API's: {}, ends {end}{renewal}{whose}", shown.names.join(", "))
}

fn managed_certificates(managed: &[ManagedCertificateView]) -> Option<String> {
    let first = managed.iter().filter_map(|view| Some(view.report.shown.as_ref()?.not_after)).min();
    let first = first.map(|end| format!("; the first ends {}", relative(&end.to_string()))).unwrap_or_default();
    (!managed.is_empty()).then(|| format!("managed: {}{first}; see `txtgate cert list`", managed.len()))
}

fn accounts(status: &Status) -> String {
    let overdue = match status.overdue {
        None | Some(0) => String::new(),
        Some(count) => format!("; {count} overdue, see `txtgate account list --overdue`"),
    };
    match (status.accounts, status.values) {
        (Some(accounts), Some(1)) => format!("{accounts}, with 1 value{overdue}"),
        (Some(accounts), Some(values)) => format!("{accounts}, with {values} values{overdue}"),
        _ => "unknown: the database cannot be read".to_owned(),
    }
}

/// A name, and the domain that it is for.
fn named(name: &str, note: Option<&Note>) -> String {
    match note.map(Note::as_str).filter(|note| !note.is_empty()) {
        Some(note) => format!("{} ({name})", both_ways(note)),
        None => name.to_owned(),
    }
}

fn last_publish(last: Option<&LastPublish>) -> String {
    last.map_or_else(
        || "never".to_owned(),
        |last| format!("{}, {}", relative(&last.at), named(&last.name, last.note.as_ref())),
    )
}

fn last_validation(last: Option<&LastValidation>) -> Vec<String> {
    let Some(last) = last else { return vec!["no value was asked for since the start".to_owned()] };
    let asked = format!("{} from {}, {}", relative(&last.at), last.source, named(&last.name, last.note.as_ref()));
    let verdict = last.verdict.as_ref().map(|verdict| verdict.text.clone());
    [Some(asked), verdict].into_iter().flatten().collect()
}

fn counters(status: &Status) -> [String; 2] {
    let count = &status.counters;
    [
        format!(
            "{} values published, {} accounts registered, {} commits",
            count.updates, count.registrations, count.commits
        ),
        format!(
            "{} requests denied, {} turned away, {} failed; {} DNS messages dropped, {} replies truncated",
            count.denials, count.refusals, count.faults, count.dns_dropped, count.dns_truncated
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn problems_come_first_with_what_to_do() {
        let status: Status = serde_json::from_value(json!({
            "version": "1.0.0", "uptime_seconds": 90, "listeners": ["dns 0.0.0.0:53", "api https://0.0.0.0:443"],
            "database": "/x/t.db", "database_problem": "it is gone; restore a backup", "clock_problem": null,
            "zones": [{"name": "auth.test", "serial": 7, "signed": true}],
            "certificates": {"api": {
                "shown": null, "self_signed": false, "renew_at": null, "failures": 2,
                "problem": "the CA\u{1b}[31m refuses", "next_attempt": "2000-01-01T00:00:00Z"
            }},
            "accounts": 1, "values": 2, "last_publish": null,
            "last_validation": {"at": "2000-01-01T00:00:00Z", "name": "a.auth.test", "note": "xn--bcher-kva.example", "source": "192.0.2.1"},
            "counters": {"updates": 1, "registrations": 0, "denials": 0, "refusals": 0, "faults": 0, "commits": 1,
                         "dns_dropped": 0, "dns_truncated": 0}
        }))
        .unwrap();
        let text = report(&status, &[]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "txtgate 1.0.0 has run for 1 min: 2 problems");
        assert_eq!(lines[2..4], ["problems:", "  -  the database: it is gone; restore a backup"]);
        assert!(lines[4].starts_with("  -  the API's certificate: the CA?[31m refuses; next attempt "), "{text}");
        for part in [
            "\nzones            auth.test, serial 7, signed\n",
            "\nlisteners        dns 0.0.0.0:53\n                 api https://0.0.0.0:443\n",
            "the API's: none yet",
            "from 192.0.2.1, xn--bcher-kva.example (bücher.example) (a.auth.test)",
            "last publish     never\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let well = Status { database_problem: None, certificates: None, ..status };
        assert!(report(&well, &[]).starts_with("txtgate 1.0.0 has run for 1 min: all is well\n\nzones"));
    }
}
