//! `persist publish|list|retire`: persistent authorizations.

use axum::http::Method;
use clap::{Args, Subcommand};

use crate::api::types;
use crate::api::types::values::{NamedPersistent, PublishPersistent, RetirePersistent, Retired};
use crate::config::Config;
use crate::model::time::Span;
use crate::model::txt::persist::PersistValue;

use super::error::Result;
use super::named::{list_path, list_table};
use super::operator::Operator;
use super::output::Output;

/// `persist ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Publish an authorization at a name: its ACME account can get certificates until it is retired
    Publish(PublishPersistentArgs),
    /// List authorizations, of one name or of all
    List(ListPersistentArgs),
    /// Retire one authorization of a name, or all of them
    Retire(RetirePersistentArgs),
}

/// `persist publish NAME VALUE`
#[derive(Debug, Args)]
pub struct PublishPersistentArgs {
    /// A subdomain or a fulldomain
    name: String,
    /// Like "letsencrypt.org; accounturi=https://...; policy=wildcard; persistUntil=1767225600"
    value: PersistValue,
    /// How long it is served, like 365d [default: until it is retired]
    #[arg(long)]
    lifetime: Option<Span>,
    #[command(flatten)]
    output: Output,
}

/// `persist list [NAME]`
#[derive(Debug, Args)]
pub struct ListPersistentArgs {
    /// A subdomain or a fulldomain
    name: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// `persist retire NAME [VALUE]`
#[derive(Debug, Args)]
pub struct RetirePersistentArgs {
    /// A subdomain or a fulldomain
    name: String,
    /// The value [default: all values of the name]
    value: Option<PersistValue>,
    #[command(flatten)]
    output: Output,
}

/// Runs a command.
pub fn run(command: Command, config: &Config) -> Result<()> {
    let operator = Operator::connect(config)?;
    match command {
        Command::Publish(PublishPersistentArgs { name, value, lifetime, output }) => {
            let body = PublishPersistent { name, value, lifetime };
            let reply: NamedPersistent = operator.send(Method::POST, "/persist", &body)?;
            output.print(&reply, |reply| {
                format!("published until {}", reply.value.expires.as_deref().unwrap_or("it is retired"))
            })
        }
        Command::List(ListPersistentArgs { name, output }) => {
            let reply: types::list::List<NamedPersistent> = operator.ask(Method::GET, &list_path("/persist", name))?;
            output.print(&reply, |reply| list_table(reply, ["name", "value", "published", "expires"]))
        }
        Command::Retire(RetirePersistentArgs { name, value, output }) => {
            let reply: Retired = operator.send(Method::DELETE, "/persist", &RetirePersistent { name, value })?;
            output.print(&reply, |reply| format!("{} retired", reply.retired))
        }
    }
}
