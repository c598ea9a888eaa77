//! A rehearsal for people: a line for each step, and the records to add at the end.

use std::fmt::Write;

use crate::cli::table::printable;

use super::report::{Finding, QueryLogReport, RecordGroup, Report, StepReport, TargetReport, VantageReport};

/// The most characters of a line that is not broken.
const WIDTH: usize = 80;
/// The labels of accounts are this long at least; they are shown by their beginning.
const LONG_LABEL: usize = 32;
/// The characters of such a label that are shown.
const SHOWN: usize = 8;
/// How addresses of simulated nameservers begin, which are of no interest.
const SIMULATED: &str = "127.53.0.";

/// The whole report. `verbose`: every question of every vantage point, as it was sent.
pub fn text(report: &Report, verbose: bool) -> String {
    let mut out = head(report);
    for target in &report.targets {
        out += &section(&published(target, &report.daemon.api));
        out += &section(&validated(target, verbose));
    }
    let findings: Vec<String> = report.findings.iter().map(finding).collect();
    if !findings.is_empty() {
        out += &section(&format!("Findings\n{}", findings.join("\n")));
    }
    out += &section(&records(&report.records));
    out += &section(&conclusion(report));
    out.trim_end().to_owned()
}

/// The same with coloured marks, for a terminal.
pub fn coloured(text: &str) -> String {
    let with = |text: String, mark: &str, colour: u8| text.replace(mark, &format!("\x1b[{colour}m{mark}\x1b[0m"));
    // In front of a line alone: a name might have a `!`.
    let text = with(text.to_owned(), "✓", 32);
    with(text, "✗", 31).replace("\n  ! ", "\n  \x1b[33m!\x1b[0m ")
}

fn section(text: &str) -> String {
    format!("\n{}\n", text.trim_end())
}

fn head(report: &Report) -> String {
    let daemon = match report.daemon.running {
        true => "the daemon that runs with it; its temporary account is removed at the end",
        false => "a daemon and a database of its own",
    };
    let text = format!("Rehearsal of {}, with {daemon}. Nothing leaves this machine.", report.configuration);
    let mut out = wrapped("", "", &text);
    for zone in &report.zones {
        let signed = if zone.signed { ", signed" } else { "" };
        out += &wrapped("  ", "    ", &format!("zone {}{signed}; NS {}", zone.name, zone.nameservers.join(", ")));
    }
    out
}

fn published(target: &TargetReport, api: &str) -> String {
    let client = match &target.domain {
        Some(domain) => format!("The ACME client of {domain}"),
        None => "An ACME client".to_owned(),
    };
    let mut out = wrapped("", "", &format!("{client} publishes at {api}"));
    if target.published.is_empty() {
        out += "  - nothing: the zone belongs to an account that is there already\n";
    }
    for value in &target.published {
        let line = format!("POST /update for {}", value.identifier);
        out += &match &value.problem {
            None => wrapped("  ✓ ", "    ", &format!("{line}: 200")),
            Some(problem) => wrapped("  ✗ ", "    ", &format!("{line}: {problem}")),
        };
    }
    out
}

fn validated(target: &TargetReport, verbose: bool) -> String {
    let name = shortened(&target.challenge);
    let mut out = wrapped("", "", &format!("The CA asks for the TXT records of {name}"));
    let mut shown: Vec<&VantageReport> = Vec::new();
    for vantage in &target.vantages {
        let like = shown.iter().find(|other| is_alike(other, vantage));
        if verbose || like.is_none() {
            out += &walk(vantage, verbose);
            shown.push(vantage);
        }
    }
    out += &others(&target.vantages, shown.len());
    for listener in &target.tcp {
        if let Some(problem) = &listener.problem {
            out += &wrapped("  ✗ ", "    ", &format!("over TCP at {}: {problem}", listener.listener));
        }
    }
    if !target.tcp.is_empty() && target.tcp.iter().all(|listener| listener.problem.is_none()) {
        out += "  ✓ over TCP, which long answers need, too\n";
    }
    if let Some(log) = &target.query_log {
        out += &query_log(log);
    }
    out
}

fn query_log(log: &QueryLogReport) -> String {
    let networks = log.networks.len();
    let plural = if networks == 1 { "" } else { "s" };
    let text = format!("the query log (`txtgate queries WHO`) has {networks} network{plural} that got the values");
    let mut out = wrapped(&format!("  {} ", if networks > 0 { "✓" } else { "!" }), "    ", &text);
    log.verdicts.iter().for_each(|verdict| out += &wrapped("    ", "    ", &format!("verdict: {verdict}")));
    out
}

/// The vantage points that are like those that are shown.
fn others(vantages: &[VantageReport], shown: usize) -> String {
    let count = vantages.len() - shown;
    let sources: Vec<&str> = vantages.iter().filter_map(first_source).collect();
    let (Some(first), Some(last), true) = (sources.first(), sources.last(), count > 0) else { return String::new() };
    let mark = mark(vantages.iter().all(|vantage| vantage.problem.is_none()));
    let text = format!("{count} more vantage points see the same; all of them ask from {first} to {last}");
    wrapped(&format!("  {mark} "), "    ", &text)
}

fn first_source(vantage: &VantageReport) -> Option<&str> {
    vantage.point.sources.first().map(String::as_str)
}

/// Whether two walks have met the same, whichever nameserver and letters they had.
fn is_alike(one: &VantageReport, other: &VantageReport) -> bool {
    let met = |vantage: &VantageReport| -> Vec<(String, String, bool)> {
        let steps = vantage.steps.iter();
        steps.map(|step| (step.zone.clone(), step.answer.clone(), step.sound)).collect()
    };
    one.problem == other.problem && one.signed == other.signed && met(one) == met(other)
}

