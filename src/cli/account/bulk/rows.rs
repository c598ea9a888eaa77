//! Rows of a list: CSV with a header, or JSON lines with the same names.

use std::str::FromStr;

use csv::{ReaderBuilder, StringRecord, Trim};
use serde_json::Value;

use crate::api::types::accounts::CreateAccount;
use crate::cli::account::records::{domain, note};
use crate::cli::error::CliError;
use crate::model::account::AllowFrom;

/// The names of columns and members.
const FIELDS: [&str; 7] = ["domain", "subdomain", "zone", "allowfrom", "note", "tsig", "alias"];
/// The most problems that are reported at once.
const MAX_PROBLEMS: usize = 50;

/// A row that asks for an account.
#[derive(Debug)]
pub struct Row {
    /// Its line in the list, from 1.
    pub line: usize,
    /// The domain that the account is for.
    pub domain: String,
    /// The request.
    pub request: CreateAccount,
}

/// What is wrong at a line.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column or member.
    pub field: Option<String>,
    /// What is wrong, and what to write instead.
    pub what: String,
}

type Cells = Vec<(String, String)>;

/// Reads all rows, or says what is wrong with the first of them that are.
pub fn read(text: &str) -> Result<Vec<Row>, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = if text.trim_start().starts_with('{') { of_json(text) } else { of_csv(text) };
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for (line, cells) in lines {
        match cells.and_then(row_of) {
            Ok((domain, request)) => rows.push(Row { line, domain, request }),
            Err((field, what)) => problems.push(Problem { line, field, what }),
        }
        if problems.len() == MAX_PROBLEMS {
            break;
        }
    }
    if problems.is_empty() { Ok(rows) } else { Err(problems) }
}

type Wrong = (Option<String>, String);

fn wrong(field: &str, what: impl ToString) -> Wrong {
    (Some(field.to_owned()), what.to_string())
}

fn unknown(field: &str) -> Wrong {
    let name: String = field.chars().take(80).collect();
    (None, format!("this list has no column {name:?}; there are {}", FIELDS.join(", ")))
}

fn of_json(text: &str) -> Vec<(usize, Result<Cells, Wrong>)> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(index, line)| (index + 1, members(line))).collect()
}

fn members(line: &str) -> Result<Cells, Wrong> {
    let members: serde_json::Map<String, Value> = match serde_json::from_str(line) {
        Ok(members) => members,
        Err(error) => {
            let column = error.column();
            let what = "write a JSON object in each line, like {\"domain\":\"example.com\"}";
            return Err((None, format!("{what} (column {column})")));
        }
    };
    let mut cells = Vec::new();
    for (name, value) in members {
        let cell = match &value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Array(items) if name == "allowfrom" && items.iter().all(Value::is_string) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
            }
            _ if name == "allowfrom" => return Err(wrong(&name, "write a list of networks, like [\"192.0.2.0/24\"]")),
            _ => return Err(wrong(&name, "write a text in quotation marks")),
        };
        cells.push((name, cell));
    }
    Ok(cells)
}

fn of_csv(text: &str) -> Vec<(usize, Result<Cells, Wrong>)> {
    let head = text.lines().next().unwrap_or_default();
    // Spreadsheets in many languages separate by semicolons.
    let separator = if head.contains(';') && !head.contains(',') { b';' } else { b',' };
    let mut reader =
        ReaderBuilder::new().delimiter(separator).trim(Trim::All).has_headers(false).from_reader(text.as_bytes());
    let mut records = reader.records();
    let head = match records.next() {
        Some(Ok(head)) => head,
        Some(Err(error)) => return vec![csv_problem(text, &error)],
        None => return Vec::new(),
    };
    let names: Vec<String> = head.iter().map(str::to_ascii_lowercase).collect();
    if let Some(field) = names.iter().find(|name| !FIELDS.contains(&name.as_str())) {
        return vec![(1, Err(unknown(field)))];
    }
    if !names.iter().any(|name| name == "domain") {
        return vec![(
            1,
            Err((None, format!("there is no column domain; begin with a line like {}", FIELDS.join(",")))),
        )];
    }
    records
        .map(|record| record.map_or_else(|error| csv_problem(text, &error), |record| cells_of(text, &names, &record)))
        .collect()
}

fn cells_of(text: &str, names: &[String], record: &StringRecord) -> (usize, Result<Cells, Wrong>) {
    let cells = names.iter().cloned().zip(record.iter().map(str::to_owned)).collect();
    (line_of(text, record.position()), Ok(cells))
}

fn csv_problem(text: &str, error: &csv::Error) -> (usize, Result<Cells, Wrong>) {
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the header has {expected_len} columns; found {len}")
        }
        _ => error.to_string(),
    };
    (line_of(text, error.position()), Err((None, what)))
}

/// The line where a record begins. Its position is that of the empty lines before it.
fn line_of(text: &str, position: Option<&csv::Position>) -> usize {
    let Some(position) = position else { return 0 };
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let rest = text.as_bytes().get(number(position.byte())..).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
    number(position.line()) + empty.filter(|byte| **byte == b'\n').count()
}

