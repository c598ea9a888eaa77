//! A reply as a table of all its members.

use serde::Serialize;
use serde_json::Value;

use super::table::{cell, table};

/// A reply as a table.
pub fn details(reply: &impl Serialize) -> String {
    table(&["what", "value"], &rows(reply))
}

/// A reply as rows of a name and a value.
pub fn rows(reply: &impl Serialize) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    // invariant: no reply has a map with keys that are not strings, the one thing that fails here
    flatten("", &serde_json::to_value(reply).unwrap_or_default(), &mut rows);
    rows
}

/// Nested objects and lists of objects as `zones.0.serial` rows.
fn flatten(prefix: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(&below(prefix, key), value, rows)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, value)| flatten(&below(prefix, &index.to_string()), value, rows));
        }
        leaf => rows.push(vec![prefix.to_owned(), cell(leaf)]),
    }
}

/// The name of a member below a prefix.
fn below(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}
