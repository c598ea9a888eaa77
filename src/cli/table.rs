//! Tables for people, and for tools like awk: columns without borders.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};
use rustix::termios::tcgetwinsize;
use serde::Serialize;
use serde_json::Value;

/// Between two columns.
const GAP: u16 = 2;
/// The columns of a list that no terminal is too narrow for.
const LEAST_COLUMNS: usize = 2;
/// The columns of a terminal that does not say how many it has.
const USUAL_WIDTH: u16 = 80;

/// Rows under their headings. A terminal gets lines that fit it; files and pipes get one line for each row.
pub fn table<S: AsRef<str>>(head: &[S], rows: &[Vec<String>]) -> String {
    let head: Vec<&str> = head.iter().map(AsRef::as_ref).collect();
    match width() {
        Some(width) => fitted(&head, rows, width),
        None => columns(&head, rows).trim_fmt(),
    }
}

/// A list for people: rows under their headings, the most important columns first. A terminal gets as many of the columns
/// as fit it, and is told of the others. An empty list is `empty`.
pub fn list<S: AsRef<str>>(head: &[S], rows: &[Vec<String>], empty: &str) -> String {
    let head: Vec<&str> = head.iter().map(AsRef::as_ref).collect();
    match width() {
        _ if rows.is_empty() => empty.to_owned(),
        Some(width) => without_last_columns(&head, rows, width),
        None => columns(&head, rows).trim_fmt(),
    }
}

fn without_last_columns(head: &[&str], rows: &[Vec<String>], width: u16) -> String {
    let fitting = (LEAST_COLUMNS..=head.len()).rev().find(|count| fits(&head[..*count], rows, width));
    let count = fitting.unwrap_or(head.len());
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().take(count).cloned().collect()).collect();
    let text = fitted(&head[..count], &rows, width);
    if count == head.len() {
        return text;
    }
    format!("{text}\n\n(a wider terminal and --json also show: {})", head[count..].join(", "))
}

/// Rows of a name and a value, without headings; lines of a long value begin below its first one.
pub fn pairs(rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.add_rows(rows);
    let table = without_borders(table);
    match width() {
        Some(width) => wrapped(table, [], width.saturating_add(GAP)),
        None => table.trim_fmt(),
    }
}

/// Texts as items of a list, for a terminal or a file.
pub fn items(texts: &[String]) -> String {
    let rows: Vec<Vec<String>> = texts.iter().map(|text| vec!["  -".to_owned(), text.clone()]).collect();
    pairs(&rows)
}

/// A text below a line, further in.
pub fn indented(text: &str) -> String {
    pairs(&[vec!["  ".to_owned(), text.to_owned()]])
}

/// Whether the output is a terminal.
pub fn is_terminal() -> bool {
    width().is_some()
}

/// The columns of the terminal; `None` if the output is none.
pub fn width() -> Option<u16> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    Some(if size.ws_col == 0 { USUAL_WIDTH } else { size.ws_col })
}

