//! `account ...`: the accounts that may publish.

mod bulk;
mod create;
mod list;
mod names;
mod records;
mod shown;
mod tsig;
mod who;

use axum::http::Method;
use clap::{Args, Subcommand};

use crate::api::types::accounts::{AccountCredentials, DeletedAccount, EditAccount, RotateKey};
use crate::model::account::Note;
use crate::model::time::Span;

use super::error::Result;
use super::networks::networks;
use super::operator::Operator;
use super::table::{pairs, row};
use super::target::Target;
use create::CreateAccountArgs;
use shown::{account_table, credential_rows, print_account};
use who::Who;

/// `account ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create an account for a domain; prints the CNAME to add and the clients' settings
    Create(CreateAccountArgs),
    /// List accounts
    List(list::ListAccountsArgs),
    /// Show one account
    Show(Who),
    /// Change an account's networks or note
    Edit(EditAccountArgs),
    /// Give an account a new key
    Rotate(RotateKeyArgs),
    /// Give an account another subdomain; prints its name
    AddSubdomain(names::AddSubdomainArgs),
    /// Take a subdomain away from an account, with its values and aliases
    RemoveSubdomain(names::RemoveSubdomainArgs),
    /// Give an account a whole challenge zone, like _acme-challenge.example.com
    Grant(names::GrantArgs),
    /// Take a challenge zone away from an account, with all values in it
    Revoke(names::GrantArgs),
    /// Names in other zones that stand for an account's own names, for clients that do not follow CNAMEs
    #[command(subcommand)]
    Alias(names::AliasCommand),
    /// The key that an account signs DNS UPDATEs with (RFC 2136), for clients that send them
    #[command(subcommand)]
    Tsig(tsig::TsigCommand),
    /// Stop an account: its key is refused, and its names have no data
    Disable(Who),
    /// Enable a disabled account, or restore a deleted one
    Enable(Who),
    /// Delete an account: it is disabled now, and removed after 30 days
    Delete(DeleteAccountArgs),
}

/// `account edit WHO`
#[derive(Debug, Args)]
pub struct EditAccountArgs {
    #[command(flatten)]
    who: Who,
    /// The network from which the account may be used, in place of the former ones; may be repeated
    #[arg(long, value_name = "CIDR", conflicts_with = "allow_all")]
    allowfrom: Vec<String>,
    /// Let the account be used from everywhere
    #[arg(long)]
    allow_all: bool,
    /// The remark
    #[arg(long)]
    note: Option<Note>,
}

/// `account rotate WHO`
#[derive(Debug, Args)]
pub struct RotateKeyArgs {
    #[command(flatten)]
    who: Who,
    /// How long the old key still works, like 1h
    #[arg(long, default_value = "0s")]
    grace: Span,
}

/// `account delete WHO`
#[derive(Debug, Args)]
pub struct DeleteAccountArgs {
    #[command(flatten)]
    who: Who,
    /// Remove the account at once and for good
    #[arg(long)]
    now: bool,
}

/// Runs a command.
pub fn run(command: Command, target: &Target) -> Result<()> {
    let operator = Operator::connect(target)?;
    match command {
        Command::Create(wanted) => create::create(&operator, &wanted),
        Command::List(wanted) => list::list(&operator, wanted),
        Command::Show(who) => print_account(who.output, &operator.ask(Method::GET, &who.path(""))?),
        Command::Edit(wanted) => edit(&operator, &wanted),
        Command::Rotate(wanted) => rotate(&operator, &wanted),
        Command::AddSubdomain(wanted) => names::add_subdomain(&operator, &wanted),
        Command::RemoveSubdomain(wanted) => names::remove_subdomain(&operator, &wanted),
        Command::Grant(wanted) => names::grant(&operator, &wanted),
        Command::Revoke(wanted) => names::revoke(&operator, &wanted),
        Command::Alias(wanted) => names::alias(&operator, &wanted),
        Command::Tsig(wanted) => tsig::tsig(&operator, &wanted),
        Command::Disable(who) => print_account(who.output, &operator.ask(Method::POST, &who.path("/disable"))?),
        Command::Enable(who) => print_account(who.output, &operator.ask(Method::POST, &who.path("/enable"))?),
        Command::Delete(wanted) => delete(&operator, &wanted),
    }
}

fn rotate(operator: &Operator, wanted: &RotateKeyArgs) -> Result<()> {
    let body = RotateKey { grace: Some(wanted.grace) };
    let reply: AccountCredentials = operator.send(Method::POST, &wanted.who.path("/rotate"), &body)?;
    wanted.who.output.print(&reply, |reply| pairs(&credential_rows(reply)))
}

fn delete(operator: &Operator, wanted: &DeleteAccountArgs) -> Result<()> {
    let rest = if wanted.now { "?now=true" } else { "" };
    let reply: DeletedAccount = operator.ask(Method::DELETE, &wanted.who.path(rest))?;
    wanted.who.output.print(&reply, |reply| match reply {
        DeletedAccount::Restorable(account) => account_table(account),
        DeletedAccount::Removed(account) => {
            let rows = [row("username", &account.username), row("state", &account.state)];
            pairs(&rows)
        }
    })
}

fn edit(operator: &Operator, wanted: &EditAccountArgs) -> Result<()> {
    let has_networks = wanted.allow_all || !wanted.allowfrom.is_empty();
    let allowfrom = if has_networks { Some(networks(&wanted.allowfrom)?) } else { None };
    let body = EditAccount { allowfrom, note: wanted.note.clone() };
    print_account(wanted.who.output, &operator.send(Method::PATCH, &wanted.who.path(""), &body)?)
}
