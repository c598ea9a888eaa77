//! A report for people.

use crate::api::types::doctor::{CheckReport, Group, Report, ReportedFinding};
use crate::cli::table::{printable, width};
use crate::delegation::finding::Assessment;
use crate::doctor::text::{NO_LOOKUPS, sign};

/// The columns before a check's title.
const MARGIN: usize = 2;
/// The columns before a finding.
const FINDING: usize = 4;
/// The columns before what a finding means, and what to do.
const DETAIL: usize = 6;

/// The report as text that fits the terminal: a line for each check, and what is wrong below it. `is_verbose`: also what
/// is as it should be.
pub fn printed(report: &Report, is_verbose: bool) -> String {
    let mut out = String::new();
    let paint = Paint::of_terminal();
    for group in Group::ALL {
        let checks: Vec<&CheckReport> = report.checks_of(group).collect();
        if checks.is_empty() {
            continue;
        }
        out += &format!("{}\n", group.title());
        checks.iter().for_each(|check| out += &of_check(check, is_verbose, &paint));
        out.push('\n');
    }
    for unseen in &report.not_seen {
        out += &wrapped("- ", unseen, MARGIN);
    }
    if !report.not_seen.is_empty() {
        out.push('\n');
    }
    out += &lookups(report);
    let summary = report.summary();
    out + wrapped("", &summary, 0).trim_end()
}

/// Who has last got a published value.
fn lookups(report: &Report) -> String {
    if !report.by_daemon {
        return String::new();
    }
    let mut out = "Last look-ups of published values\n".to_owned();
    if report.last_lookups.is_empty() {
        out += &wrapped("", NO_LOOKUPS, MARGIN);
    }
    for lookup in &report.last_lookups {
        out += &wrapped("", &lookup.line(), MARGIN);
    }
    out.push('\n');
    out
}

fn of_check(check: &CheckReport, is_verbose: bool, paint: &Paint) -> String {
    let mut out = wrapped(&format!("{} ", paint.mark(check.assessment)), &check.title, MARGIN);
    for finding in &check.findings {
        if finding.code.is_some() {
            out += &of_problem(finding, is_verbose);
        } else if is_verbose {
            out += &wrapped("", &finding.headline(), FINDING);
        }
    }
    out
}

fn of_problem(finding: &ReportedFinding, is_verbose: bool) -> String {
    let mut out = wrapped("", &finding.headline(), FINDING);
    if is_verbose {
        out += &wrapped("", &format!("asked for: {}", finding.question), DETAIL);
    }
    if let Some(cause) = finding.cause() {
        return out + &wrapped("", &format!("{cause} above"), DETAIL);
    }
    if !finding.meaning.is_empty() {
        out += &wrapped("", &finding.meaning, DETAIL);
    }
    if !finding.mend.is_empty() {
        out += &wrapped("> ", &finding.mend, DETAIL);
    }
    for record in finding.records() {
        // On one line, however long: it is to be copied.
        out += &format!("{}{}\n", " ".repeat(DETAIL + 2), printable(&record));
    }
    out
}

/// A text behind `start`, broken between words at the terminal's width; further lines begin below the first one's text.
fn wrapped(start: &str, text: &str, margin: usize) -> String {
    let hanging = if start.is_empty() { 0 } else { 2 };
    let room = width().map_or(usize::MAX, |width| usize::from(width).saturating_sub(margin + hanging).max(20));
    let mut lines: Vec<String> = Vec::new();
    for word in printable(text).split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let indent = " ".repeat(margin);
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        let before = if index == 0 { start.to_owned() } else { " ".repeat(hanging) };
        out += &format!("{indent}{before}{line}\n");
    }
    out
}

/// Colours, where the terminal wants them.
struct Paint {
    is_coloured: bool,
}

impl Paint {
    fn of_terminal() -> Self {
        // https://no-color.org: whatever it is set to, but for nothing.
        let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { is_coloured: is_wanted && width().is_some() }
    }

    fn mark(&self, assessment: Assessment) -> String {
        let colour = match assessment {
            Assessment::Good => 32,
            Assessment::Warning | Assessment::Unknown => 33,
            Assessment::Fault => 31,
        };
        let sign = sign(assessment);
        if self.is_coloured { format!("\x1b[{colour}m{sign}\x1b[0m") } else { sign.to_owned() }
    }
}
