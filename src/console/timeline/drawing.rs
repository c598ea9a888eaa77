//! The story of a value as a picture and as a table.
//!
//! Each network has a row: its name, its queries on an axis of time, and what it got in words. Names and words are text that
//! wraps. The axes alone are drawn (SVG), with lengths in percent of the width, so that letters keep their size and nothing is
//! cut off, on a phone or on a wide screen.

use maud::{Markup, html};

use crate::querylog::verdict::VerdictCode;

use super::super::page::Tone;
use super::axis::{Axis, offset, span};
use super::{Got, Lane, Mark, ValueStory};

/// The most networks that are drawn.
const MAX_LANES: usize = 12;
/// The most queries that are drawn of one network.
const MAX_MARKS: usize = 5;
/// The most rows of the table.
const MAX_ROWS: usize = 24;
/// The networks that a sentence names.
const MAX_NAMED: usize = 6;

// In pixels.
const LANE: usize = 26;
const NAMES: usize = 18;
const TICKS: usize = 22;
/// What the names of the first and of the last line take up of the narrowest plot, in percent.
const FIRST_NAME: f64 = 25.0;
const BOTH_NAMES: f64 = 45.0;

/// What the plots of a picture share.
struct Plot {
    axis: Axis,
    /// The publication, and the retirement or now, in percent.
    from: f64,
    to: f64,
    is_retired: bool,
}

impl Plot {
    fn of(story: &ValueStory<'_>, lanes: &[&Lane]) -> Self {
        let end = end_of(story);
        let before = lanes.iter().flat_map(|lane| lane.marks.first()).map(|mark| mark.offset).min().unwrap_or(0).min(0);
        let last = story.lanes.iter().flat_map(|lane| &lane.marks).map(|mark| mark.offset).max().unwrap_or(0).max(end);
        let axis = Axis::new(before.unsigned_abs(), last.unsigned_abs());
        Self { axis, from: axis.x(0), to: axis.x(end), is_retired: story.retired.is_some() }
    }

    /// The names of the two lines: the place in percent, the text, and which end of it stands there. The names of lines that
    /// are close together are one.
    fn names(&self) -> Vec<(f64, &'static str, &'static str)> {
        if self.to - self.from < BOTH_NAMES {
            let name = if self.is_retired { "published, retired" } else { "published" };
            return vec![(self.from, name, if self.from <= 50.0 { "start" } else { "end" })];
        }
        let first = (self.from, "published", if self.from <= FIRST_NAME { "start" } else { "end" });
        vec![first, (self.to, if self.is_retired { "retired" } else { "now" }, "end")]
    }

    fn head(&self) -> Markup {
        html! {
            div.lines { svg.plot height=(NAMES) {
                @for (x, name, anchor) in self.names() {
                    text x=(percent(x)) y="13" text-anchor=(anchor) { (name) }
                }
            } }
        }
    }

    fn ticks(&self) -> Markup {
        html! {
            div.ticks {
                svg.plot height=(TICKS) {
                    line x1="0" x2="100%" y1="0.5" y2="0.5" {}
                    @for tick in self.axis.ticks() {
                        line x1=(percent(tick.x)) x2=(percent(tick.x)) y1="0" y2="5" {}
                        text x=(percent(tick.x)) y="17" text-anchor="middle" { (tick.label) }
                    }
                }
                @if !self.axis.is_linear() { span.words { "logarithmic" } }
            }
        }
    }

    fn row(&self, lane: &Lane) -> Markup {
        html! {
            div.lane.(lane.tone().class()) {
                span.network { (lane.network) " "
                    span.over { @if lane.is_own { "this server" } @else { (lane.transports()) } } }
                svg.plot height=(LANE) {
                    rect.served x=(percent(self.from)) width=(percent((self.to - self.from).max(0.5))) height="100%" {}
                    line.path x1="0" x2="100%" y1=(LANE / 2) y2=(LANE / 2) {}
                    (edge(self.from))
                    @if self.is_retired { (edge(self.to)) }
                    @for mark in lane.marks.iter().take(MAX_MARKS) { (shape(mark, self.axis.x(mark.offset))) }
                }
                span.words {
                    span aria-hidden="true" { (lane.tone().sign()) " " }
                    (lane.words())
                    @if lane.marks.len() > MAX_MARKS { ", " (lane.marks.len() - MAX_MARKS) " more" }
                }
            }
        }
    }
}

