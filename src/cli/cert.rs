//! `cert ...`: certificates that the daemon gets and renews for other programs.

mod follow;
mod issue;
mod path;
mod progress;

use axum::http::Method;
use clap::{Args, Subcommand, ValueEnum};

use crate::acme::revocation::RevocationReason;
use crate::api::types;
use crate::api::types::certificates::{DeletionReport, ManagedCertificateView, RevokeCertificate};
use crate::config::Config;

use super::details::rows;
use super::error::Result;
use super::operator::Operator;
use super::output::{Output, print};
use super::table::{cell, row, table};
use follow::follow;
use issue::{IssueArgs, issue};
use path::path;

/// `cert ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Get a certificate and keep it renewed; prints missing records and exits with 3
    Issue(Box<IssueArgs>),
    /// List certificates: what renews when, and what fails
    List(Output),
    /// Show one certificate
    Show(ShowCertificateArgs),
    /// Get another certificate now, or retry a failed attempt
    Renew(NamedArgs),
    /// Revoke a certificate; it is not renewed any more
    Revoke(RevokeCertificateArgs),
    /// Forget a certificate that `cert issue` has requested, and delete its files
    Delete(NamedArgs),
}

/// `cert show NAME`
#[derive(Debug, Args)]
pub struct ShowCertificateArgs {
    /// The certificate's name
    name: String,
    #[command(flatten)]
    output: Output,
}

/// `cert renew NAME`, `cert delete NAME`
#[derive(Debug, Args)]
pub struct NamedArgs {
    /// The certificate's name
    name: String,
}

/// `cert revoke NAME`
#[derive(Debug, Args)]
pub struct RevokeCertificateArgs {
    /// The certificate's name
    name: String,
    /// The reason
    #[arg(long, value_enum, default_value_t = Why::Unspecified)]
    reason: Why,
}

/// Reasons that subscribers may give (RFC 5280 section 5.3.1).
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Why {
    Unspecified,
    KeyCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
}

impl From<Why> for RevocationReason {
    fn from(why: Why) -> Self {
        match why {
            Why::Unspecified => Self::Unspecified,
            Why::KeyCompromise => Self::KeyCompromise,
            Why::AffiliationChanged => Self::AffiliationChanged,
            Why::Superseded => Self::Superseded,
            Why::CessationOfOperation => Self::CessationOfOperation,
        }
    }
}

/// Runs a command.
pub fn run(command: Command, config: &Config) -> Result<()> {
    let operator = Operator::of_daemon(config)?;
    match command {
        Command::Issue(wanted) => issue(&operator, &wanted),
        Command::List(output) => list(output, &operator.ask(Method::GET, "/certificates")?),
        Command::Show(ShowCertificateArgs { name, output }) => {
            let view: ManagedCertificateView = operator.ask(Method::GET, &path(&name, ""))?;
            output.print(&view, show)
        }
        Command::Renew(NamedArgs { name }) => {
            let before: ManagedCertificateView = operator.ask(Method::POST, &path(&name, "/renew"))?;
            follow(&operator, &before)
        }
        Command::Revoke(RevokeCertificateArgs { name, reason }) => {
            let body = RevokeCertificate { reason: Some(reason.into()) };
            operator.send::<ManagedCertificateView>(Method::POST, &path(&name, "/revoke"), &body)?;
            print(&format!(
                "{name} is revoked, and is not renewed; its files are still there\n\
                 `txtgate cert renew {name}` gets another one, `txtgate cert delete {name}` removes it"
            ))
        }
        Command::Delete(NamedArgs { name }) => delete(&operator, &name),
    }
}

/// A certificate as a table, with a row for each of its names.
fn show(view: &ManagedCertificateView) -> String {
    let mut shown = view.clone();
    let steps = std::mem::take(&mut shown.progress);
    let mut rows = rows(&shown);
    for step in &steps {
        rows.push(row(&format!("progress.{}", cell(&step.name)), &step.state));
    }
    table(&["what", "value"], &rows)
}

fn delete(operator: &Operator, name: &str) -> Result<()> {
    let report: DeletionReport = operator.ask(Method::DELETE, &path(name, ""))?;
    print(&format!("{name} is deleted; the labels that its names' CNAMEs lead to stay yours"))?;
    print_lines("These persistent authorizations are withdrawn:", &report.withdrawn)?;
    print_lines("These records still let this account get certificates; delete them yourself:", &report.standing)
}

/// Prints lines below a heading, if there are any.
fn print_lines(heading: &str, lines: &[String]) -> Result<()> {
    let lines: Vec<String> = lines.iter().map(cell).collect();
    if lines.is_empty() { Ok(()) } else { print(&format!("{heading}\n{}", lines.join("\n"))) }
}

fn list(output: Output, reply: &types::list::List<ManagedCertificateView>) -> Result<()> {
    output.print(reply, |list| {
        let rows: Vec<_> = list.items.iter().map(list_row).collect();
        table(&["name", "names", "valid until", "next", "state"], &rows)
    })
}

fn list_row(view: &ManagedCertificateView) -> Vec<String> {
    let report = &view.report;
    let attempts = &report.attempts;
    let state = match (&report.stage, &attempts.problem) {
        (Some(stage), _) => cell(stage),
        (None, Some(problem)) => format!("failed {} times: {}", attempts.failures, cell(problem)),
        (None, None) if report.revoked => "revoked".to_owned(),
        (None, None) => "well".to_owned(),
    };
    let not_after = report.shown.as_ref().map(|shown| shown.not_after.to_string());
    let next = attempts.next_attempt.as_ref().or(report.renew_at.as_ref());
    vec![cell(&view.name), cell(&view.names), cell(&not_after), cell(&next), state]
}