/// Breaks lines between words alone, so that names, keys and times can be copied. Where that does not fit, each row
/// becomes a block of lines.
fn fitted(head: &[&str], rows: &[Vec<String>], width: u16) -> String {
    let is_beside = fits(head, rows, width);
    // The gap after the last column is trimmed.
    let width = width.saturating_add(GAP);
    if is_beside {
        let least = least_widths(head, rows);
        let bounds = least.into_iter().map(|least| ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        return wrapped(columns(head, rows), bounds, width);
    }
    let is_block_already = head.len() <= 2;
    if is_block_already {
        return wrapped(columns(head, rows), [], width);
    }
    let blocks: Vec<String> = rows.iter().map(|row| wrapped(block(head, row), [], width)).collect();
    blocks.join("\n\n")
}

/// Whether the columns fit beside each other, with lines broken between words alone.
fn fits(head: &[&str], rows: &[Vec<String>], width: u16) -> bool {
    let needed: usize = least_widths(head, rows).into_iter().map(usize::from).sum();
    needed <= usize::from(width.saturating_add(GAP))
}

fn least_widths(head: &[&str], rows: &[Vec<String>]) -> Vec<u16> {
    (0..head.len()).map(|column| longest_word(head, rows, column).saturating_add(GAP)).collect()
}

fn longest_word(head: &[&str], rows: &[Vec<String>], column: usize) -> u16 {
    let cells = rows.iter().filter_map(|row| row.get(column).map(String::as_str));
    let words = cells.chain([head[column]]).flat_map(str::split_whitespace);
    let longest = words.map(|word| word.chars().count()).max().unwrap_or(0);
    u16::try_from(longest).unwrap_or(u16::MAX)
}

fn wrapped(mut table: Table, bounds: impl IntoIterator<Item = ColumnConstraint>, width: u16) -> String {
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_constraints(bounds);
    table.trim_fmt()
}

fn columns(head: &[&str], rows: &[Vec<String>]) -> Table {
    let mut table = Table::new();
    table.set_header(head).add_rows(rows);
    without_borders(table)
}

/// A row as lines of a heading and a cell.
fn block(head: &[&str], row: &[String]) -> Table {
    let mut table = Table::new();
    for (heading, cell) in head.iter().zip(row) {
        table.add_row([*heading, cell.as_str()]);
    }
    without_borders(table)
}

fn without_borders(mut table: Table) -> Table {
    table.load_style(comfy_table::presets::NOTHING);
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    table
}

/// A row of a name and a value.
pub fn row(name: &str, value: &impl Serialize) -> Vec<String> {
    vec![name.to_owned(), cell(value)]
}

/// A value as a cell: text without quotes, lists with commas, nothing as `-`.
pub fn cell(value: &impl Serialize) -> String {
    // invariant: what commands print has no map with keys that are not strings, the one thing that fails here
    json_cell(&serde_json::to_value(value).unwrap_or_default())
}

fn json_cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) if text.is_empty() => "-".into(),
        Value::String(text) => printable(text),
        Value::Array(items) if items.is_empty() => "-".into(),
        Value::Array(items) => items.iter().map(json_cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Control characters must not reach a terminal, wherever the text came from.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<const N: usize>(rows: &[[&str; N]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.map(String::from).to_vec()).collect()
    }

    #[test]
    fn columns_line_up() {
        let rows = rows(&[["a", "b"], ["long", "c"]]);
        assert_eq!(columns(&["x", "y"], &rows).trim_fmt(), "x     y\na     b\nlong  c");
        assert_eq!(fitted(&["x", "y"], &rows, 80), "x     y\na     b\nlong  c");
        assert_eq!(columns(&["x", "y"], &[]).trim_fmt(), "x  y");
        assert_eq!(cell(&serde_json::json!(["a", "\u{1b}[31m"])), "a,?[31m");
    }

    #[test]
    fn without_a_terminal_a_row_is_a_line_however_long() {
        let long = "x ".repeat(300);
        let rows = rows(&[["first", &long, "last"]]);
        let text = columns(&["a", "b", "c"], &rows).trim_fmt();
        assert_eq!(text.lines().count(), 2, "{text}");
        let fields: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!((fields[0], fields[301]), ("first", "last"));
    }

    #[test]
    fn a_terminal_gets_lines_broken_between_words() {
        let remark = "the shop of the company on the other side of the street";
        let rows = rows(&[["5f0d1d5c-6d6a-4c2b-9f10-62f8a4b5c9d1", remark], ["b", "-"]]);
        let expected = "\
username                              note
5f0d1d5c-6d6a-4c2b-9f10-62f8a4b5c9d1  the shop of the
                                      company on the other
                                      side of the street
b                                     -";
        assert_eq!(fitted(&["username", "note"], &rows, 60), expected);
    }

    #[test]
    fn what_does_not_fit_beside_each_other_is_below_each_other_and_whole() {
        let (name, value) = ("d420c923-bbd7-4056-ab64-c3ca54c9b3cf.auth.example.org", "v".repeat(43));
        let rows = rows(&[[name, &value, "2026-11-29T06:15:19Z"], ["b", "w", "-"]]);
        let expected = format!(
            "name     {name}\ntxt      {value}\nexpires  2026-11-29T06:15:19Z\n\nname     b\ntxt      w\nexpires  -"
        );
        assert_eq!(fitted(&["name", "txt", "expires"], &rows, 80), expected);
    }

    #[test]
    fn a_list_leaves_out_the_last_columns_that_do_not_fit_and_says_so() {
        let (label, username) = ("d420c923-bbd7-4056-ab64-c3ca54c9b3cf", "5f0d1d5c-6d6a-4c2b-9f10-62f8a4b5c9d1");
        let rows =
            rows(&[["example.com", "3 min ago", label, username], ["blog.example.net", "never", label, username]]);
        let text = without_last_columns(&["domain", "last publish", "label", "username"], &rows, 80);
        assert!(
            text.starts_with("domain            last publish  label\nexample.com       3 min ago     d420c923"),
            "{text}"
        );
        assert!(text.ends_with("\n\n(a wider terminal and --json also show: username)") && !text.contains(username));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let wide = without_last_columns(&["domain", "last publish", "label", "username"], &rows, 120);
        assert!(wide.contains(username) && !wide.contains("--json"), "{wide}");
        assert_eq!(list(&["a", "b"], &[], "there is none"), "there is none");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let long = "y".repeat(500);
        for width in [20, 40, 80, 120] {
            for rows in [rows(&[[&long, "a b c d e f g h", "c"]]), rows(&[["x", &long, &long]])] {
                let text = fitted(&["one", "two", "three"], &rows, width);
                assert!(text.lines().all(|line| line.chars().count() <= width.into()), "{width}: {text}");
                assert!(text.matches('y').count().is_multiple_of(500), "nothing is lost: {text}");
            }
        }
    }
}
