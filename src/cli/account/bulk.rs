//! `account create --from FILE`: an account for each row of a list, all of them or none.
//!
//! All or none, because a row with a random label has nothing by which a second run could tell that its account exists.

mod printed;
mod rows;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use axum::http::Method;
use clap::Args;

use crate::api::types::accounts::AccountCredentials;
use crate::api::types::bulk::{BulkLine, BulkRefusal, MAX_BULK, RowRefusal};
use crate::api::types::server::ServerSettings;
use crate::cli::error::{CliError, Result};
use crate::cli::operator::Operator;
use crate::cli::output::{print, tell};

use super::records::alias;
use printed::{CreatedAccount, ListFormat};
use rows::Row;

/// The most bytes of a list.
const MAX_INPUT: u64 = 8 * 1_024 * 1_024;

/// The arguments of `account create` for many accounts.
#[derive(Debug, Args)]
pub struct BulkArgs {
    /// Create an account for each row of a CSV or JSON lines file, all of them or none; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["domain", "subdomain", "zone", "allowfrom", "note", "tsig", "format"])]
    from: Option<PathBuf>,
    /// How to print the new accounts [default: table]
    #[arg(long, value_enum, requires = "from", conflicts_with = "json")]
    output: Option<ListFormat>,
    /// Write the new accounts to a new file that only its owner can read, in place of standard output
    #[arg(long, value_name = "FILE", requires = "from")]
    save: Option<PathBuf>,
}

impl BulkArgs {
    /// Whether a list is to be read.
    pub fn is_wanted(&self) -> bool {
        self.from.is_some()
    }
}

/// Creates the accounts and prints them.
pub fn create(operator: &Operator, wanted: &BulkArgs, json: bool) -> Result<()> {
    let source = wanted.from.clone().unwrap_or_default();
    let list = List::read(&source)?;
    let server: ServerSettings = operator.ask(Method::GET, "/server")?;
    let body = list.body(&server)?;
    // Before anything is created: the keys must have a place to go.
    let target = wanted.save.as_ref().map(new_file).transpose()?;
    let accounts = created(operator, &list, body).inspect_err(|_| {
        // An empty file must not look like a list of accounts.
        _ = wanted.save.as_ref().map(std::fs::remove_file);
    })?;
    let printed: Vec<CreatedAccount<'_>> = list
        .rows
        .iter()
        .zip(&accounts)
        .map(|(row, account)| {
            let records = server.delegation(&row.domain, &account.fulldomain);
            CreatedAccount { domain: &row.domain, records, account }
        })
        .collect();
    let format = wanted.output.unwrap_or(if json { ListFormat::Jsonl } else { ListFormat::Table });
    let text = format.text(&printed);
    match (target, &wanted.save) {
        (Some(file), Some(path)) => save(file, path, &text, accounts.len()),
        _ => {
            print(&text)?;
            tell(&format!("{} accounts created; the keys are not shown again", accounts.len()));
            Ok(())
        }
    }
}

/// Writes the new accounts to the file. They exist by then, and nothing else has their keys: where the file cannot be
/// written, they are printed.
fn save(mut file: File, path: &Path, text: &str, count: usize) -> Result<()> {
    if let Err(source) = writeln!(file, "{text}").and_then(|()| file.sync_all()) {
        // What is not whole must not look like a list of keys.
        _ = std::fs::remove_file(path);
        print(text)?;
        tell(&format!("{count} accounts created; the keys are on standard output, and are not shown again"));
        return Err(CliError::File { path: path.to_owned(), source });
    }
    tell(&format!("{count} accounts created; their keys are in {}, and nowhere else", path.display()));
    Ok(())
}

fn new_file(path: &PathBuf) -> Result<File> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|error| {
        CliError::Usage(format!("--save: cannot create {}: {error}; nothing was done", path.display()))
    })
}

/// The list's rows, and where they come from.
struct List {
    name: String,
    rows: Vec<Row>,
}

