//! The time axis of a drawing: linear for seconds, and logarithmic around the publication for anything longer, so that
//! milliseconds and hours have room beside each other.

/// The longest linear axis, in milliseconds.
const LINEAR: u64 = 20_000;
/// Below this distance from the publication a logarithmic axis is linear, in milliseconds.
const NEAR: f64 = 500.0;
/// The most ticks of a linear axis.
const MAX_TICKS: u64 = 4;
/// The least distance between the labels of two ticks, in percent of the axis: on the narrowest plot the longest label, like
/// `+10 days`, is as wide.
const LABEL_WIDTH: f64 = 16.0;
/// The distances that have ticks on a logarithmic axis, in milliseconds.
const DISTANCES: [(u64, &str); 8] = [
    (1_000, "1 s"),
    (10_000, "10 s"),
    (60_000, "1 min"),
    (600_000, "10 min"),
    (3_600_000, "1 h"),
    (36_000_000, "10 h"),
    (86_400_000, "1 day"),
    (864_000_000, "10 days"),
];

/// An axis from `before` milliseconds before the publication to `after` milliseconds after it.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    before: u64,
    after: u64,
}

/// A labelled place, in percent of the axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    pub x: f64,
    pub label: String,
}

impl Axis {
    /// An axis for these times. Nothing is shorter than a second.
    pub fn new(before: u64, after: u64) -> Self {
        Self { before, after: after.max(1_000) }
    }

    /// Whether equal lengths are equal times.
    pub fn is_linear(&self) -> bool {
        self.before.saturating_add(self.after) <= LINEAR
    }

    /// The place of a time in milliseconds after the publication, in percent of the axis; times outside stand at the ends.
    pub fn x(&self, millis: i64) -> f64 {
        let (first, last) = (self.scaled(-signed(self.before)), self.scaled(signed(self.after)));
        let share = (self.scaled(millis) - first) / (last - first);
        share.clamp(0.0, 1.0) * 100.0
    }

    fn scaled(&self, millis: i64) -> f64 {
        let distance = millis.unsigned_abs() as f64;
        let scaled = if self.is_linear() { distance } else { (1.0 + distance / NEAR).ln() };
        if millis < 0 { -scaled } else { scaled }
    }

    /// The ticks, with room for their labels. The publication has none: the drawing marks it.
    pub fn ticks(&self) -> Vec<Tick> {
        let candidates = if self.is_linear() { self.linear_ticks() } else { self.logarithmic_ticks() };
        let mut ticks: Vec<Tick> = Vec::new();
        let zero = self.x(0);
        for tick in candidates {
            let is_free = ticks.last().is_none_or(|last| tick.x - last.x >= LABEL_WIDTH);
            if is_free && (tick.x - zero).abs() >= LABEL_WIDTH / 2.0 {
                ticks.push(tick);
            }
        }
        ticks
    }

    fn linear_ticks(&self) -> Vec<Tick> {
        let span = self.before + self.after;
        let steps = [100, 200, 500, 1_000, 2_000, 5_000];
        let step = steps.into_iter().find(|step| span / step <= MAX_TICKS).unwrap_or(5_000);
        let first = -signed(self.before / step);
        let last = signed(self.after / step);
        let tick = |count: i64| {
            let millis = count * signed(step);
            Tick { x: self.x(millis), label: offset(millis) }
        };
        (first..=last).filter(|count| *count != 0).map(tick).collect()
    }

    fn logarithmic_ticks(&self) -> Vec<Tick> {
        let earlier = DISTANCES.iter().rev().filter(|(distance, _)| *distance <= self.before);
        let later = DISTANCES.iter().filter(|(distance, _)| *distance <= self.after);
        let earlier =
            earlier.map(|(distance, label)| Tick { x: self.x(-signed(*distance)), label: format!("\u{2212}{label}") });
        let later = later.map(|(distance, label)| Tick { x: self.x(signed(*distance)), label: format!("+{label}") });
        earlier.chain(later).collect()
    }
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// A time beside the publication: `+340 ms`, `+1.5 s`, `−2 min`, `+3 h`.
pub fn offset(millis: i64) -> String {
    let sign = if millis < 0 { '\u{2212}' } else { '+' };
    format!("{sign}{}", span(millis.unsigned_abs()))
}

/// A span: `340 ms`, `1.5 s`, `2 min`, `3 h`, `4 days`.
pub fn span(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 if millis % 1_000 < 50 || millis >= 10_000 => format!("{} s", millis / 1_000),
        1_000..60_000 => format!("{:.1} s", millis as f64 / 1_000.0),
        60_000..7_200_000 => format!("{} min", millis / 60_000),
        7_200_000..172_800_000 => format!("{} h", millis / 3_600_000),
        _ => format!("{} days", millis / 86_400_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(before: u64, after: u64) -> Vec<String> {
        Axis::new(before, after).ticks().into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn seconds_are_linear_and_hours_leave_room_for_milliseconds() {
        assert_eq!(labels(0, 3_000), ["+1 s", "+2 s", "+3 s"]);
        assert_eq!(labels(2_000, 4_000), ["−2 s", "+2 s", "+4 s"]);
        let hours = Axis::new(0, 6 * 3_600_000);
        assert!(!hours.is_linear());
        assert!(hours.x(300) > 2.5, "300 ms are seen: {}", hours.x(300));
        assert!(hours.x(1_000) - hours.x(300) > 2.5);
        assert_eq!(labels(0, 6 * 3_600_000), ["+1 s", "+10 s", "+1 min", "+10 min", "+1 h"]);
    }

    #[test]
    fn each_time_has_a_place_on_the_axis() {
        for (before, after) in [(0, 0), (0, 1), (u64::MAX, u64::MAX), (3_600_000, 10)] {
            let axis = Axis::new(before, after);
            let mut last = 0.0;
            for millis in [i64::MIN, -3_600_000, -1, 0, 1, 999, 1_000, 86_400_000, i64::MAX] {
                let x = axis.x(millis);
                assert!((0.0..=100.0).contains(&x) && x >= last, "{before} {after} {millis}: {x}");
                last = x;
            }
            let ticks = axis.ticks();
            let apart = ticks.windows(2).all(|pair| pair[1].x - pair[0].x >= LABEL_WIDTH);
            assert!(apart && ticks.iter().all(|tick| (0.0..=100.0).contains(&tick.x)), "{before} {after}: {ticks:?}");
        }
    }

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_040, "1 s"),
            (1_500, "1.5 s"),
            (59_999, "59 s"),
            (61_000, "1 min"),
            (7_200_000, "2 h"),
            (172_800_000, "2 days"),
        ] {
            assert_eq!(span(millis), text);
        }
    }
}
