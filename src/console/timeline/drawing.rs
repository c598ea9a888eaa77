//! The story of a value as a picture (SVG) and as a table.

use maud::{Markup, html};

use super::super::page::Tone;
use super::axis::{Axis, offset, span};
use super::{Got, Lane, Mark, ValueStory};

/// The most networks that are drawn.
const MAX_LANES: usize = 12;
/// The most queries that are drawn of one network.
const MAX_MARKS: usize = 6;
/// The most rows of the table.
const MAX_ROWS: usize = 24;

// Lengths in units of the drawing, which are pixels at its usual size.
const WIDTH: usize = 880;
const LABELS: f64 = 200.0;
const PLOT: f64 = 420.0;
/// Where the words behind a lane begin.
const WORDS: f64 = LABELS + PLOT + 20.0;
/// The room above the lanes, for the names of the lines.
const TOP: usize = 26;
const LANE: usize = 26;
/// The room below the lanes, for the ticks.
const BOTTOM: usize = 30;
/// The distance at which the words of two lines would overlap.
const NAMES_APART: f64 = 70.0;

/// The picture. `id` is unique in the page.
pub fn picture(story: &ValueStory<'_>, id: &str) -> Markup {
    let lanes = drawn(&story.lanes);
    let (published, end) = (0, end_of(story));
    let before = lanes.iter().flat_map(|lane| lane.marks.first()).map(|mark| mark.offset).min().unwrap_or(0).min(0);
    let last = story.lanes.iter().flat_map(|lane| &lane.marks).map(|mark| mark.offset).max().unwrap_or(0).max(end);
    let axis = Axis::new(before.unsigned_abs(), last.unsigned_abs(), LABELS, PLOT);
    let bottom = TOP + LANE * lanes.len().max(1);
    let height = bottom + BOTTOM;
    let (from, to) = (axis.x(published), axis.x(end));
    let tone = story.tone();
    html! {
        svg.timeline.(tone.class()) viewBox={ "0 0 " (WIDTH) " " (height) } role="img"
            aria-labelledby={ (id) "-title " (id) "-desc" } {
            title id={ (id) "-title" } { (story.word()) ": the value " (story.txt) }
            desc id={ (id) "-desc" } { (description(story)) }
            rect.served x=(one(from)) y=(TOP) width=(one((to - from).max(2.0))) height=(bottom - TOP) {}
            (vertical(from, bottom, "published", "end"))
            @if to - from >= NAMES_APART || story.retired.is_some() {
                (vertical(to, bottom, if story.retired.is_some() { "retired" } else { "now" }, "start"))
            }
            @for (place, lane) in lanes.iter().enumerate() { (row(lane, place, &axis)) }
            @if lanes.is_empty() {
                text.dim x=(one(LABELS + 12.0)) y=(TOP + 17) { "no query is on record" }
            }
            line.axis x1=(one(LABELS)) x2=(one(LABELS + PLOT)) y1=(bottom) y2=(bottom) {}
            @for tick in axis.ticks() {
                line.axis x1=(one(tick.x)) x2=(one(tick.x)) y1=(bottom) y2=(bottom + 5) {}
                text.tick x=(one(tick.x)) y=(bottom + 18) text-anchor="middle" { (tick.label) }
            }
            @if !axis.is_linear() {
                text.tick x=(one(WORDS)) y=(bottom + 18) { "logarithmic" }
            }
        }
    }
}

/// Milliseconds from the publication to the retirement, or to now.
fn end_of(story: &ValueStory<'_>) -> i64 {
    let end = story.retired.unwrap_or(story.now);
    i64::try_from(end.since(story.published).as_millis()).unwrap_or(i64::MAX)
}

/// The lanes that have room: those that show a problem first, and each in its order.
fn drawn(lanes: &[Lane]) -> Vec<&Lane> {
    let mut places: Vec<usize> = (0..lanes.len()).collect();
    places.sort_by_key(|place| match lanes[*place].tone() {
        Tone::Bad => 0,
        Tone::Warning => 1,
        Tone::Good => 2,
        Tone::Neutral => 3,
    });
    places.truncate(MAX_LANES);
    places.sort_unstable();
    places.into_iter().map(|place| &lanes[place]).collect()
}

/// The networks that are not drawn, in words.
pub fn left_out(story: &ValueStory<'_>) -> Option<String> {
    let count = story.lanes.len().checked_sub(MAX_LANES).filter(|count| *count > 0)?;
    let good = story.lanes.iter().filter(|lane| lane.tone() == Tone::Good).count();
    let networks = if count == 1 { "network" } else { "networks" };
    Some(format!("and {count} more {networks}; {good} of {} got this value", story.lanes.len()))
}

fn vertical(x: f64, bottom: usize, name: &str, side: &str) -> Markup {
    let shift = if side == "end" { 3.0 } else { -3.0 };
    html! {
        line.edge x1=(one(x)) x2=(one(x)) y1=(TOP - 6) y2=(bottom) {}
        text.edge x=(one(x + shift)) y=(TOP - 11) text-anchor=(side) { (name) }
    }
}

