//! What needs a person: problems with their mends, the worst first.

use maud::{Markup, html};

use crate::api::problems::{Problem, Topic, problems};
use crate::api::types::certificates::ManagedCertificateView;
use crate::api::types::doctor::{Report, ReportedFinding};
use crate::api::types::status::Status;
use crate::delegation::finding::Assessment;
use crate::notify::matter::MatterKind;
use crate::replication::SecondaryReport;

use super::super::page::{Tone, badge, copyable, encoded, prose, shortened};

/// The problems that are seen at once, and the most that are listed.
const SEEN: usize = 5;
const MOST: usize = 24;
/// The most characters of a line that is seen at once: more than a wide screen shows.
const LINE: usize = 220;

/// One problem: two lines, and details to unfold.
#[derive(Debug)]
struct Item {
    tone: Tone,
    title: String,
    /// What to do, in a line; may be empty.
    mend: String,
    /// Everything that is known.
    details: String,
    /// Records to add to a zone.
    records: Vec<String>,
    /// Where to look, and what is there.
    link: Option<(String, &'static str)>,
}

/// All problems.
#[derive(Debug)]
pub struct Attention(Vec<Item>);

impl Attention {
    /// The problems of the status, of certificates, and of the last examination.
    pub fn new(status: &Status, managed: &[ManagedCertificateView], doctor: Option<&Report>) -> Self {
        let causes = || doctor.iter().flat_map(|report| report.problems()).filter(|found| found.follows_from.is_none());
        let has_causes = causes().next().is_some();
        let is_told_elsewhere = |problem: &Problem| match problem.topic {
            Topic::Matter(MatterKind::AccountOverdue) => true,
            // The examination says the same, and more of it.
            Topic::Matter(MatterKind::Delegation) => has_causes,
            _ => false,
        };
        let known = problems(status, managed).into_iter().filter(|problem| !is_told_elsewhere(problem)).map(of_problem);
        let mut items: Vec<Item> = known
            .chain(status.secondaries.iter().filter_map(of_secondary))
            .chain(causes().map(of_finding))
            .chain(of_overdue(status))
            .collect();
        items.sort_by_key(|item| item.tone != Tone::Bad);
        Self(items)
    }

    /// The state of the daemon in a word.
    pub fn badge(&self) -> Markup {
        let worst = if self.0.iter().any(|item| item.tone == Tone::Bad) { Tone::Bad } else { Tone::Warning };
        match self.0.len() {
            0 => badge(Tone::Good, "all is well"),
            1 => badge(worst, "1 problem"),
            count => badge(worst, &format!("{count} problems")),
        }
    }

    /// The list. Empty if there is nothing.
    pub fn list(&self) -> Markup {
        let listed = &self.0[..self.0.len().min(MOST)];
        let (seen, folded) = listed.split_at(listed.len().min(SEEN));
        html! {
            (notices(seen, 0))
            @if !folded.is_empty() {
                details #more-problems {
                    summary { (self.0.len() - SEEN) " more problems" }
                    (notices(folded, SEEN))
                }
            }
            @if self.0.len() > MOST {
                p.hint { "and " (self.0.len() - MOST) " more; " code { "txtgate status" } " and "
                    code { "txtgate doctor" } " show all of them" }
            }
        }
    }
}

/// Problems, of which so many others come first.
fn notices(items: &[Item], before: usize) -> Markup {
    html! { @for (place, item) in items.iter().enumerate() { (notice(before + place, item)) } }
}

fn notice(place: usize, item: &Item) -> Markup {
    html! {
        details.notice.(item.tone.class()) id={ "problem-" (place) } {
            summary {
                h2 { span aria-hidden="true" { (item.tone.sign()) " " } (prose(&shortened(&item.title, LINE))) }
                @if !item.mend.is_empty() {
                    span.mend { strong { "What to do: " } (prose(&shortened(&item.mend, LINE))) }
                }
            }
            p { (prose(&item.details))
                @if let Some((path, what)) = &item.link { " " a href=(path) { (what) } } }
            @for record in &item.records { (copyable("the record", record)) }
        }
    }
}

/// What was found, and what to do: errors end with that, behind the last semicolon, unless the time of the next attempt
/// follows. Records to add are named earlier.
fn found_and_mend(details: &str) -> (&str, &str) {
    let (text, next) = details.rsplit_once("; ").unwrap_or((details, ""));
    let is_time = next.starts_with("next attempt");
    let whole = if is_time { text } else { details };
    if let Some((found, _)) = whole.split_once(", so add `") {
        return (found, &whole[found.len() + ", so ".len()..]);
    }
    whole.rsplit_once("; ").unwrap_or((whole, ""))
}

