//! Errors of the configuration, with their place in the file.

use std::ops::Range;
use std::path::{Path, PathBuf};

use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}: {source}; name one with --config", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// `config.toml:12:10: dns.listen: what was found; what to write`.
    #[error("{}:{line}:{column}: {}{problem}", path.display(), key_prefix(key))]
    Wrong { path: PathBuf, line: usize, column: usize, key: String, problem: String },
}

fn key_prefix(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("{key}: ") }
}

/// The text of a configuration, in which places of errors are found.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub path: &'a Path,
    pub text: &'a str,
}

impl Source<'_> {
    /// An error of the TOML reader.
    pub fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let offset = error.span().map_or(0, |span| span.start);
        let key = self.table().map(|table| key_at(table.get_ref(), offset)).unwrap_or_default();
        self.wrong_at(offset, key, error.message().to_owned())
    }

    /// An error at a key, written as `dns.listen` or `zone.0.records`.
    pub fn at(&self, key: &str, problem: impl Into<String>) -> ConfigError {
        let offset = self.span(key).map_or(0, |span| span.start);
        self.wrong_at(offset, readable(key), problem.into())
    }

    /// An error in line `line` (from 1) of a text of several lines at `key`.
    pub fn at_line(&self, key: &str, line: usize, problem: impl Into<String>) -> ConfigError {
        let start = self.span(key).map_or(0, |span| span.start);
        // The first line break right behind the opening quotes is not part of a TOML string.
        let opening = ["\"\"\"\n", "'''\n", "\"\"\"\r\n", "'''\r\n"];
        let skipped = usize::from(opening.iter().any(|quotes| self.text[start..].starts_with(quotes)));
        let first = position(self.text, start).0;
        let wrong = self.wrong_at(start, readable(key), problem.into());
        match wrong {
            ConfigError::Wrong { path, column, key, problem, .. } => {
                let line = first + skipped + line - 1;
                ConfigError::Wrong { path, line, column: if skipped == 1 { 1 } else { column }, key, problem }
            }
            other => other,
        }
    }

    fn wrong_at(&self, offset: usize, key: String, problem: String) -> ConfigError {
        let (line, column) = position(self.text, offset);
        ConfigError::Wrong { path: self.path.to_owned(), line, column, key, problem }
    }

    fn table(&self) -> Option<Spanned<DeTable<'_>>> {
        DeTable::parse(self.text).ok()
    }

    /// The place of a key's value; where the key is absent, that of the nearest table around it.
    fn span(&self, key: &str) -> Option<Range<usize>> {
        let table = self.table()?;
        let mut span = table.span();
        let mut steps = key.split('.');
        let mut value = table.get_ref().get(steps.next()?);
        loop {
            let Some(found) = value else { return Some(span) };
            span = found.span();
            let Some(step) = steps.next() else { return Some(span) };
            value = match found.get_ref() {
                DeValue::Table(inner) => inner.get(step),
                DeValue::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
        }
    }
}

/// A key for people: `zone[0].records` for `zone.0.records`.
fn readable(key: &str) -> String {
    key.split('.').fold(String::new(), |mut out, step| {
        if step.bytes().all(|b| b.is_ascii_digit()) {
            out.push_str(&format!("[{step}]"));
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(step);
        }
        out
    })
}

/// The innermost key whose value contains `offset`.
fn key_at(table: &DeTable<'_>, offset: usize) -> String {
    let holds = |key: &Spanned<_>, value: &Spanned<DeValue<'_>>| {
        key.span().contains(&offset) || value.span().contains(&offset) || inside(value.get_ref(), offset)
    };
    let Some((key, value)) = table.iter().find(|(key, value)| holds(key, value)) else {
        return String::new();
    };
    let name = key.get_ref().to_string();
    let inner = match value.get_ref() {
        DeValue::Table(inner) => key_at(inner, offset),
        DeValue::Array(items) => items.iter().find_map(|item| in_item(item, offset)).unwrap_or_default(),
        _ => String::new(),
    };
    if inner.is_empty() { name } else { format!("{name}.{inner}") }
}

fn in_item(item: &Spanned<DeValue<'_>>, offset: usize) -> Option<String> {
    match item.get_ref() {
        DeValue::Table(inner) => Some(key_at(inner, offset)).filter(|key| !key.is_empty()),
        _ => None,
    }
}

fn inside(value: &DeValue<'_>, offset: usize) -> bool {
    match value {
        // The span of a `[table]` is its header alone.
        DeValue::Table(inner) => !key_at(inner, offset).is_empty(),
        DeValue::Array(items) => items.iter().any(|item| in_item(item, offset).is_some()),
        _ => false,
    }
}

/// The line and column of an offset, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset.min(text.len()))];
    let line = 1 + before.matches('\n').count();
    let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
    (line, column)
}
