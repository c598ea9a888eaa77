//! Names with U-labels in zone files, which know ASCII alone.

use std::borrow::Cow;

use crate::model::name::idn::to_ascii;

/// The text with A-labels in place of U-labels. Quoted strings and comments are not names, and stay as they are.
pub fn with_a_labels(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let lines: Vec<String> = text.split('\n').map(line_with_a_labels).collect();
    Cow::Owned(lines.join("\n"))
}

fn line_with_a_labels(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let is_break = |c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | '"' | ';');
        let (word, after) = rest.split_at(rest.find(is_break).unwrap_or(rest.len()));
        out += &to_ascii(word).unwrap_or(Cow::Borrowed(word));
        let kept = match after.chars().next() {
            None => 0,
            Some(';') => after.len(),
            Some('"') => 1 + after[1..].find('"').map_or(after.len() - 1, |end| end + 1),
            Some(_) => 1,
        };
        out += &after[..kept];
        rest = &after[kept..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_converted_and_texts_are_not() {
        for (typed, expected) in [
            ("bücher A 192.0.2.1", "xn--bcher-kva A 192.0.2.1"),
            ("www CNAME bücher.example. ; für dich", "www CNAME xn--bcher-kva.example. ; für dich"),
            (
                "x TXT \"für dich\" bücher\n\ty MX ( 1\n bücher )",
                "x TXT \"für dich\" xn--bcher-kva\n\ty MX ( 1\n xn--bcher-kva )",
            ),
            ("x TXT \"für", "x TXT \"für"),
            ("www A 192.0.2.1", "www A 192.0.2.1"),
        ] {
            assert_eq!(with_a_labels(typed), expected);
        }
    }
}
