//! What needs a person: problems with their mends, the worst first.

use maud::{Markup, html};

use crate::api::problems::{Problem, Topic, problems};
use crate::api::types::certificates::ManagedCertificateView;
use crate::api::types::doctor::{Report, ReportedFinding};
use crate::api::types::status::Status;
use crate::delegation::finding::Assessment;
use crate::notify::matter::MatterKind;

use super::super::page::{Tone, badge, capitalized, copyable, encoded, prose};

/// The most problems that are listed.
const MOST: usize = 12;

/// One problem.
#[derive(Debug)]
struct Item {
    tone: Tone,
    title: String,
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
        let mut items: Vec<Item> = known.chain(causes().map(of_finding)).chain(of_overdue(status)).collect();
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
        html! {
            @for item in self.0.iter().take(MOST) { (notice(item)) }
            @if self.0.len() > MOST {
                p.hint { "and " (self.0.len() - MOST) " more; " code { "txtgate status" } " and "
                    code { "txtgate doctor" } " show all of them" }
            }
        }
    }
}

fn notice(item: &Item) -> Markup {
    html! {
        div.notice.(item.tone.class()) {
            h3 { span aria-hidden="true" { (item.tone.sign()) " " } (capitalized(&item.title)) }
            p { (prose(&item.details))
                @if let Some((path, what)) = &item.link { " " a href=(path) { (what) } } }
            @for record in &item.records { (copyable("the record", record)) }
        }
    }
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
    Item { tone, title, details, records: Vec::new(), link }
}

fn of_finding(finding: &ReportedFinding) -> Item {
    let tone = if finding.assessment == Assessment::Fault { Tone::Bad } else { Tone::Warning };
    let details: Vec<&str> =
        [finding.meaning.as_str(), finding.mend.as_str()].into_iter().filter(|t| !t.is_empty()).collect();
    Item {
        tone,
        title: format!("{}: {}", finding.subject, finding.answer),
        details: details.join("; "),
        records: finding.records().collect(),
        link: Some(("/doctor".to_owned(), "The examination")),
    }
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
        details: "no renewal came in the usual time; look whether the client still runs".to_owned(),
        records: Vec::new(),
        link: Some(("/accounts?overdue=true".to_owned(), "Overdue accounts")),
    })
}
