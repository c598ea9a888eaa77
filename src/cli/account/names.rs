//! `account add-subdomain`, `remove-subdomain`, `grant`, `revoke` and `alias ...`: further names of an account.

use axum::http::Method;
use clap::{Args, Subcommand};

use crate::api::types::accounts::AliasView;
use crate::api::types::names::{AddAlias, AddSubdomain, AddedSubdomain, RemoveAlias, RemoveSubdomain, RemovedCount};
use crate::cli::error::{CliError, Result};
use crate::cli::operator::Operator;
use crate::model::name::owner::OwnerText;
use crate::model::name::{Alias, Subdomain, ZoneName};

use super::shown::print_account;
use super::who::Who;

/// `account add-subdomain WHO [LABEL]`
#[derive(Debug, Args)]
pub struct AddSubdomainArgs {
    #[command(flatten)]
    who: Who,
    /// A label of choice, in place of a random one
    label: Option<Subdomain>,
    /// The zone, in place of the first one
    #[arg(long)]
    zone: Option<ZoneName>,
}

/// `account remove-subdomain WHO LABEL`
#[derive(Debug, Args)]
pub struct RemoveSubdomainArgs {
    #[command(flatten)]
    who: Who,
    /// The label
    label: OwnerText,
    /// The zone, if the account has the label in several
    #[arg(long)]
    zone: Option<ZoneName>,
}

/// `account grant WHO ZONE`, `account revoke WHO ZONE`
#[derive(Debug, Args)]
pub struct GrantArgs {
    #[command(flatten)]
    who: Who,
    /// The zone
    zone: ZoneName,
}

impl GrantArgs {
    /// The zone of the request. An ordinary zone is refused: it belongs to no account, and a subdomain must not be added
    /// or removed by mistake.
    fn zone(&self) -> Result<&ZoneName> {
        if self.zone.is_challenge() {
            return Ok(&self.zone);
        }
        let problem = "is not a challenge zone, like _acme-challenge.example.com; see `txtgate account add-subdomain`";
        Err(CliError::Usage(format!("{} {problem}", self.zone)))
    }
}

/// `account alias ...`
#[derive(Debug, Subcommand)]
pub enum AliasCommand {
    /// Make a name like _acme-challenge.example.com stand for a subdomain of the account
    Add(AddAliasArgs),
    /// Remove an alias
    Remove(RemoveAliasArgs),
}

/// `account alias add WHO ALIAS [SUBDOMAIN]`
#[derive(Debug, Args)]
pub struct AddAliasArgs {
    #[command(flatten)]
    who: Who,
    /// The name, like _acme-challenge.example.com
    alias: Alias,
    /// The label that the alias stands for, if the account has several
    subdomain: Option<OwnerText>,
    /// The zone, if the account has the label in several
    #[arg(long)]
    zone: Option<ZoneName>,
}

/// `account alias remove WHO ALIAS`
#[derive(Debug, Args)]
pub struct RemoveAliasArgs {
    #[command(flatten)]
    who: Who,
    /// The name
    alias: Alias,
}

/// Gives the account another subdomain.
pub fn add_subdomain(operator: &Operator, wanted: &AddSubdomainArgs) -> Result<()> {
    let body = AddSubdomain { subdomain: wanted.label.clone(), zone: wanted.zone.clone() };
    add(operator, &wanted.who, &body)
}

/// Takes a subdomain away.
pub fn remove_subdomain(operator: &Operator, wanted: &RemoveSubdomainArgs) -> Result<()> {
    let body = RemoveSubdomain { subdomain: wanted.label.clone(), zone: wanted.zone.clone() };
    remove(operator, &wanted.who, &body)
}

/// Gives the account a challenge zone.
pub fn grant(operator: &Operator, wanted: &GrantArgs) -> Result<()> {
    let body = AddSubdomain { subdomain: None, zone: Some(wanted.zone()?.clone()) };
    add(operator, &wanted.who, &body)
}

/// Takes a challenge zone away.
pub fn revoke(operator: &Operator, wanted: &GrantArgs) -> Result<()> {
    let body = RemoveSubdomain { subdomain: OwnerText::Name(wanted.zone()?.apex().clone()), zone: None };
    remove(operator, &wanted.who, &body)
}

fn add(operator: &Operator, who: &Who, body: &AddSubdomain) -> Result<()> {
    let reply: AddedSubdomain = operator.send(Method::POST, &who.path("/subdomains"), body)?;
    who.output.print(&reply, |reply| reply.fulldomain.clone())
}

fn remove(operator: &Operator, who: &Who, body: &RemoveSubdomain) -> Result<()> {
    print_account(who.output, &operator.send(Method::DELETE, &who.path("/subdomains"), body)?)
}

/// Adds or removes an alias.
pub fn alias(operator: &Operator, wanted: &AliasCommand) -> Result<()> {
    match wanted {
        AliasCommand::Add(AddAliasArgs { who, alias, subdomain, zone }) => {
            let body = AddAlias { alias: alias.clone(), subdomain: subdomain.clone(), zone: zone.clone() };
            let reply: AliasView = operator.send(Method::POST, &who.path("/aliases"), &body)?;
            who.output.print(&reply, |reply| format!("{} stands for {}", reply.alias, reply.fulldomain))
        }
        AliasCommand::Remove(RemoveAliasArgs { who, alias }) => {
            let body = RemoveAlias { alias: alias.clone() };
            let reply: RemovedCount = operator.send(Method::DELETE, &who.path("/aliases"), &body)?;
            who.output.print(&reply, |reply| format!("{} removed", reply.removed))
        }
    }
}