impl List {
    fn read(source: &PathBuf) -> Result<Self> {
        let is_stdin = source.as_os_str() == "-";
        let name = if is_stdin { "standard input".to_owned() } else { source.display().to_string() };
        let failed = |error: std::io::Error| CliError::Usage(format!("--from: cannot read {name}: {error}"));
        let mut bytes = Vec::new();
        let limit = MAX_INPUT + 1;
        if is_stdin {
            std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(failed)?;
        } else {
            File::open(source).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(failed)?;
        }
        if bytes.len() as u64 > MAX_INPUT {
            return Err(CliError::Usage(format!("{name} has over {} MiB; split it", MAX_INPUT >> 20)));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
            CliError::Usage(format!("{name}:{line}: the text is not UTF-8; save the list as UTF-8"))
        })?;
        let rows = rows::read(&text).map_err(|problems| located(&name, &problems))?;
        if rows.is_empty() {
            return Err(CliError::Usage(format!("{name} has no rows; write one for each account, like `example.com`")));
        }
        if rows.len() > MAX_BULK {
            return Err(CliError::Usage(format!(
                "{name} has {} rows, at most {MAX_BULK} go at once; split it",
                rows.len()
            )));
        }
        Ok(Self { name, rows })
    }

    /// The request: a line of JSON for each row. An account with a TSIG key gets its domain's challenge as an alias, as
    /// `account create --tsig` does.
    fn body(&self, server: &ServerSettings) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        for row in &self.rows {
            let mut request = row.request.clone();
            if request.tsig.is_some() && request.alias.is_none() {
                request.alias = alias(&row.domain, server)?;
            }
            serde_json::to_writer(&mut body, &request).map_err(|error| CliError::Refused(error.to_string()))?;
            body.push(b'\n');
        }
        Ok(body)
    }

    /// Refused rows, by their lines in the list.
    fn refused(&self, rows: &[RowRefusal]) -> CliError {
        let problems: Vec<rows::Problem> = rows
            .iter()
            .map(|refused| {
                let line = self.rows.get(refused.row.saturating_sub(1)).map_or(0, |row| row.line);
                rows::Problem { line, field: refused.field.clone(), what: refused.message.clone() }
            })
            .collect();
        located(&self.name, &problems)
    }
}

fn located(name: &str, problems: &[rows::Problem]) -> CliError {
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| match &problem.field {
            Some(field) => format!("{name}:{}: {field}: {}", problem.line, problem.what),
            None => format!("{name}:{}: {}", problem.line, problem.what),
        })
        .collect();
    CliError::Usage(format!("{}\nno account was created", lines.join("\n")))
}

fn created(operator: &Operator, list: &List, body: Vec<u8>) -> Result<Vec<AccountCredentials>> {
    let mut accounts = Vec::with_capacity(list.rows.len());
    let mut end = None;
    let sent = operator.stream("/bulk/accounts", body, |line| {
        match serde_json::from_str(line) {
            Ok(BulkLine::Account(account)) => accounts.push(*account),
            Ok(BulkLine::Hashed(_)) => {}
            Ok(last) => end = Some(last),
            Err(error) => return Err(CliError::Refused(format!("the daemon's reply cannot be read: {error}"))),
        }
        Ok(())
    });
    match sent {
        Err(CliError::Rows(rows)) => return Err(list.refused(&rows)),
        other => other?,
    }
    match end {
        Some(BulkLine::Created(count)) if count == accounts.len() => Ok(accounts),
        Some(BulkLine::Refused(BulkRefusal { rows, .. })) if !rows.is_empty() => Err(list.refused(&rows)),
        Some(BulkLine::Refused(refusal)) => {
            Err(CliError::Refused(format!("{}; no account was created", refusal.message)))
        }
        _ => Err(CliError::Refused(format!(
            "the reply broke off after {} accounts: look with `txtgate account list` whether they were created, and \
             delete them if so, because their keys are lost",
            accounts.len()
        ))),
    }
}
