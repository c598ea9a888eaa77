//! Certificates for people.

use crate::api::types::certificates::ManagedCertificateView;
use crate::api::types::list::List;
use crate::certificates::progress::{NameProgress, NameState};
use crate::cli::table::{cell, items, list, pairs, printable};
use crate::model::name::idn::both_ways;
use crate::model::time::relative::{relative, with_relative};

/// Names of a certificate that a row of the list shows.
const NAMES_IN_ROW: usize = 2;
/// Names of a certificate that `cert show` lists one by one where all are alike.
const NAMES_IN_VIEW: usize = 8;

/// A list with a row for each certificate, and the problems below it.
pub fn certificate_list(certificates: &List<ManagedCertificateView>) -> String {
    let rows: Vec<_> = certificates.items.iter().map(list_row).collect();
    let empty = "there are no certificates yet; `txtgate cert issue NAME...` gets one";
    let table = list(&["name", "ends", "next", "state", "names"], &rows, empty);
    let problem =
        |view: &ManagedCertificateView| Some(printable(&format!("{}: {}", both_ways(&view.name), view.problem()?)));
    let problems: Vec<String> = certificates.items.iter().filter_map(problem).collect();
    if problems.is_empty() { table } else { format!("{table}\n\nproblems:\n{}", items(&problems)) }
}

fn list_row(view: &ManagedCertificateView) -> Vec<String> {
    let report = &view.report;
    let attempts = &report.attempts;
    let state = printable(&view.condition().to_string());
    let ends = report.shown.as_ref().map(|shown| relative(&shown.not_after.to_string()));
    let next = attempts.next_attempt.as_ref().or(report.renew_at.as_ref()).map(|at| relative(at));
    vec![cell(&both_ways(&view.name)), cell(&ends), cell(&next), state, some_names(&view.names)]
}

/// The first names, and how many more there are.
fn some_names(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES_IN_ROW).map(|name| both_ways(name).into_owned()).collect();
    let more = names.len().saturating_sub(NAMES_IN_ROW);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    printable(&(shown.join(", ") + &more))
}

/// One certificate: its state, its times, its files, and its names.
pub fn certificate_view(view: &ManagedCertificateView) -> String {
    let report = &view.report;
    let mut rows = vec![vec!["certificate".to_owned(), printable(&both_ways(&view.name))]];
    let mut push = |name: &str, value: Option<String>| {
        rows.extend(value.map(|value| vec![name.to_owned(), printable(&value)]));
    };
    push("problem", view.problem());
    push("failures", (report.attempts.failures > 0).then(|| report.attempts.failures.to_string()));
    push("under way", report.stage.clone());
    if let Some(shown) = &report.shown {
        push("revoked", report.revoked.then(|| "yes; it is not renewed".to_owned()));
        push("ends", Some(with_relative(&shown.not_after.to_string())));
        push("renewed", report.renew_at.as_deref().map(with_relative));
        push("issued", Some(with_relative(&shown.not_before.to_string())));
        push("issuer", Some(shown.issuer.clone()));
        push("serial", Some(shown.serial.clone()));
        push("SHA-256", Some(shown.sha256.clone()));
    } else {
        push("issued", Some("not yet".to_owned()));
    }
    push("files", Some(view.live.display().to_string()));
    push("from", Some(if view.configured { "the configuration" } else { "`txtgate cert issue`" }.to_owned()));
    if let Some(hook) = &report.hook {
        push("deploy hook", Some(format!("{}, {}", hook.ended, relative(&hook.at))));
        push("it printed", Some(hook.output.trim().to_owned()).filter(|output| !output.is_empty()));
    }
    push("CAA record", report.caa.clone());
    for missing in &report.missing {
        push("missing", Some(missing.to_string()));
    }
    for line in name_lines(view) {
        push("name", Some(line));
    }
    pairs(&rows)
}

/// The names with their progress. Of many names that are proven, only the first ones are listed.
fn name_lines(view: &ManagedCertificateView) -> Vec<String> {
    let step = |name: &String| view.progress.iter().find(|step| step.name.eq_ignore_ascii_case(name));
    let is_open = |name: &&String| step(name).is_some_and(|step| step.state != NameState::Proven);
    let (open, done): (Vec<&String>, Vec<&String>) = view.names.iter().partition(is_open);
    let mut lines: Vec<String> = open.into_iter().map(|name| name_line(name, step(name))).collect();
    lines.extend(done.iter().take(NAMES_IN_VIEW).map(|name| name_line(name, step(name))));
    if done.len() > NAMES_IN_VIEW {
        lines.push(format!("and {} more; --json shows all", done.len() - NAMES_IN_VIEW));
    }
    lines
}

fn name_line(name: &str, step: Option<&NameProgress>) -> String {
    let name = both_ways(name);
    let Some(step) = step else { return name.into_owned() };
    let problem = step.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
    format!("{name}: {}{problem}", step.state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn certificate(name: &str, names: usize, more: serde_json::Value) -> ManagedCertificateView {
        let names: Vec<String> = (0..names).map(|number| format!("n{number}.{name}")).collect();
        let mut view = json!({
            "name": name, "names": names, "configured": true, "live": "/x/live", "asked": false, "shown": null,
            "revoked": false, "renew_at": null, "stage": null, "ended": 1, "failures": 0, "problem": null,
            "next_attempt": null, "missing": [], "caa": null, "hook": null
        });
        view.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(view).unwrap()
    }

    #[test]
    fn a_hundred_names_are_one_row_and_a_problem_stands_below() {
        let problem = json!({"failures": 3, "problem": "the CA refuses n1: no CNAME"});
        let views = vec![certificate("shop.example", 100, json!({})), certificate("bad.example", 1, problem)];
        let text = certificate_list(&List::whole(views));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].ends_with("waiting         n0.shop.example, n1.shop.example and 98 more"), "{text}");
        assert!(lines[2].contains("failed 3 times"), "{text}");
        assert_eq!(lines[4..], ["problems:", "  -  bad.example: the CA refuses n1: no CNAME"], "{text}");
        assert!(certificate_list(&List::whole(Vec::new())).starts_with("there are no certificates yet"));
    }

    #[test]
    fn of_a_hundred_names_those_that_fail_are_shown() {
        let steps: Vec<_> = (0..100)
            .map(|number| {
                let state = if number == 50 { "failed" } else { "proven" };
                json!({"name": format!("n{number}.shop.example"), "state": state, "problem": (number == 50).then_some("no CNAME")})
            })
            .collect();
        let text = certificate_view(&certificate("shop.example", 100, json!({"progress": steps})));
        assert!(text.contains("name         n50.shop.example: failed: no CNAME\n"), "{text}");
        assert!(text.ends_with("name         and 91 more; --json shows all"), "{text}");
        assert!(text.lines().count() < 20, "{text}");
    }
}
