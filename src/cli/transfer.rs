//! `export --format txtgate` and `import txtgate`: accounts move between two txtgates.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::api::types::bulk::RowRefusal;
use crate::api::types::transfer::{ExportAccounts, ImportCounts, ImportReply, MAX_TRANSFER, TransferLine};

use super::error::{CliError, Result};
use super::operator::Operator;
use super::output::{Output, print};
use super::target::Target;

/// `import txtgate FILE`
#[derive(Debug, Args)]
#[command(after_help = "\
What is here already stays as it is, so that a repetition changes nothing. Nothing changes where anything is in conflict
with what is here, like a name that another account has: every conflict is listed with its line in the file.")]
pub struct ImportArgs {
    /// The file that `txtgate export --format txtgate` has written on the other server
    file: PathBuf,
    /// Show what would be done without doing it
    #[arg(long)]
    dry_run: bool,
    /// Leave behind what is in conflict, and take over the rest
    #[arg(long)]
    skip_conflicts: bool,
    #[command(flatten)]
    output: Output,
}

/// Writes accounts to a new file that only its owner can read: those that are named, or everything.
pub fn export(path: &Path, accounts: &[String], tsig_secrets: bool, target: &Target) -> Result<()> {
    let operator = Operator::connect(target)?;
    let failed = |error: std::io::Error| CliError::Usage(format!("cannot write {}: {error}", path.display()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let written = write(&operator, file, accounts, tsig_secrets);
    match written {
        Ok(summary) => print(&format!("{}: {}", path.display(), summary.text())),
        Err(error) => {
            // What is not whole must not look like an export.
            _ = std::fs::remove_file(path);
            Err(error)
        }
    }
}

/// What an export has written.
#[derive(Default)]
struct Summary {
    accounts: usize,
    others: usize,
    tsig_without_secret: usize,
    end: Option<usize>,
}

impl Summary {
    fn count(&mut self, line: &TransferLine) {
        match line {
            TransferLine::Head(_) => {}
            TransferLine::End(count) => self.end = Some(*count),
            TransferLine::Account(account) => {
                self.accounts += 1;
                let is_without = account.tsig.as_ref().is_some_and(|tsig| tsig.secret.is_none());
                self.tsig_without_secret += usize::from(is_without);
            }
            _ => self.others += 1,
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} accounts with their key hashes, names, aliases and values; {} enrolment tokens, stored credentials and labels \
             of removed accounts",
            self.accounts, self.others
        );
        if self.tsig_without_secret > 0 {
            text += &format!(
                "\n{} TSIG keys stay behind; with --with-tsig-secrets they come along, and the file is a secret",
                self.tsig_without_secret
            );
        }
        text + "\nThe accounts still work here: disable or delete them once they work on the other server."
    }
}

fn write(operator: &Operator, file: File, accounts: &[String], tsig_secrets: bool) -> Result<Summary> {
    let request = ExportAccounts { accounts: accounts.to_vec(), tsig_secrets };
    let body = serde_json::to_vec(&request).map_err(|error| CliError::Refused(error.to_string()))?;
    let mut out = BufWriter::new(file);
    let mut summary = Summary::default();
    operator.stream("/transfer/export", body, |line| {
        let read: TransferLine = serde_json::from_str(line)
            .map_err(|error| CliError::Refused(format!("the daemon's reply cannot be read: {error}")))?;
        summary.count(&read);
        Ok(writeln!(out, "{line}")?)
    })?;
    if summary.end != Some(summary.accounts + summary.others) {
        return Err(CliError::Refused("the export broke off; the daemon's log says why".into()));
    }
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(summary)
}

/// Takes over what a file holds.
pub fn import(wanted: &ImportArgs, target: &Target) -> Result<()> {
    let name = wanted.file.display().to_string();
    let failed = |error: std::io::Error| CliError::Usage(format!("cannot read {name}: {error}"));
    let mut body = Vec::new();
    let file = File::open(&wanted.file).map_err(failed)?;
    file.take(MAX_TRANSFER as u64 + 1).read_to_end(&mut body).map_err(failed)?;
    if body.len() > MAX_TRANSFER {
        return Err(CliError::Usage(format!(
            "{name} has over {} MiB; export some accounts at a time (--account), or move the whole database with `txtgate \
             backup` and `txtgate restore`",
            MAX_TRANSFER >> 20
        )));
    }
    let operator = Operator::connect(target)?;
    let path = format!("/transfer/import?dry_run={}&skip_conflicts={}", wanted.dry_run, wanted.skip_conflicts);
    let mut reply = None;
    let sent = operator.stream(&path, body, |line| {
        reply = serde_json::from_str(line).ok();
        Ok(())
    });
    match sent {
        Err(CliError::Rows(rows)) => return Err(refused(&name, &rows)),
        other => other?,
    }
    match reply {
        Some(ImportReply::Done(counts)) => wanted.output.print(&counts, |counts| text(&name, counts, wanted.dry_run)),
        Some(ImportReply::Refused(refusal)) if refusal.rows.is_empty() => Err(CliError::Refused(refusal.message)),
        Some(ImportReply::Refused(refusal)) => Err(refused(&name, &refusal.rows)),
        None => Err(CliError::Refused(
            "the reply broke off; run the import again: what is here already is not changed twice".into(),
        )),
    }
}

fn located(name: &str, rows: &[RowRefusal]) -> String {
    let lines: Vec<String> = rows
        .iter()
        .map(|row| match &row.field {
            Some(field) => format!("{name}:{}: {field}: {}", row.row, row.message),
            None => format!("{name}:{}: {}", row.row, row.message),
        })
        .collect();
    lines.join("\n")
}

fn refused(name: &str, rows: &[RowRefusal]) -> CliError {
    CliError::Usage(format!(
        "{}\nnothing was changed; --skip-conflicts leaves what is in conflict behind",
        located(name, rows)
    ))
}

fn text(name: &str, counts: &ImportCounts, is_rehearsal: bool) -> String {
    let would = if is_rehearsal { "would be " } else { "" };
    let mut out = format!(
        "{name}:\n  - {} accounts {would}moved in, with {} values\n  - {} enrolment tokens and {} stored credentials {would}moved \
         in\n  - {} are here already",
        counts.accounts, counts.values, counts.enrolments, counts.stored, counts.known
    );
    if !counts.left.is_empty() {
        out += &format!("\n{} things stay behind:\n{}", counts.left.len(), located(name, &counts.left));
    }
    out
}
