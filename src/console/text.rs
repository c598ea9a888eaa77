//! Texts of the daemon, as pages show them.

use maud::{Markup, html};

/// The beginning of a long text.
pub fn shortened(text: &str, most: usize) -> String {
    let start: String = text.chars().take(most).collect();
    if start.len() < text.len() { start + "\u{2026}" } else { start }
}

/// A text with a capital letter, if it begins with a word.
fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    // A name keeps its letters: `a.example.com` is no sentence.
    let is_word = text.split_whitespace().next().is_some_and(|word| word.chars().all(|c| c.is_alphabetic()));
    match rest.next() {
        Some(first) if is_word => first.to_uppercase().chain(rest).collect(),
        _ => text.to_owned(),
    }
}

/// A text of the daemon, with what stands between backquotes as code.
pub fn prose(text: &str) -> Markup {
    let text = capitalized(text);
    let mut parts: Vec<&str> = text.split('`').collect();
    // A backquote without its other half is a character, unless the other half was cut off.
    let is_open = parts.len().is_multiple_of(2) && !text.ends_with('\u{2026}');
    let rest = if is_open { parts.pop() } else { None };
    html! {
        @for (index, part) in parts.iter().enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
        @if let Some(rest) = rest { "`" (rest) }
    }
}
