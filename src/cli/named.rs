//! Lists of what is published at names.

use crate::api::types::list::List;
use crate::api::types::values::{NamedPersistent, NamedValue, Verdict};
use crate::model::account::Note;
use crate::model::name::idn::both_ways;

use super::operator::encoded;
use super::table::{cell, indented, is_terminal, list, printable};
use crate::model::time::relative::relative;

/// The path of a list, of one name or of all.
pub fn list_path(path: &str, name: Option<String>) -> String {
    match name {
        Some(name) => format!("{path}?name={}", encoded(&name)),
        None => path.to_owned(),
    }
}

/// What is published at a name.
pub struct Published<'a> {
    name: &'a str,
    note: Option<&'a Note>,
    value: String,
    published: &'a str,
    expires: Option<&'a str>,
    verdict: Option<&'a Verdict>,
}

impl<'a> From<&'a NamedValue> for Published<'a> {
    fn from(NamedValue { name, note, value }: &'a NamedValue) -> Self {
        let (published, expires) = (&value.published, Some(value.expires.as_str()));
        let verdict = value.verdict.as_ref();
        Self { name, note: note.as_ref(), value: value.txt.to_string(), published, expires, verdict }
    }
}

impl<'a> From<&'a NamedPersistent> for Published<'a> {
    fn from(NamedPersistent { name, note, value }: &'a NamedPersistent) -> Self {
        let (published, expires) = (&value.published, value.expires.as_deref());
        Self { name, note: note.as_ref(), value: value.value.to_string(), published, expires, verdict: None }
    }
}

impl Published<'_> {
    /// The domain that the name is for; the name itself where nobody has said.
    fn domain(&self) -> String {
        let note = self.note.map(Note::as_str).filter(|note| !note.is_empty());
        printable(&both_ways(note.unwrap_or(self.name)))
    }

    /// The end, for people.
    fn ends(&self) -> String {
        self.expires.map_or_else(|| "when it is retired".to_owned(), relative)
    }
}

/// A list: on a terminal each name once, with its values below it; elsewhere a line for each value.
pub fn published_list<'a, T>(listed: &'a List<T>, what: &str) -> String
where
    Published<'a>: From<&'a T>,
{
    let items: Vec<Published<'a>> = listed.items.iter().map(Published::from).collect();
    let empty = format!("there are no {what}");
    let more = if listed.truncated { "\n(the list goes on; give a name to see all of its values)" } else { "" };
    let text = if is_terminal() && !items.is_empty() { by_name(&items) } else { by_value(&items, &empty) };
    text + more
}

fn by_value(items: &[Published<'_>], empty: &str) -> String {
    let has_verdicts = items.iter().any(|item| item.verdict.is_some());
    let row = |item: &Published<'_>| {
        let verdict = item.verdict.map_or_else(|| "-".to_owned(), |verdict| printable(&verdict.text));
        let of_value = [item.domain(), cell(&item.value), item.ends(), relative(item.published), cell(&item.name)];
        of_value.into_iter().chain(has_verdicts.then_some(verdict)).collect()
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    let mut head = vec!["domain", "value", "ends", "published", "name"];
    head.extend(has_verdicts.then_some("verdict"));
    list(&head, &rows, empty)
}

fn by_name(items: &[Published<'_>]) -> String {
    let mut lines = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let is_first = index == 0 || items[index - 1].name != item.name;
        if is_first {
            lines.push(item.domain());
            lines.extend((item.domain() != item.name).then(|| format!("  at {}", printable(item.name))));
        }
        lines.push(format!("  {}  ends {}", printable(&item.value), item.ends()));
        lines.extend(item.verdict.map(|verdict| indented(&printable(&verdict.text))));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(name: &str, note: Option<&str>, letter: &str) -> NamedValue {
        let mut value = json!({
            "name": name, "txt": letter.repeat(43), "published": "2000-01-01T00:00:00Z",
            "expires": "2000-01-02T00:00:00Z", "seconds_left": 0
        });
        if let Some(note) = note {
            value["note"] = note.into();
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn values_stand_below_their_domain_in_lines_that_fit() {
        let name = "d420c923-bbd7-4056-ab64-c3ca54c9b3cf.auth.example.org";
        let values = [value(name, Some("xn--bcher-kva.example"), "a"), value(name, Some("xn--bcher-kva.example"), "b")];
        let own = value("_acme-challenge.auth.example.org", None, "c");
        let all: Vec<Published<'_>> = values.iter().chain([&own]).map(Published::from).collect();
        let text = by_name(&all);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "xn--bcher-kva.example (bücher.example)");
        assert_eq!(lines[1], format!("  at {name}"));
        assert!(
            lines[2].starts_with(&format!("  {}  ends ", "a".repeat(43))) && lines[3].starts_with("  bbb"),
            "{text}"
        );
        assert_eq!(lines[4], "_acme-challenge.auth.example.org");
        assert!(lines.len() == 6 && lines.iter().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(by_value(&[], "there are no values"), "there are no values");
    }
}