fn row_of(cells: Cells) -> Result<(String, CreateAccount), Wrong> {
    let mut request = CreateAccount::default();
    let mut found = None;
    for (name, cell) in cells.iter().filter(|(_, cell)| !cell.is_empty()) {
        match name.as_str() {
            "domain" => found = Some(domain(cell).map_err(|error| wrong(name, without_usage(error)))?),
            "subdomain" => request.subdomain = Some(read_cell(name, cell)?),
            "zone" => request.zone = Some(read_cell(name, cell)?),
            "allowfrom" => request.allowfrom = Some(networks(cell).map_err(|error| wrong(name, error))?),
            "note" => request.note = Some(read_cell(name, cell)?),
            "tsig" => request.tsig = Some(read_cell(name, cell)?),
            "alias" => request.alias = Some(read_cell(name, cell)?),
            other => return Err(unknown(other)),
        }
    }
    let domain = found.ok_or_else(|| wrong("domain", "write the domain that the account is for, like example.com"))?;
    let note = note(&domain, request.note.as_ref()).map_err(|error| wrong("note", without_usage(error)))?;
    request.note = Some(note);
    Ok((domain, request))
}

fn read_cell<T: FromStr<Err: ToString>>(name: &str, cell: &str) -> Result<T, Wrong> {
    cell.parse().map_err(|error: T::Err| wrong(name, error))
}

/// Networks in one cell, separated by spaces, semicolons or vertical bars.
fn networks(cell: &str) -> Result<AllowFrom, String> {
    let texts: Vec<&str> = cell.split([' ', ';', '|', ',']).filter(|text| !text.is_empty()).collect();
    // An empty list would allow every network.
    if texts.is_empty() {
        return Err(format!(
            "found {cell:?}, which has separators and no network; write networks like 192.0.2.0/24, or leave the cell empty \
             to allow every network"
        ));
    }
    AllowFrom::parse(&texts).map_err(|error| error.to_string())
}

fn without_usage(error: CliError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<(usize, Option<String>, String)> {
        read(text).unwrap_err().into_iter().map(|problem| (problem.line, problem.field, problem.what)).collect()
    }

    #[test]
    fn csv_and_json_lines_ask_for_the_same() {
        let csv = "\u{feff}domain,Subdomain, allowfrom ,note\r\nexample.com,shop,\"10.0.0.0/8, 192.0.2.0/24\",\"the, shop\"\r\n*.example.net,,,\r\n";
        let semicolons =
            "domain;subdomain;allowfrom;note\nexample.com;shop;10.0.0.0/8 192.0.2.0/24;the, shop\n\n*.example.net;;;\n";
        let json = "{\"domain\":\"example.com\",\"subdomain\":\"shop\",\"allowfrom\":[\"10.0.0.0/8\",\"192.0.2.0/24\"],\"note\":\"the, shop\"}\n\n{\"domain\":\"*.example.net\",\"note\":null}\n";
        for text in [csv, semicolons, json] {
            let rows = read(text).unwrap();
            assert_eq!(rows.len(), 2, "{text}");
            assert_eq!((rows[0].domain.as_str(), rows[1].domain.as_str()), ("example.com", "example.net"));
            assert_eq!(rows[0].request.allowfrom.as_ref().unwrap().networks().len(), 2);
            assert_eq!(rows[0].request.note.as_ref().unwrap().as_str(), "example.com (the, shop)");
            assert_eq!(rows[1].request.note.as_ref().unwrap().as_str(), "example.net", "the domain is the note");
            assert!(rows[1].request.subdomain.is_none() && rows[1].request.allowfrom.is_none());
        }
    }

    #[test]
    fn each_problem_names_line_and_field_and_all_are_told_at_once() {
        let found =
            problems("domain,subdomain,allowfrom\na_b..c,shop,\n,shop,\nexample.com,-bad-,\nexample.com,ok,1.2.3.4\n");
        let places: Vec<_> = found.iter().map(|(line, field, _)| (*line, field.as_deref().unwrap())).collect();
        assert_eq!(places, [(2, "domain"), (3, "domain"), (4, "subdomain"), (5, "allowfrom")]);
        assert!(found[3].2.contains("192.0.2.0/24"), "{found:?}");
        let found = problems("domain,allowfrom\nexample.com,\"; ,\"\nexample.net,|\n");
        let places: Vec<_> = found.iter().map(|(line, field, _)| (*line, field.as_deref().unwrap())).collect();
        assert_eq!(places, [(2, "allowfrom"), (3, "allowfrom")], "no network is not every network: {found:?}");
        let found = problems("domain,nmae\nexample.com,x\n");
        assert!(found[0].0 == 1 && found[0].2.contains("\"nmae\"") && found[0].2.contains("allowfrom"), "{found:?}");
        let found = problems("example.com\nexample.net\n");
        assert!(found[0].2.contains("this list has no column"), "a list without a header: {found:?}");
        let found = problems("domain,note\nexample.com,a,b\n");
        assert_eq!((found[0].0, found[0].2.as_str()), (2, "the header has 2 columns; found 3"));
        let found =
            problems("{\"domain\":\"a.example\"}\n{\"domain\":5}\n{\"domain\":\"b.example\"\n{\"name\":\"x\"}\n");
        let places: Vec<_> = found.iter().map(|(line, field, _)| (*line, field.as_deref())).collect();
        assert_eq!(places, [(2, Some("domain")), (3, None), (4, None)], "{found:?}");
    }
}
