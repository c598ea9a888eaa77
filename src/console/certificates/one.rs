//! One certificate.

use axum::extract::{Path, State};
use axum::response::Html;
use maud::{Markup, html};

use crate::api::types::certificates::ManagedCertificateView;
use crate::certificates::progress::{NameProgress, NameState};
use crate::model::name::idn::both_ways;

use super::super::error::PageError;
use super::super::overview::certificates::condition;
use super::super::page::{Page, Section, Tone, badge, button, copyable, prose, shortened, time, time_or};
use super::super::signed_in::SignedIn;
use super::super::state::Shared;
use super::common::{may_change, path, why};

/// The names of a certificate that the page shows.
const NAMES: usize = 40;
/// The records to add, and the names left out, that the page shows.
const MISSING: usize = 10;
const LACKING: usize = 20;
/// The most characters of the problem of the certificate, and of one name.
const PROBLEM: usize = 4_000;
const NAME_PROBLEM: usize = 300;

/// Shows a certificate.
pub async fn show(
    State(console): State<Shared>,
    signed_in: SignedIn,
    Path(name): Path<String>,
) -> Result<Html<String>, PageError> {
    let view: ManagedCertificateView = console.admin.get(&signed_in, &path(&name)).await?;
    let content = html! {
        p { a href="/certificates" { "All certificates" } }
        div #condition data-live { (conditions(&view)) }
        @if may_change(&signed_in) { (actions(&signed_in, &view)) }
        h2 { "Names" }
        div #names data-live { (names(&view)) }
        h2 { "Certificate" }
        div.panel #facts data-live { (facts(&view)) }
    };
    let title = both_ways(&view.name);
    let live = format!("{}/events", path(&name));
    let page =
        Page { title: &title, section: Section::Certificates, signed_in: &signed_in, live: Some(&live), content };
    Ok(page.render())
}

fn conditions(view: &ManagedCertificateView) -> Markup {
    let report = &view.report;
    html! {
        p { (condition(view)) " "
            @match &report.stage {
                Some(stage) => { (stage) }
                None if view.asked => { "another certificate is asked for" }
                None => {}
            }
        }
        @if let Some(problem) = &report.attempts.problem {
            div.notice.bad {
                h2 { span aria-hidden="true" { "✗ " } "The last attempt has failed"
                    @if report.attempts.failures > 1 { ", " (report.attempts.failures) " in a row" } }
                p { (prose(&shortened(problem, PROBLEM))) }
                @if let Some(next) = &report.attempts.next_attempt { p { "The next attempt begins " (time(next)) "." } }
            }
        }
        @for lacking in report.lacking.iter().take(LACKING) {
            p.notice.warning { (badge(Tone::Warning, "left out")) " " (both_ways(&lacking.name)) ": " (prose(&shortened(&lacking.problem, NAME_PROBLEM))) }
        }
        @for missing in report.missing.iter().take(MISSING) {
            div.notice.warning {
                h2 { span aria-hidden="true" { "! " } "Add a record for " (both_ways(&missing.needed.name)) }
                p { "Found: " (missing.found) ". One of these records is enough:" }
                @for record in missing.needed.records() { (copyable("the record", &record)) }
            }
        }
    }
}

fn actions(signed_in: &SignedIn, view: &ManagedCertificateView) -> Markup {
    html! {
        div.actions {
            (button(signed_in, &format!("{}/renew", path(&view.name)), "Renew now", "", None))
            @if view.report.shown.is_some() && !view.report.revoked {
                a.button.quiet href={ (path(&view.name)) "/revoke" } { "Revoke\u{2026}" }
            }
        }
    }
}

/// The names with their progress, those first that are not proven.
fn names(view: &ManagedCertificateView) -> Markup {
    let step = |name: &String| view.progress.iter().find(|step| step.name.eq_ignore_ascii_case(name));
    let mut names: Vec<(&String, Option<&NameProgress>)> = view.names.iter().map(|name| (name, step(name))).collect();
    names.sort_by_key(|(_, step)| step.is_none_or(|step| step.state == NameState::Proven));
    html! {
        div.scroll tabindex="0" role="region" aria-label="Names" {
            table.compact {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Progress" } th scope="col" { "Why" } } }
                tbody {
                    @for (name, step) in names.iter().take(NAMES) {
                        tr {
                            th.row scope="row" { (both_ways(name)) }
                            td { @match step { Some(step) => (progress(step)), None => span.dim { "nothing under way" } } }
                            td.wide { @if let Some(problem) = step.and_then(|step| step.problem.as_ref()) {
                                (prose(&shortened(problem, NAME_PROBLEM))) } }
                        }
                    }
                }
            }
        }
        @if names.len() > NAMES {
            p.hint { "and " (names.len() - NAMES) " more; " code { "txtgate cert show --json" } " shows all" }
        }
    }
}

fn progress(step: &NameProgress) -> Markup {
    let tone = match step.state {
        NameState::Proven => Tone::Good,
        NameState::Failed => Tone::Bad,
        NameState::RecordMissing => Tone::Warning,
        _ => Tone::Neutral,
    };
    badge(tone, &step.state.to_string())
}

fn facts(view: &ManagedCertificateView) -> Markup {
    let report = &view.report;
    html! {
        dl.facts {
            @match &report.shown {
                None => { dt { "Issued" } dd { "not yet" } }
                Some(shown) => {
                    dt { "Ends" } dd { (time(&shown.not_after.to_string())) span.dim { ", " (shown.not_after) } }
                    dt { "Renewed" } dd {
                        @if report.revoked { "not any more: it is revoked" }
                        @else {
                            (time_or(report.renew_at.as_deref(), "not yet known"))
                            @if let Some(at) = &report.renew_at { span.dim { ", " (at) ", " (why(report.renewal_basis)) } }
                        }
                    }
                    dt { "Issued" } dd { (time(&shown.not_before.to_string())) }
                    dt { "Issuer" } dd { (shown.issuer) }
                    dt { "Serial" } dd.mono { (shown.serial) }
                    dt { "SHA-256" } dd.mono { (shown.sha256) }
                }
            }
            dt { "Files" } dd.mono { (view.live.display()) }
            dt { "From" } dd { @if view.configured { "the configuration" } @else { code { "txtgate cert issue" } } }
            @if let Some(hook) = &report.hook {
                dt { "Deploy hook" } dd {
                    (badge(if hook.success { Tone::Good } else { Tone::Bad }, &hook.ended)) " " (time(&hook.at))
                    @if !hook.output.trim().is_empty() { pre.output tabindex="0" aria-label="What it printed" { (shortened(hook.output.trim(), PROBLEM)) } }
                }
            }
            @if let Some(caa) = &report.caa { dt { "CAA record" } dd { (copyable("the CAA record", caa)) } }
        }
    }
}
