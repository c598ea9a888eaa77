//! `cert ...`: certificates that the daemon gets and renews for other programs.

mod follow;
mod issue;
mod path;
mod progress;
mod view;

use axum::http::Method;
use clap::{Args, Subcommand, ValueEnum};

use crate::acme::revocation::RevocationReason;
use crate::api::types;
use crate::api::types::certificates::{DeletionReport, ManagedCertificateView, RevokeCertificate};

use super::error::Result;
use super::operator::Operator;
use super::output::{Output, print};
use super::table::cell;
use super::target::Target;
use follow::follow;
use issue::{IssueArgs, issue};
use path::path;
use view::{certificate_list, certificate_view};

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
pub fn run(command: Command, target: &Target) -> Result<()> {
    let operator = Operator::of_daemon(target)?;
    match command {
        Command::Issue(wanted) => issue(&operator, &wanted),
        Command::List(output) => {
            let reply: types::list::List<ManagedCertificateView> = operator.ask(Method::GET, "/certificates")?;
            output.print(&reply, certificate_list)
        }
        Command::Show(ShowCertificateArgs { name, output }) => {
            let view: ManagedCertificateView = operator.ask(Method::GET, &path(&name, ""))?;
            output.print(&view, certificate_view)
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
