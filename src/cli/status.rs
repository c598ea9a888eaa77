//! `status`: what the running daemon serves.

use axum::http::Method;
use serde_json::Value;

use crate::config::Config;

use super::operator::Operator;
use super::table::{cell, table};
use super::{Output, Result, print};

/// Prints the daemon's own account of itself.
pub fn status(output: Output, config: &Config) -> Result<()> {
    let status = Operator::connect(config)?.call(Method::GET, "/status", None)?;
    if output.json {
        return print(&status.to_string());
    }
    print(&table(&["what", "value"], &rows(&status)))
}

/// A JSON object as rows of a name and a value.
pub fn rows(object: &Value) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    flatten("", object, &mut rows);
    rows
}

/// Nested objects and lists of objects as `zones.0.serial` rows.
fn flatten(prefix: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    let named = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(&named(key), value, rows)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().enumerate().for_each(|(index, value)| flatten(&named(&index.to_string()), value, rows));
        }
        leaf => rows.push(vec![prefix.to_owned(), cell(leaf)]),
    }
}
