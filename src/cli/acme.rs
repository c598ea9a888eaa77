//! `acme ...`: the certificate authority, and the daemon's account there.

use axum::http::Method;
use clap::Subcommand;
use serde_json::json;

use crate::acme::client::AcmeClient;
use crate::config::Config;

use super::operator::Operator;
use super::status::rows;
use super::table::table;
use super::{CliError, Output, Result, print};

/// `acme ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what the CA offers: its terms of service, names for CAA records, certificate profiles
    Directory(Output),
    /// The daemon's account with the CA
    #[command(subcommand)]
    Account(Account),
}

/// `acme account ...`
#[derive(Debug, Subcommand)]
pub enum Account {
    /// Show the account as the CA sees it, and the CAA record that binds a domain to it
    Show(Output),
    /// Give the account a new key
    Rollover,
    /// Tell the CA the contacts of the configuration
    UpdateContact,
    /// Deactivate the account for good; certificates that it got stay valid
    Deactivate(Deactivate),
}

/// `acme account deactivate`
#[derive(Debug, clap::Args)]
pub struct Deactivate {
    /// Really: there is no way back
    #[arg(long)]
    yes: bool,
}

/// Runs a command.
pub fn run(command: Command, config: &Config) -> Result<()> {
    match command {
        Command::Directory(output) => directory(output, config),
        Command::Account(command) => account(command, config),
    }
}

fn directory(output: Output, config: &Config) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connect = AcmeClient::connect(&config.acme.directory, config.acme.ca_root.as_deref());
    let client = runtime.block_on(connect).map_err(|error| CliError::Refused(error.explained()))?;
    // invariant: a directory has only texts and lists of them
    shown(output, &serde_json::to_value(client.directory()).unwrap_or_default())
}

fn account(command: Account, config: &Config) -> Result<()> {
    if matches!(&command, Account::Deactivate(Deactivate { yes: false })) {
        let problem = "a deactivated account can never be used again; add --yes if that is what you want";
        return Err(CliError::Usage(problem.into()));
    }
    let operator = Operator::of_daemon(config)?;
    let post = |what: &str, body| operator.call(Method::POST, &format!("/acme/account/{what}"), body);
    match command {
        Account::Show(output) => shown(output, &operator.call(Method::GET, "/acme/account", None)?),
        Account::Rollover => {
            post("rollover", None)?;
            print("the CA has the account's new key")
        }
        Account::UpdateContact => {
            post("contact", Some(&json!({ "contact": config.acme.contact })))?;
            print(&format!("the CA has the contacts: {}", config.acme.contact.join(" ")))
        }
        Account::Deactivate(_) => {
            post("deactivate", None)?;
            print("the account is deactivated")
        }
    }
}

fn shown(output: Output, value: &serde_json::Value) -> Result<()> {
    print(&if output.json { value.to_string() } else { table(&["what", "value"], &rows(value)) })
}