fn walk(vantage: &VantageReport, verbose: bool) -> String {
    let mut out = String::new();
    if verbose {
        let sources = vantage.point.sources.join(" and ");
        out += &format!("  vantage point {}, from {sources}\n", vantage.point.number);
        vantage.steps.iter().for_each(|step| out += &whole_step(step));
    } else {
        out += &short_steps(&vantage.steps);
    }
    match &vantage.problem {
        Some(problem) => out += &wrapped("  ✗ ", "    ", problem),
        None if vantage.signed => out += "  ✓ the signatures are valid, from the DS at the parent down\n",
        None => {}
    }
    out
}

/// A question as it was sent, and all of its reply.
fn whole_step(step: &StepReport) -> String {
    let StepReport { server, protocol, microseconds, sent, rtype, answer, .. } = step;
    let glue = if step.glue.is_empty() { String::new() } else { format!(" ({})", step.glue.join(", ")) };
    let first = format!("{} {server}, {protocol}, {microseconds} us", mark(step.sound));
    format!("  {first}\n{}", wrapped("      ", "      ", &format!("{sent} {rtype}: {}{glue}", printable(answer))))
}

/// A line for each question: the zone, the name within it, and the reply.
fn short_steps(steps: &[StepReport]) -> String {
    let asked: Vec<(String, String)> = steps.iter().map(|step| (zone_of(step), relative_question(step))).collect();
    let length = |text: &String| text.chars().count();
    let zone = asked.iter().map(|(zone, _)| length(zone)).max().unwrap_or(0);
    let name = asked.iter().map(|(_, name)| length(name)).max().unwrap_or(0);
    let mut out = format!("    {:zone$}  {:name$}  answer\n", "zone", "question");
    for (step, (at, question)) in steps.iter().zip(&asked) {
        let is_simulated = |address: &String| address.starts_with(SIMULATED);
        let glue =
            if step.glue.iter().all(is_simulated) { String::new() } else { format!(" ({})", step.glue.join(", ")) };
        let answer = shortened(&printable(&step.answer)) + &glue;
        let line = format!("  {} {at:zone$}  {question:name$}  {answer}", mark(step.sound));
        match length(&line) <= WIDTH {
            true => _ = writeln!(out, "{line}"),
            false => {
                _ = write!(
                    out,
                    "  {} {at:zone$}  {question}\n{}",
                    mark(step.sound),
                    wrapped("      ", "      ", &answer)
                )
            }
        }
    }
    out
}

fn mark(is_sound: bool) -> &'static str {
    if is_sound { "✓" } else { "✗" }
}

fn zone_of(step: &StepReport) -> String {
    if step.zone == "." { "root".to_owned() } else { shortened(&step.zone) }
}

/// The name within the zone, as zone files write it, and the type.
fn relative_question(step: &StepReport) -> String {
    let sent = step.sent.to_ascii_lowercase();
    let relative = match sent.strip_suffix(&step.zone) {
        Some("") => "@".to_owned(),
        Some(rest) => rest.trim_end_matches('.').to_owned(),
        None => sent,
    };
    format!("{} {}", shortened(&relative), step.rtype)
}

/// A name with the long labels of accounts cut short.
fn shortened(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let labels = word.split('.').map(|label| match label.get(..SHOWN) {
            Some(start) if label.len() >= LONG_LABEL => format!("{start}…"),
            _ => label.to_owned(),
        });
        labels.collect::<Vec<_>>().join(".")
    });
    words.collect::<Vec<_>>().join(" ")
}

fn finding(finding: &Finding) -> String {
    let mark = if finding.fault { "  ✗ " } else { "  ! " };
    wrapped(mark, "    ", &finding.problem).trim_end().to_owned()
}

fn records(groups: &[RecordGroup]) -> String {
    let mut out = "Records to add\n".to_owned();
    for group in groups {
        let zone = if group.zone == "." { "root".to_owned() } else { group.zone.clone() };
        out += &format!("  in the DNS of {zone}\n");
        let name = group.records.iter().map(|record| record.name.len()).max().unwrap_or(0);
        let rtype = group.records.iter().map(|record| record.rtype.len()).max().unwrap_or(0);
        for record in &group.records {
            out += &format!("    {:name$}  {:rtype$}  {}\n", record.name, record.rtype, record.data);
        }
        group.notes.iter().for_each(|note| out += &wrapped("    ; ", "    ; ", note));
    }
    out
}

fn conclusion(report: &Report) -> String {
    match report.faults() {
        0 => format!(
            "✓ Every vantage point finds what was published ({}).\n  When the records are there, `txtgate doctor` examines the \
             real DNS.",
            report.duration()
        ),
        1 => "✗ 1 problem would keep a CA from what was published.".to_owned(),
        count => format!("✗ {count} problems would keep a CA from what was published."),
    }
}

/// A text in lines that fit a terminal, broken between words; the first begins with `first`, the others with `rest`.
fn wrapped(first: &str, rest: &str, text: &str) -> String {
    let mut out = String::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in printable(text).split(' ') {
        let fits = line.chars().count() + usize::from(!is_empty) + word.chars().count() <= WIDTH;
        if !fits && !is_empty {
            _ = writeln!(out, "{line}");
            line = rest.to_owned();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line += word;
        is_empty = false;
    }
    _ = writeln!(out, "{line}");
    out
}
