//! The zones, and the machines that serve them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use maud::{Markup, html};

use crate::api::types::status::Status;
use crate::model::name::idn::both_ways;
use crate::model::time::relative::span;
use crate::replication::SecondaryReport;

use super::super::page::{Tone, badge};
use super::attention::Attention;

/// The zones, and the addresses of secondaries, that are listed.
const MOST: usize = 20;

/// The zones.
pub fn zones(status: &Status) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Zones" {
            table.compact {
                thead { tr { th scope="col" { "Zone" } th.number scope="col" { "Serial" } th scope="col" { "DNSSEC" } } }
                tbody {
                    @for zone in status.zones.iter().take(MOST) {
                        tr {
                            td { (both_ways(&zone.name.to_string())) }
                            td.number { (zone.serial) }
                            td { @if zone.signed { (badge(Tone::Good, "signed")) } @else { (badge(Tone::Neutral, "unsigned")) } }
                        }
                    }
                }
            }
        }
        @if status.zones.len() > MOST { p.hint { "and " (status.zones.len() - MOST) " more; " code { "txtgate status" } " lists them" } }
    }
}

/// This machine and its secondaries, with what each listens on.
pub fn nodes(status: &Status, attention: &Attention) -> Markup {
    let mut secondaries: BTreeMap<(&str, SocketAddr), Vec<&SecondaryReport>> = BTreeMap::new();
    for report in &status.secondaries {
        secondaries.entry((&report.secondary, report.address)).or_default().push(report);
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Nodes" {
            table.compact {
                thead { tr { th scope="col" { "Node" } th scope="col" { "Up for" } th scope="col" { "State" }
                    th scope="col" { "Listens on" } } }
                tbody {
                    tr {
                        td { "this one, " span.whole { "txtgate " (status.version) } }
                        td { (status.uptime_seconds.map(span).unwrap_or_default()) }
                        td { (attention.badge()) }
                        td { @for (index, listener) in status.listeners.iter().enumerate() {
                            @if index > 0 { ", " } code.whole { (listener) } } }
                    }
                    @for ((name, address), zones) in secondaries.iter().take(MOST) {
                        tr {
                            td { "secondary " (name) }
                            td { "-" }
                            td { (state(zones)) }
                            td { code.whole { (address) } }
                        }
                    }
                }
            }
        }
        @if secondaries.len() > MOST { p.hint { "and " (secondaries.len() - MOST) " more; " code { "txtgate status" } " lists them" } }
    }
}

/// Whether a secondary has the zones as they are.
fn state(zones: &[&SecondaryReport]) -> Markup {
    let behind = zones.iter().filter(|report| !report.current).count();
    match (behind, zones.iter().any(|report| report.problem.is_some())) {
        (_, true) => badge(Tone::Bad, "has a problem"),
        (0, false) => badge(Tone::Good, "up to date"),
        (1, false) => badge(Tone::Neutral, "1 zone is behind"),
        (count, false) => badge(Tone::Neutral, &format!("{count} zones are behind")),
    }
}
