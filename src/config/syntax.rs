//! Reads TOML, and finds all mistakes of its syntax.

use std::ops::Range;

use toml::de::DeTable;

use super::error::{Mistake, is_secret, position};
use super::tree::{Node, Place};

/// A text as a tree.
pub struct Read {
    pub tree: Node,
    pub mistakes: Vec<Mistake>,
    /// Whether each line was understood. A key that stands twice is.
    pub is_whole: bool,
}

/// Reads a text as far as possible.
pub fn read(text: &str) -> Read {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut is_whole = true;
    let mistakes = errors.iter().map(|error| {
        let span = error.span().unwrap_or(0..0);
        let message = error.message();
        if message.starts_with("duplicate key") {
            return duplicate(text, span);
        }
        is_whole = false;
        Mistake { key: String::new(), place: Some(Place::File(span.clone())), problem: in_words(message, text, &span) }
    });
    let mistakes = mistakes.collect();
    Read { tree: Node::of_file(&table), mistakes, is_whole }
}

fn duplicate(text: &str, span: Range<usize>) -> Mistake {
    let key = text.get(span.clone()).unwrap_or_default().to_owned();
    let problem = format!("the key `{key}` is there twice; remove one of the two");
    Mistake { key, place: Some(Place::File(span)), problem }
}

/// What to write where the reader of TOML only says what it expected.
fn in_words(message: &str, text: &str, span: &Range<usize>) -> String {
    let start = text.floor_char_boundary(span.start);
    let before = text[..start].rsplit('\n').next().unwrap_or_default();
    let rest = text[start..].lines().next().unwrap_or_default().trim();
    let value = rest.split('#').next().unwrap_or(rest).trim().trim_end_matches(',');
    let is_word = !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && !"\"'[]{},=".contains(c));
    if is_word && (message.contains("string values must be quoted") || before.trim_end().ends_with('=')) {
        return unquoted(value, is_secret(text, position(text, start).0));
    }
    let what = message.split(", expected").next().unwrap_or(message);
    let instead = match what {
        "key with no value" => "write `key = value`",
        "unclosed table" | "unclosed array table" => "close the bracket: `[table]`, or `[[zone]]` for one of several",
        "unclosed array" | "unclosed inline table" => "close the bracket",
        "missing comma between array elements" => "write a comma between the entries of a list",
        "invalid unquoted key" if rest.starts_with(':') => "write `=` between key and value",
        "missing escaped value" => "write the text in single quotes, or `\\\\` for a backslash",
        _ if what.contains("string") => "close the quotes",
        _ => "write `key = value`, with texts in quotes",
    };
    format!("this is not TOML ({what}); {instead}")
}

/// A value that is neither a text in quotes nor anything else.
fn unquoted(value: &str, is_secret: bool) -> String {
    match value.to_ascii_lowercase().as_str() {
        _ if is_secret => "a text stands in quotes; put it between quotes".into(),
        "true" | "yes" | "on" => format!("found {value}; write true, in small letters"),
        "false" | "no" | "off" => format!("found {value}; write false, in small letters"),
        _ if value.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("found {value}; write a number like 4, or a text in quotes: \"{value}\"")
        }
        _ => format!("a text stands in quotes; write \"{value}\""),
    }
}