/// The picture.
pub fn picture(story: &ValueStory<'_>) -> Markup {
    let lanes = drawn(&story.lanes);
    let plot = Plot::of(story, &lanes);
    html! {
        div.timeline.(story.tone().class()) role="img" aria-label=(description(story)) {
            (plot.head())
            @for lane in &lanes { (plot.row(lane)) }
            @if lanes.is_empty() { p.hint { "No query is on record." } }
            (plot.ticks())
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

/// The networks that did not ask, in words. Where nothing else is wrong, the verdict says so itself.
pub fn silent(story: &ValueStory<'_>) -> Option<Markup> {
    let silent = story.silent();
    if silent.is_empty() || story.code() == Some(VerdictCode::VantageMissing) {
        return None;
    }
    let named: Vec<String> = silent.iter().take(MAX_NAMED).map(ToString::to_string).collect();
    let more = silent.len().saturating_sub(MAX_NAMED);
    Some(html! {
        @if silent.len() == 1 { "1 network" } @else { (silent.len()) " networks" }
        " asked for an earlier value, and did not ask for this one: " span.mono { (named.join(", ")) }
        @if more > 0 { " and " (more) " more" } "."
    })
}

fn edge(x: f64) -> Markup {
    html! { line.edge x1=(percent(x)) x2=(percent(x)) y1="0" y2="100%" {} }
}

/// The sign of a query: its shape says what it got.
fn shape(mark: &Mark, x: f64) -> Markup {
    let title = html! { title { (offset(mark.offset)) " over " (mark.transport) ": " (mark.words) } };
    let (is_hollow, path) = match mark.got {
        Got::Value => (false, "M-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0 -11 0z"),
        Got::Nothing => (true, "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z"),
        Got::Other => (false, "M0 -6l6 6l-6 6l-6 -6z"),
        Got::Truncated => (false, "M0 -6l6 10h-12z"),
        Got::Refused => (true, "M-5 -5l10 10m0 -10l-10 10"),
        Got::Elsewhere => (true, "M0 -4v8"),
    };
    // An SVG within has a place in percent and a path in pixels.
    html! {
        svg.mark.(mark.tone.class()) x=(percent(x)) y=(LANE / 2) { (title) path.hollow[is_hollow] d=(path) {} }
    }
}

/// A length with one digit behind the point.
fn percent(length: f64) -> String {
    format!("{length:.1}%")
}

/// The picture in sentences.
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
        "{}: the value {}. Published at {}, {end}. {asked} networks asked, {good} of them got this value.{verdict} The table \
         below has each query.",
        story.word(),
        story.txt,
        story.published
    )
}

/// The same as a table, for those who do not see the picture.
pub fn table(story: &ValueStory<'_>) -> Markup {
    let mut rows: Vec<(&Lane, &Mark)> =
        story.lanes.iter().flat_map(|lane| lane.marks.iter().map(move |mark| (lane, mark))).collect();
    rows.sort_by_key(|(_, mark)| mark.at);
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
                    @for lane in story.lanes.iter().filter(|lane| lane.marks.is_empty()).take(MAX_LANES) {
                        tr { td { "\u{2013}" } td { (lane.network) } td { "\u{2013}" } td { (lane.tone().sign()) " " (lane.words()) } }
                    }
                    @if let Some(retired) = story.retired {
                        tr { td { time datetime=(retired) { (retired) } } td colspan="3" { "retired" } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The narrowest plot, on a phone 390 pixels wide, and the room at each of its ends.
    const NARROWEST: f64 = 250.0;
    const ROOM: f64 = 28.0;
    /// The width of a letter, rather more than less: of the names, which are bold, and of the ticks.
    const BOLD: f64 = 6.2;
    const LETTER: f64 = 5.8;

    /// From where to where a text reaches, in pixels.
    fn extent(x: f64, text: &str, anchor: &str, letter: f64) -> (f64, f64) {
        let (at, width) = (x / 100.0 * NARROWEST, text.chars().count() as f64 * letter);
        match anchor {
            "start" => (at, at + width),
            "end" => (at - width, at),
            _ => (at - width / 2.0, at + width / 2.0),
        }
    }

    fn assert_apart(mut extents: Vec<(f64, f64)>, what: &str) {
        extents.sort_by(|one, other| one.0.total_cmp(&other.0));
        let is_within = extents.iter().all(|(from, to)| *from >= -ROOM && *to <= NARROWEST + ROOM);
        let are_apart = extents.windows(2).all(|pair| pair[1].0 >= pair[0].1);
        assert!(is_within && are_apart, "{what}: {extents:?}");
    }

    #[test]
    fn the_names_of_the_lines_neither_overlap_nor_reach_beyond_the_plot() {
        for from in 0..=100 {
            for to in from..=100 {
                for is_retired in [true, false] {
                    let (from, to) = (f64::from(from), f64::from(to));
                    let plot = Plot { axis: Axis::new(0, 1), from, to, is_retired };
                    let names = plot.names();
                    let extents = names.iter().map(|(x, name, anchor)| extent(*x, name, anchor, BOLD)).collect();
                    assert_apart(extents, &format!("{from} to {to}"));
                    let text: String = names.iter().map(|(_, name, _)| *name).collect();
                    assert!(text.contains("published") && text.contains("retired") == is_retired, "{text}");
                }
            }
        }
    }

    #[test]
    fn the_labels_of_the_ticks_neither_overlap_nor_reach_beyond_the_plot() {
        let spans = [0, 400, 1_500, 9_000, 19_000, 21_000, 70_000, 900_000, 7_000_000, 90_000_000, 900_000_000];
        for before in spans {
            for after in spans {
                let ticks = Axis::new(before, after).ticks();
                let extents = ticks.iter().map(|tick| extent(tick.x, &tick.label, "middle", LETTER)).collect();
                assert_apart(extents, &format!("{before} before and {after} after"));
            }
        }
    }
}
