//! A small chart of the last hour.

use maud::{Markup, html};

/// The height of the chart in its own units; each minute is [`STEP`] wide.
const HEIGHT: u64 = 40;
const STEP: usize = 4;

/// A bar for each minute, and the same in words.
pub fn sparkline(what: &str, by_minute: &[u64]) -> Markup {
    let total: u64 = by_minute.iter().sum();
    let most = by_minute.iter().copied().max().unwrap_or_default();
    let words = match total {
        0 => format!("no {what} in the last hour"),
        _ => format!("{total} {what} in the last hour, at most {most} in a minute"),
    };
    let width = by_minute.len() * STEP;
    html! {
        svg.sparkline viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(words) {
            @for (minute, count) in by_minute.iter().enumerate() {
                @if *count > 0 {
                    @let height = (count.saturating_mul(HEIGHT - 2) / most.max(1)).max(2);
                    rect x=(minute * STEP) y=(HEIGHT - height) width=(STEP - 1) height=(height) {}
                }
            }
            line x1="0" y1=(HEIGHT) x2=(width) y2=(HEIGHT) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_says_in_words_what_it_shows_and_stays_in_its_frame() {
        let text = sparkline("queries", &[0, u64::MAX / 2, 1]).into_string();
        assert!(text.contains("in the last hour, at most 9223372036854775807 in a minute"), "{text}");
        assert_eq!(text.matches("<rect").count(), 2);
        assert!(sparkline("updates", &[0, 0]).into_string().contains("no updates in the last hour"));
        assert!(sparkline("queries", &[3]).into_string().contains(r#"y="2" width="3" height="38""#));
    }
}
