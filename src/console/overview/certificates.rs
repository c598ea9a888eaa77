//! Certificates by expiry.

use maud::{Markup, html};

use crate::acme::certificate::CertificateInfo;
use crate::api::types::certificates::ManagedCertificateView;
use crate::api::types::status::Status;
use crate::certificates::managed::report::Condition;
use crate::model::name::idn::both_ways;
use crate::model::time::Timestamp;

use super::super::page::{Tone, badge, encoded, time, time_or};

/// The certificates that are listed.
const MOST: usize = 6;

struct Row<'a> {
    title: Markup,
    ends: Option<Timestamp>,
    renewed: Option<&'a str>,
    condition: Markup,
}

/// Those that end first, the API's included.
pub fn table(status: &Status, managed: &[ManagedCertificateView]) -> Markup {
    let end = |info: &CertificateInfo| info.not_after;
    let api = status.certificates.as_ref().and_then(|own| own.api.as_ref()).map(|report| Row {
        title: html! { "of the API" },
        ends: report.shown.as_ref().map(end),
        renewed: report.renew_at.as_deref(),
        condition: match (&report.attempts.problem, report.self_signed) {
            (Some(_), _) => badge(Tone::Bad, "failed"),
            (None, true) => badge(Tone::Warning, "self-signed"),
            (None, false) => badge(Tone::Good, "well"),
        },
    });
    let managed = managed.iter().map(|view| Row {
        title: html! { a href={ "/certificates/" (encoded(&view.name)) } { (both_ways(&view.name)) } },
        ends: view.report.shown.as_ref().map(end),
        renewed: view.report.renew_at.as_deref(),
        condition: condition(view),
    });
    let mut rows: Vec<Row<'_>> = api.into_iter().chain(managed).collect();
    rows.sort_by_key(|row| row.ends);
    if rows.is_empty() {
        return html! { p.dim { "None yet; " code { "txtgate cert issue NAME..." } " gets one." } };
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Certificates by expiry" {
            table.compact {
                thead { tr { th scope="col" { "Certificate" } th scope="col" { "Ends" } th scope="col" { "Renewed" }
                    th scope="col" { "State" } } }
                tbody {
                    @for row in rows.iter().take(MOST) {
                        tr {
                            td { (row.title) }
                            td { @match row.ends { Some(at) => (time(&at.to_string())), None => span.dim { "not issued" } } }
                            td { (time_or(row.renewed, "-")) }
                            td { (row.condition) }
                        }
                    }
                }
            }
        }
        @if rows.len() > MOST { p { a href="/certificates" { "All " (rows.len()) " certificates" } } }
    }
}

/// The condition of a certificate as a badge.
pub fn condition(view: &ManagedCertificateView) -> Markup {
    let condition = view.condition();
    let tone = match condition {
        Condition::Well => Tone::Good,
        Condition::Failed(_) => Tone::Bad,
        Condition::Revoked | Condition::Without(_) => Tone::Warning,
        Condition::Working(_) | Condition::Waiting => Tone::Neutral,
    };
    let word = match condition {
        // The stage is a sentence, and stands on the certificate's page.
        Condition::Working(_) => "under way".to_owned(),
        other => other.to_string(),
    };
    badge(tone, &word)
}
