//! `acme ...`: the CA, and the daemon's account there.

mod view;

use axum::http::Method;
use clap::Subcommand;

use crate::acme::client::AcmeClient;
use crate::api::types::acme::{Abandoned, AcmeAccountReport, UpdateContact};
use crate::config::Config;

use super::error::{CliError, Result};
use super::operator::Operator;
use super::output::{Output, print};
use super::target::Target;
use view::{account_view, directory_view};

/// `acme ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what the CA offers: its terms of service, names for CAA records, certificate profiles
    Directory(Output),
    /// The daemon's account with the CA
    #[command(subcommand)]
    Account(AccountCommand),
}

/// `acme account ...`
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Show the account as the CA sees it, and the CAA record that binds a domain to it
    Show(Output),
    /// Give the account a new key
    Rollover(RolloverArgs),
    /// Send the contacts of the configuration to the CA
    UpdateContact,
    /// Deactivate the account for good; its certificates stay valid
    Deactivate(DeactivateArgs),
}

/// `acme account rollover`
#[derive(Debug, clap::Args)]
pub struct RolloverArgs {
    /// Give up a rollover that is pending: the account keeps its former key
    #[arg(long)]
    abandon: bool,
}

/// `acme account deactivate`
#[derive(Debug, clap::Args)]
pub struct DeactivateArgs {
    /// Confirm the deactivation, which cannot be undone
    #[arg(long)]
    yes: bool,
}

/// Runs a command.
pub fn run(command: Command, target: &Target) -> Result<()> {
    match command {
        Command::Directory(output) => directory(output, target.config("acme directory")?),
        Command::Account(command) => account(command, target),
    }
}

fn directory(output: Output, config: &Config) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connect = AcmeClient::connect(&config.acme.directory, config.acme.ca_root.as_deref());
    let client = runtime.block_on(connect).map_err(|error| CliError::Refused(error.explained()))?;
    output.print(client.directory(), directory_view)
}

fn account(command: AccountCommand, target: &Target) -> Result<()> {
    if matches!(&command, AccountCommand::Deactivate(DeactivateArgs { yes: false })) {
        let problem = "a deactivated account can never be used again; add --yes if that is what you want";
        return Err(CliError::Usage(problem.into()));
    }
    let operator = Operator::of_daemon(target)?;
    match command {
        AccountCommand::Show(output) => {
            let report: AcmeAccountReport = operator.ask(Method::GET, "/acme/account")?;
            output.print(&report, account_view)
        }
        AccountCommand::Rollover(RolloverArgs { abandon: true }) => abandon(&operator),
        AccountCommand::Rollover(_) => {
            operator.ask::<()>(Method::POST, "/acme/account/rollover")?;
            print("the CA has the account's new key")
        }
        AccountCommand::UpdateContact => {
            let config = target.config("acme account update-contact")?;
            let body = UpdateContact { contact: config.acme.contact.clone() };
            operator.send::<()>(Method::POST, "/acme/account/contact", &body)?;
            print(&format!("the CA has the contacts: {}", config.acme.contact.join(" ")))
        }
        AccountCommand::Deactivate(_) => {
            operator.ask::<()>(Method::POST, "/acme/account/deactivate")?;
            print("the account is deactivated")
        }
    }
}

fn abandon(operator: &Operator) -> Result<()> {
    let abandoned: Abandoned = operator.ask(Method::DELETE, "/acme/account/rollover")?;
    print(match abandoned {
        Abandoned::NothingPending => "no key rollover is pending",
        Abandoned::FormerKey => "the rollover is given up; the account keeps its former key",
        Abandoned::NewKey => "the CA has the account's new key already, so the account goes on with that one",
    })
}