fn row(lane: &Lane, place: usize, axis: &Axis) -> Markup {
    let y = (TOP + LANE * place + LANE / 2) as f64;
    let network = lane.network.to_string();
    html! {
        g.lane.(lane.tone().class()) {
            line.path x1=(one(LABELS)) x2=(one(LABELS + PLOT)) y1=(one(y)) y2=(one(y)) {}
            text.network x="0" y=(one(y + 4.0)) { (network) }
            text.tick x=(one(LABELS - 10.0)) y=(one(y + 4.0)) text-anchor="end" {
                @if lane.is_own { "itself" } @else { (lane.transports()) }
            }
            @for mark in lane.marks.iter().take(MAX_MARKS) { (shape(mark, axis.x(mark.offset), y)) }
            text.words x=(one(WORDS)) y=(one(y + 4.0)) {
                tspan.sign { (lane.tone().sign()) " " }
                (lane.words())
                @if lane.marks.len() > MAX_MARKS { ", " (lane.marks.len() - MAX_MARKS) " more" }
            }
        }
    }
}

/// The sign of a query: its shape says what it got.
fn shape(mark: &Mark, x: f64, y: f64) -> Markup {
    let path = match mark.got {
        Got::Value => None,
        Got::Nothing => Some((true, circle(x, y, 5.0))),
        Got::Other => Some((false, format!("M{} {}l6 6l-6 6l-6 -6z", one(x), one(y - 6.0)))),
        Got::Truncated => Some((false, format!("M{} {}l6 10h-12z", one(x), one(y - 6.0)))),
        Got::Refused => Some((true, format!("M{} {}l10 10m0 -10l-10 10", one(x - 5.0), one(y - 5.0)))),
        Got::Elsewhere => Some((true, format!("M{} {}v8", one(x), one(y - 4.0)))),
    };
    html! {
        g.mark.(mark.tone.class()) {
            title { (offset(mark.offset)) " over " (mark.transport) ": " (mark.words) }
            @match path {
                None => circle cx=(one(x)) cy=(one(y)) r="5.5" {},
                Some((is_hollow, path)) => path.hollow[is_hollow] d=(path) {},
            }
        }
    }
}

fn circle(x: f64, y: f64, radius: f64) -> String {
    format!(
        "M{} {}a{radius} {radius} 0 1 0 {} 0a{radius} {radius} 0 1 0 -{} 0z",
        one(x - radius),
        one(y),
        2.0 * radius,
        2.0 * radius
    )
}

/// A coordinate with one digit behind the point.
fn one(length: f64) -> String {
    format!("{length:.1}")
}

/// The picture in a sentence or two.
fn description(story: &ValueStory<'_>) -> String {
    let end = span(end_of(story).unsigned_abs());
    let end = match story.retired {
        Some(_) => format!("retired {end} later"),
        None => format!("served for {end} until now"),
    };
    let asked = story.lanes.iter().filter(|lane| !lane.marks.is_empty()).count();
    let good = story.lanes.iter().filter(|lane| lane.tone() == Tone::Good).count();
    let verdict = story.verdict.map(|verdict| format!(" {}.", verdict.text)).unwrap_or_default();
    format!(
        "Published at {}, {end}. {asked} networks asked, {good} of them got this value.{verdict} The table below has each query.",
        story.published
    )
}

/// The same as a table, for those who do not see the picture.
pub fn table(story: &ValueStory<'_>) -> Markup {
    let mut rows: Vec<(&Lane, &Mark)> =
        story.lanes.iter().flat_map(|lane| lane.marks.iter().map(move |mark| (lane, mark))).collect();
    rows.sort_by_key(|(_, mark)| mark.at);
    let silent: Vec<String> =
        story.lanes.iter().filter(|lane| lane.marks.is_empty()).map(|lane| lane.network.to_string()).collect();
    html! {
        div.scroll tabindex="0" role="region" aria-label="Queries for the value" {
            table {
                thead { tr {
                    th scope="col" { "When" } th scope="col" { "Network" } th scope="col" { "Over" } th scope="col" { "What it got" }
                } }
                tbody {
                    tr { td { time datetime=(story.published) { (story.published) } } td colspan="3" { "published" } }
                    @for (lane, mark) in rows.iter().take(MAX_ROWS) {
                        tr {
                            td { time datetime=(mark.at) title=(mark.at) { (offset(mark.offset)) } }
                            td { (lane.network) @if lane.is_own { " (this server)" } }
                            td { (mark.transport) }
                            td { (mark.tone.sign()) " " (mark.words) @if mark.repeats > 0 { ", and " (mark.repeats) " times more" } }
                        }
                    }
                    @if rows.len() > MAX_ROWS {
                        tr { td colspan="4" { "and " (rows.len() - MAX_ROWS) " more queries; `txtgate queries` lists them" } }
                    }
                    @if let Some(retired) = story.retired {
                        tr { td { time datetime=(retired) { (retired) } } td colspan="3" { "retired" } }
                    }
                }
            }
        }
        @if !silent.is_empty() {
            p.hint { "Asked before, and not this time: " (silent.iter().take(MAX_LANES).cloned().collect::<Vec<_>>().join(", "))
                @if silent.len() > MAX_LANES { " and " (silent.len() - MAX_LANES) " more" } "." }
        }
    }
}
