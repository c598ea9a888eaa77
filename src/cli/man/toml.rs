//! `txtgate.toml(5)`, made from the commented configuration with all keys and their defaults.

use clap_mangen::roff::{Roff, bold, italic, roman};

/// The configuration as it is shipped.
const SHIPPED: &str = include_str!("../../../config.toml");

/// A part of the shipped configuration.
#[derive(Debug, PartialEq, Eq)]
enum Part<'t> {
    /// A comment of its own.
    Text(&'t str),
    /// `[dns]`, with the comment behind it.
    Table(&'t str, &'t str),
    /// A key with its default and its comment.
    Key { name: &'t str, default: &'t str, comment: &'t str },
    /// A key without a default: an example, and its comment.
    Unset { name: &'t str, example: &'t str, comment: &'t str },
}

/// The page.
pub fn page(version: &str) -> String {
    let mut roff = Roff::new();
    roff.control("TH", ["TXTGATE.TOML", "5", "", &format!("txtgate {version}"), "txtgate"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("txtgate.toml - the configuration of txtgate")]);
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold("/etc/txtgate/config.toml")]);
    roff.control("SH", ["DESCRIPTION"]);
    let mut is_in_text = true;
    for part in parts(SHIPPED) {
        let is_text = matches!(part, Part::Text(_));
        if is_text && !is_in_text {
            roff.control("PP", []);
        }
        is_in_text = is_text;
        add(&mut roff, &part);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("txtgate(1), txtgate-serve(1), txtgate-config-check(1)")]);
    roff.render()
}

fn add(roff: &mut Roff, part: &Part<'_>) {
    match part {
        Part::Text(text) => _ = roff.text([roman(*text)]),
        Part::Table(name, comment) => {
            roff.control("SH", [*name]);
            if !comment.is_empty() {
                roff.text([roman(*comment)]);
            }
        }
        Part::Key { name, default, comment } => {
            roff.control("TP", []);
            roff.text([bold(*name), roman(" = "), italic(*default)]);
            roff.text([roman(or_no_comment(comment))]);
        }
        Part::Unset { name, example, comment } => {
            roff.control("TP", []);
            roff.text([bold(*name)]);
            roff.text([roman(or_no_comment(comment))]);
            roff.text([roman("(not set by default; an example is "), italic(*example), roman(")")]);
        }
    }
}

fn or_no_comment(comment: &str) -> &str {
    if comment.is_empty() { "See above." } else { comment }
}

/// Reads the shipped configuration line by line.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut is_in_string = false;
    for line in text.lines() {
        let is_edge = line.contains("\"\"\"");
        if is_in_string {
            is_in_string = !is_edge;
            continue;
        }
        is_in_string = is_edge;
        parts.extend(part(line));
    }
    parts
}

fn part(line: &str) -> Option<Part<'_>> {
    let (code, is_off) = line.strip_prefix("# ").map_or((line, false), |code| (code, true));
    if code.starts_with('[') {
        let (name, comment) = with_comment(code);
        return Some(Part::Table(name, comment));
    }
    let key = code.split_once(" = ").filter(|(name, _)| is_key(name));
    match key {
        Some((name, rest)) => {
            let (value, comment) = with_comment(rest);
            let value = if value == "\"\"\"" { "\"\"" } else { value };
            Some(match is_off {
                true => Part::Unset { name, example: value, comment },
                false => Part::Key { name, default: value, comment },
            })
        }
        None => (is_off && !code.is_empty()).then_some(Part::Text(code)),
    }
}

fn is_key(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A value, and the comment behind it: after a `#` that is in no string.
fn with_comment(code: &str) -> (&str, &str) {
    let mut is_in_string = false;
    for (at, character) in code.char_indices() {
        match character {
            '"' => is_in_string = !is_in_string,
            '#' if !is_in_string => return (code[..at].trim_end(), code[at + 1..].trim()),
            _ => {}
        }
    }
    (code.trim_end(), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn lines_of_the_configuration_are_told_apart() {
        assert_eq!(part("# First words."), Some(Part::Text("First words.")));
        assert_eq!(part("[dns]  # how it answers"), Some(Part::Table("[dns]", "how it answers")));
        assert_eq!(part("# [[certificate]]"), Some(Part::Table("[[certificate]]", "")));
        assert_eq!(
            part("nsid = \"#\"  # its name"),
            Some(Part::Key { name: "nsid", default: "\"#\"", comment: "its name" })
        );
        let unset = Part::Unset { name: "key", example: "\"k.pem\"", comment: "" };
        assert_eq!(part("# key = \"k.pem\""), Some(unset));
        assert_eq!((part(""), part("ns1 A 127.0.0.1")), (None, None));
    }

    /// The page has every key that the file's type has, so that it cannot lack one.
    #[test]
    fn the_page_has_every_key() {
        let found: BTreeSet<&str> = parts(SHIPPED)
            .into_iter()
            .filter_map(|part| match part {
                Part::Key { name, .. } | Part::Unset { name, .. } => Some(name),
                _ => None,
            })
            .collect();
        let page = page("1").replace('\\', "");
        for key in [
            "database",
            "tls-listen",
            "registration-secrets-file",
            "until-issued",
            "eab-kid",
            "dnssec-key",
            "records",
            "hook-timeout",
        ] {
            assert!(found.contains(key) && page.contains(&format!("fB{key}")), "{key}: {found:?}");
        }
        assert!(found.len() > 60, "{found:?}");
    }
}
