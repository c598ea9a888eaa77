//! `account ...`: who may publish.

mod create;
mod names;
mod shown;
mod tsig;
mod who;

use axum::http::Method;
use clap::{Args, Subcommand};

use crate::api::types;
use crate::api::types::accounts::{AccountCredentials, AccountView, DeletedAccount, EditAccount, RotateKey};
use crate::config::Config;
use crate::model::account::Note;
use crate::model::time::Span;

use super::error::Result;
use super::networks::networks;
use super::operator::{Operator, encoded};
use super::output::Output;
use super::table::{cell, row, table};
use create::Create;
use shown::{account_table, credential_rows, print_account};
use who::Who;

/// Accounts asked for at once by `account list`.
const PAGE: usize = 500;

/// `account ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create an account for a domain; prints the CNAME to add and the clients' settings
    Create(Create),
    /// List accounts
    List(List),
    /// Show one account
    Show(Who),
    /// Change an account's networks or note
    Edit(Edit),
    /// Give an account a new key
    Rotate(Rotate),
    /// Give an account another subdomain; prints its name
    AddSubdomain(names::AddLabel),
    /// Take a subdomain away from an account, with its values and aliases
    RemoveSubdomain(names::RemoveLabel),
    /// Give an account a challenge zone as a whole, like _acme-challenge.example.com
    Grant(names::Grant),
    /// Take a challenge zone away from an account, with all values in it
    Revoke(names::Grant),
    /// Names in other zones that stand for an account's own, for clients that do not follow CNAMEs
    #[command(subcommand)]
    Alias(names::AliasCommand),
    /// The key with which an account signs DNS UPDATEs (RFC 2136), for clients that speak those
    #[command(subcommand)]
    Tsig(tsig::Tsig),
    /// Stop an account: its key fails, its names give no data
    Disable(Who),
    /// Let a disabled or deleted account work again
    Enable(Who),
    /// Delete an account: disabled now, removed after 30 days
    Delete(Delete),
}

/// `account list`
#[derive(Debug, Args)]
pub struct List {
    /// Only those with this in their username, note or label
    #[arg(long, default_value = "")]
    search: String,
    #[command(flatten)]
    output: Output,
}

/// `account edit WHO`
#[derive(Debug, Args)]
pub struct Edit {
    #[command(flatten)]
    who: Who,
    /// The networks from which it may be used, in place of those so far; may be repeated
    #[arg(long, value_name = "CIDR", conflicts_with = "allow_all")]
    allowfrom: Vec<String>,
    /// Let it be used from everywhere
    #[arg(long)]
    allow_all: bool,
    /// The remark
    #[arg(long)]
    note: Option<Note>,
}

/// `account rotate WHO`
#[derive(Debug, Args)]
pub struct Rotate {
    #[command(flatten)]
    who: Who,
    /// For how long the old key works on, like 1h
    #[arg(long, default_value = "0s")]
    grace: Span,
}

/// `account delete WHO`
#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    who: Who,
    /// Remove it at once, for good
    #[arg(long)]
    now: bool,
}

/// Runs a command.
pub fn run(command: Command, config: &Config) -> Result<()> {
    let operator = Operator::connect(config)?;
    match command {
        Command::Create(wanted) => create::create(&operator, &wanted, config),
        Command::List(wanted) => list(&operator, &wanted),
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

fn rotate(operator: &Operator, wanted: &Rotate) -> Result<()> {
    let body = RotateKey { grace: Some(wanted.grace) };
    let reply: AccountCredentials = operator.send(Method::POST, &wanted.who.path("/rotate"), &body)?;
    wanted.who.output.print(&reply, |reply| table(&["what", "value"], &credential_rows(reply)))
}

fn delete(operator: &Operator, wanted: &Delete) -> Result<()> {
    let rest = if wanted.now { "?now=true" } else { "" };
    let reply: DeletedAccount = operator.ask(Method::DELETE, &wanted.who.path(rest))?;
    wanted.who.output.print(&reply, |reply| match reply {
        DeletedAccount::Restorable(account) => account_table(account),
        DeletedAccount::Removed(account) => {
            let rows = [row("username", &account.username), row("state", &account.state)];
            table(&["what", "value"], &rows)
        }
    })
}

fn list(operator: &Operator, wanted: &List) -> Result<()> {
    let mut accounts: Vec<AccountView> = Vec::new();
    loop {
        let after = accounts.last().map(|last| last.username.to_string()).unwrap_or_default();
        let query = format!("/accounts?after={after}&limit={PAGE}&search={}", encoded(&wanted.search));
        let page: types::list::List<AccountView> = operator.ask(Method::GET, &query)?;
        let is_last = !page.truncated || page.items.is_empty();
        accounts.extend(page.items);
        if is_last {
            break;
        }
    }
    wanted.output.print(&types::list::List::whole(accounts), |list| {
        let rows: Vec<_> = list.items.iter().map(list_row).collect();
        table(&["username", "fulldomains", "state", "created", "last update", "note"], &rows)
    })
}

fn list_row(account: &AccountView) -> Vec<String> {
    vec![
        cell(&account.username),
        cell(&account.fulldomains),
        cell(&account.state),
        cell(&account.created),
        cell(&account.last_update),
        cell(&account.note),
    ]
}

fn edit(operator: &Operator, wanted: &Edit) -> Result<()> {
    let has_networks = wanted.allow_all || !wanted.allowfrom.is_empty();
    let allowfrom = if has_networks { Some(networks(&wanted.allowfrom)?) } else { None };
    let body = EditAccount { allowfrom, note: wanted.note.clone() };
    print_account(wanted.who.output, &operator.send(Method::PATCH, &wanted.who.path(""), &body)?)
}