fn of_problem(problem: Problem) -> Item {
    let Problem { topic, title, details } = problem;
    let tone = match &topic {
        Topic::Database | Topic::Clock | Topic::ApiCertificate | Topic::Certificate(_) => Tone::Bad,
        Topic::Matter(MatterKind::UnexpectedValidation | MatterKind::DiskNearlyFull) | Topic::Channel => Tone::Warning,
        Topic::Matter(_) => Tone::Bad,
    };
    let link = match topic {
        Topic::Certificate(name) => Some((format!("/certificates/{}", encoded(&name)), "The certificate")),
        Topic::Matter(MatterKind::CertificateExpires) => Some(("/certificates".to_owned(), "Certificates")),
        Topic::Matter(MatterKind::Delegation) => Some(("/doctor".to_owned(), "The examination")),
        _ => None,
    };
    let (found, mend) = found_and_mend(&details);
    Item { tone, title: format!("{title}: {found}"), mend: mend.to_owned(), details, records: Vec::new(), link }
}

fn of_finding(finding: &ReportedFinding) -> Item {
    let tone = if finding.assessment == Assessment::Fault { Tone::Bad } else { Tone::Warning };
    let title = format!("{}: {}", finding.subject, finding.answer);
    let details = [title.as_str(), &finding.meaning, &finding.mend];
    let details: Vec<&str> = details.into_iter().filter(|text| !text.is_empty()).collect();
    Item {
        tone,
        mend: finding.mend.clone(),
        details: details.join("; "),
        title,
        records: finding.records().collect(),
        link: Some(("/doctor".to_owned(), "The examination")),
    }
}

fn of_secondary(report: &SecondaryReport) -> Option<Item> {
    let details = report.problem.clone()?;
    let (found, mend) = found_and_mend(&details);
    let title = format!("the secondary {} ({}) and {}: {found}", report.secondary, report.address, report.zone);
    Some(Item { tone: Tone::Bad, title, mend: mend.to_owned(), details, records: Vec::new(), link: None })
}

fn of_overdue(status: &Status) -> Option<Item> {
    let title = match status.overdue? {
        0 => return None,
        1 => "1 account is overdue".to_owned(),
        count => format!("{count} accounts are overdue"),
    };
    Some(Item {
        tone: Tone::Warning,
        title,
        mend: "look whether their clients still run".to_owned(),
        details: "No renewal came in the usual time.".to_owned(),
        records: Vec::new(),
        link: Some(("/accounts?overdue=true".to_owned(), "Overdue accounts")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_two_lines_and_the_rest_unfolds() {
        for (details, found, mend) in [
            ("it is gone; restore a backup", "it is gone", "restore a backup"),
            ("a; b; do this", "a; b", "do this"),
            ("refused; add the record; next attempt in 3 minutes", "refused", "add the record"),
            ("refused; next attempt in 3 minutes", "refused", ""),
            ("it is gone", "it is gone", ""),
            (
                "none is there, so add `a CNAME b`; it tries again; next attempt in 3 minutes",
                "none is there",
                "add `a CNAME b`; it tries again",
            ),
        ] {
            assert_eq!(found_and_mend(details), (found, mend), "{details}");
        }
        let details = format!("{}; {}", "found ".repeat(200), "mend ".repeat(200));
        let problem = Problem { topic: Topic::Clock, title: "the clock".into(), details: details.clone() };
        let shown = notice(0, &of_problem(problem)).into_string();
        let (summary, rest) = shown.split_once("</summary>").unwrap();
        assert!(summary.contains("The clock: found"), "{summary}");
        assert!(summary.len() < 3 * LINE && rest.contains(&details[1..]), "{shown}");
    }

    #[test]
    fn many_problems_are_counted_and_folded() {
        let problem =
            |number: usize| Problem { topic: Topic::Clock, title: format!("p{number}."), details: "x".into() };
        let all = Attention((0..30).map(problem).map(of_problem).collect());
        let shown = all.list().into_string();
        let (seen, folded) = shown.split_once("25 more problems").unwrap();
        assert_eq!(
            (seen.matches("<details class=\"notice").count(), folded.matches("<details").count()),
            (5, 19),
            "{shown}"
        );
        assert!(folded.contains("and 6 more"), "{shown}");
    }
}
