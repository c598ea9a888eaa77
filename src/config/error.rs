//! Errors of the configuration, with their place in the file or in the environment.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::file::Unusable;

use super::tree::Place;

/// The most mistakes that are looked for, and shown.
pub const MOST_MISTAKES: usize = 100;

/// The configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read the configuration: {}; name another one with --config", Unusable(path, source))]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Wrong(Mistakes),
    /// No configuration is named, and none is where it is looked for.
    #[error("{0}")]
    NotFound(String),
}

impl ConfigError {
    /// Each mistake without its place, as `dns.listen: what is wrong`: for a text that no file has.
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::Wrong(mistakes) => {
                mistakes.found.iter().map(|mistake| format!("{}: {}", mistake.key, mistake.problem)).collect()
            }
            other => vec![other.to_string()],
        }
    }
}

/// Something wrong at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The key, as `zone.0.records`; empty where none is known.
    pub key: String,
    /// `None`: the place of the key's value.
    pub place: Option<Place>,
    /// What was found, and what to write.
    pub problem: String,
}

/// All mistakes of a configuration, in the order of their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    name: String,
    found: Vec<LocatedMistake>,
}

/// A mistake as it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LocatedMistake {
    place: Location,
    key: String,
    problem: String,
    quote: Option<Quote>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Location {
    File { line: usize, column: usize },
    Variable(String),
}

/// A line of the file, and the part of it that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Quote {
    line: String,
    width: usize,
}

impl Mistakes {
    /// The line, the column and the problem of each mistake in the file, both counted from 1. Mistakes in the environment
    /// are left out.
    pub fn in_file(&self) -> impl Iterator<Item = (usize, usize, &str)> {
        self.found.iter().filter_map(|mistake| match &mistake.place {
            Location::File { line, column } => Some((*line, *column, mistake.problem.as_str())),
            Location::Variable(_) => None,
        })
    }
}

impl fmt::Display for Mistakes {
    /// `config.toml:12:10: dns.listen: what was found; what to write`, with the line and a caret below it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.found.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let LocatedMistake { place, key, problem, quote } = mistake;
            let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
            match place {
                Location::File { line, column } => write!(f, "{}:{line}:{column}: {key}{problem}", self.name)?,
                Location::Variable(name) => write!(f, "environment: {name}: {key}{problem}")?,
            }
            if let (Some(quote), Location::File { line, column }) = (quote, place) {
                let indent = column - 1;
                write!(f, "\n{line:6} | {}\n       | {:indent$}{}", quote.line, "", "^".repeat(quote.width))?;
            }
        }
        match self.found.len() {
            MOST_MISTAKES.. => write!(f, "\n{MOST_MISTAKES} mistakes in {}; there may be more", self.name),
            count @ 2.. => write!(f, "\n{count} mistakes in {}", self.name),
            _ => Ok(()),
        }
    }
}

/// The text of a configuration, in which places of errors are found.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub path: &'a Path,
    pub text: &'a str,
}

impl Source<'_> {
    /// The error of these mistakes, of which the first [`MOST_MISTAKES`] count.
    pub fn wrong(&self, mut mistakes: Vec<Mistake>) -> ConfigError {
        mistakes.truncate(MOST_MISTAKES);
        let mut found: Vec<LocatedMistake> = mistakes.into_iter().map(|mistake| self.located(mistake)).collect();
        found.sort_by(|one, other| one.place.cmp(&other.place));
        let name = if self.path == Path::new("-") { "standard input".into() } else { self.path.display().to_string() };
        ConfigError::Wrong(Mistakes { name, found })
    }

    /// The line of a mistake in the file.
    pub fn line_of(&self, mistake: &Mistake) -> Option<usize> {
        match mistake.place.as_ref()? {
            Place::File(span) => Some(position(self.text, span.start).0),
            Place::Variable(_) | Place::Missing => None,
        }
    }

    fn located(&self, Mistake { key, place, problem }: Mistake) -> LocatedMistake {
        let readable_key = readable(&key);
        match place.unwrap_or(Place::Missing) {
            Place::Missing => {
                let place = Location::File { line: 1, column: 1 };
                LocatedMistake { place, key: readable_key, problem, quote: None }
            }
            Place::Variable(name) => {
                LocatedMistake { place: Location::Variable(name), key: readable_key, problem, quote: None }
            }
            Place::File(span) => {
                let (line, column) = position(self.text, span.start);
                let quote =
                    (!names_secret(&key) && !is_secret(self.text, line)).then(|| self.quote(line, &span)).flatten();
                LocatedMistake { place: Location::File { line, column }, key: readable_key, problem, quote }
            }
        }
    }

    /// The line, without what would not stand below itself on a terminal. Lines that are empty or very long are not quoted.
    fn quote(&self, line: usize, span: &Range<usize>) -> Option<Quote> {
        let text = self.text.lines().nth(line - 1).filter(|text| !text.trim().is_empty() && text.len() <= 200)?;
        let end = self.text.floor_char_boundary(span.end.min(self.text.len()));
        let marked = self.text.get(span.start..end).and_then(|marked| marked.lines().next()).unwrap_or("");
        let line = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Some(Quote { line, width: marked.chars().count().max(1) })
    }

    /// The place of line `line` (from 1) in a text of several lines whose value stands at `span`.
    pub fn line_within(&self, span: &Range<usize>, line: usize) -> Range<usize> {
        let value = self.text.get(span.clone()).unwrap_or_default();
        // The first line break right behind the opening quotes is not part of a TOML string.
        let opening = ["\"\"\"\n", "'''\n", "\"\"\"\r\n", "'''\r\n"];
        if !opening.iter().any(|quotes| value.starts_with(quotes)) {
            return span.clone();
        }
        let start = value.match_indices('\n').nth(line - 1).map_or(0, |(at, _)| at + 1);
        let length = value[start..].lines().next().map_or(0, str::len);
        span.start + start..span.start + start + length
    }
}

/// A key for people: `zone[0].records` for `zone.0.records`.
fn readable(key: &str) -> String {
    key.split('.').fold(String::new(), |mut out, step| {
        if step.bytes().all(|b| b.is_ascii_digit()) && !out.is_empty() {
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

/// Whether a line (from 1) may hold a secret that somebody wrote in the place of its hash.
pub fn is_secret(text: &str, line: usize) -> bool {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let last_key = lines.iter().rev().find_map(|line| line.split_once('=').map(|(key, _)| key));
    last_key.is_some_and(names_secret)
}

fn names_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["secret", "password", "token", "private"].iter().any(|word| key.contains(word)) && !key.contains("file")
}

/// The line and column of an offset, both from 1.
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset.min(text.len()))];
    let line = 1 + before.matches('\n').count();
    let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
    (line, column)
}
