//! A report: what is wrong with its mends, then what is as it should be.

use maud::{Markup, html};

use crate::api::types::doctor::{CheckReport, Report, ReportedFinding};
use crate::delegation::finding::Assessment;
use crate::doctor::text::NO_LOOKUPS;

use super::super::page::{Tone, badge, copyable, prose, shortened, time};

/// The findings of one kind that are shown.
const MOST: usize = 25;
/// The most characters of one text.
const TEXT: usize = 400;
/// The good findings of a check that are shown, and the most characters of each.
const GOOD: usize = 3;
const GOOD_TEXT: usize = 160;

/// The tone of an assessment.
fn tone(assessment: Assessment) -> Tone {
    match assessment {
        Assessment::Good => Tone::Good,
        Assessment::Warning | Assessment::Unknown => Tone::Warning,
        Assessment::Fault => Tone::Bad,
    }
}

type Found<'a> = Vec<(&'a CheckReport, &'a ReportedFinding)>;

/// The findings in a tone, from causes to effects.
fn found(report: &Report, wanted: Tone) -> Found<'_> {
    let all = report.checks.iter().flat_map(|check| check.findings.iter().map(move |finding| (check, finding)));
    all.filter(|(_, finding)| tone(finding.assessment) == wanted).collect()
}

/// The whole report.
pub fn shown(report: &Report) -> Markup {
    let (faults, warnings) = (found(report, Tone::Bad), found(report, Tone::Warning));
    html! {
        p { (badge(worst(&faults, &warnings), &count(&faults, &warnings))) " " (report.summary()) " "
            span.dim { "Examined " (time(&report.at)) ", " (names(report)) "." } }
        (problems(Tone::Bad, "Faults", &faults))
        (problems(Tone::Warning, "Warnings", &warnings))
        (good(report))
        @if !report.not_seen.is_empty() {
            h2 { "Not looked at" }
            ul { @for unseen in report.not_seen.iter().take(MOST) { li { (short(unseen)) } } }
        }
        @if report.by_daemon { (lookups(report)) }
    }
}

fn worst(faults: &Found<'_>, warnings: &Found<'_>) -> Tone {
    match (faults.is_empty(), warnings.is_empty()) {
        (false, _) => Tone::Bad,
        (true, false) => Tone::Warning,
        (true, true) => Tone::Good,
    }
}

fn count(faults: &Found<'_>, warnings: &Found<'_>) -> String {
    match (faults.len(), warnings.len()) {
        (0, 0) => "sound".to_owned(),
        (0, 1) => "1 warning".to_owned(),
        (0, warnings) => format!("{warnings} warnings"),
        (1, _) => "1 fault".to_owned(),
        (faults, _) => format!("{faults} faults"),
    }
}

fn names(report: &Report) -> String {
    match report.names.as_slice() {
        [] => "without names of certificates".to_owned(),
        [one] => format!("with {one}"),
        [one, rest @ ..] => format!("with {one} and {} more names", rest.len()),
    }
}

/// What is to be mended, and what is well once that is.
fn problems(tone: Tone, title: &str, found: &Found<'_>) -> Markup {
    let (causes, effects): (Vec<_>, Vec<_>) = found.iter().partition(|(_, finding)| finding.cause().is_none());
    html! {
        @if !found.is_empty() {
            h2 { span aria-hidden="true" { (tone.sign()) " " } (title) }
            (some(tone, &causes))
            @if !effects.is_empty() {
                details id={ "effects-" (tone.class()) } {
                    summary { (effects.len()) @if causes.is_empty() { " that " } @else { " more that " } @if effects.len() == 1 { "follows" } @else { "follow" } " from other findings" }
                    (some(tone, &effects))
                }
            }
        }
    }
}

fn some(tone: Tone, found: &[&(&CheckReport, &ReportedFinding)]) -> Markup {
    html! {
        @for (check, finding) in found.iter().take(MOST) { (problem(tone, check, finding)) }
        @if found.len() > MOST { p.hint { "and " (found.len() - MOST) " more; " code { "txtgate doctor" } " shows all" } }
    }
}

fn problem(tone: Tone, check: &CheckReport, finding: &ReportedFinding) -> Markup {
    html! {
        div.notice.(tone.class()) {
            h3 { (short(&finding.headline())) }
            p.hint { (check.group.title()) " \u{203a} " (check.title) }
            @if let Some(cause) = finding.cause() { p { (cause) } }
            @else {
                @if !finding.meaning.is_empty() { p { (prose(&short(&finding.meaning))) } }
                @if !finding.mend.is_empty() { p.mend { strong { "What to do: " } (prose(&short(&finding.mend))) } }
                @for record in finding.records() { (copyable("the record", &record)) }
            }
        }
    }
}

/// A line for each check without a problem; its findings unfold.
fn good(report: &Report) -> Markup {
    let checks =
        || report.checks.iter().filter(|check| check.assessment == Assessment::Good && !check.findings.is_empty());
    html! {
        @if checks().next().is_some() {
            h2 { span aria-hidden="true" { (Tone::Good.sign()) " " } "As it should be" }
            @for check in checks().take(MOST) {
                details {
                    summary { (check.title) " " span.dim { (check.group.title()) } }
                    ul { @for finding in check.findings.iter().take(GOOD) { li { (shortened(&finding.headline(), GOOD_TEXT)) } }
                        @if check.findings.len() > GOOD { li.dim { "and " (check.findings.len() - GOOD) " more" } } }
                }
            }
        }
    }
}

fn lookups(report: &Report) -> Markup {
    html! {
        h2 { "Last look-ups of published values" }
        @if report.last_lookups.is_empty() { p.dim { (NO_LOOKUPS) } }
        @else { ul { @for lookup in report.last_lookups.iter().take(20) { li { (short(&lookup.line())) } } } }
    }
}

fn short(text: &str) -> String {
    shortened(text, TEXT)
}
