//! `persist publish|list|retire`: persistent authorizations.

use axum::http::Method;
use clap::{Args, Subcommand};

use crate::api::types;
use crate::api::types::served::WithServed;
use crate::api::types::values::{NamedPersistent, PublishPersistent, RetirePersistent, Retired};
use crate::model::time::Span;
use crate::model::txt::persist::PersistValue;

use super::error::Result;
use super::named::{list_path, published_list};
use super::operator::Operator;
use super::output::Output;
use super::served::{WaitArgs, with_served};
use super::target::Target;
use crate::model::time::relative::with_relative;

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
    /// The account's domain, label or fulldomain
    name: String,
    /// Like "letsencrypt.org; accounturi=https://...; policy=wildcard; persistUntil=1767225600"
    value: PersistValue,
    /// How long it is served, like 365d [default: until it is retired]
    #[arg(long)]
    lifetime: Option<Span>,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    output: Output,
}

/// `persist list [NAME]`
#[derive(Debug, Args)]
pub struct ListPersistentArgs {
    /// The account's domain, label or fulldomain
    name: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// `persist retire NAME [VALUE]`
#[derive(Debug, Args)]
pub struct RetirePersistentArgs {
    /// The account's domain, label or fulldomain
    name: String,
    /// The value [default: all values of the name]
    value: Option<PersistValue>,
    #[command(flatten)]
    output: Output,
}

/// Runs a command.
pub fn run(command: Command, target: &Target) -> Result<()> {
    let operator = Operator::connect(target)?;
    match command {
        Command::Publish(PublishPersistentArgs { name, value, lifetime, wait, output }) => {
            let body = PublishPersistent { name, value, lifetime };
            let reply: WithServed<NamedPersistent> = operator.send(Method::POST, &wait.path("/persist")?, &body)?;
            output.print(&reply, |WithServed { published, served }| {
                let end = published.value.expires.as_deref().map_or_else(|| "it is retired".to_owned(), with_relative);
                with_served(format!("published at {} until {end}", published.name), served.as_ref())
            })
        }
        Command::List(ListPersistentArgs { name, output }) => {
            let reply: types::list::List<NamedPersistent> = operator.ask(Method::GET, &list_path("/persist", name))?;
            output.print(&reply, |reply| published_list(reply, "persistent authorizations"))
        }
        Command::Retire(RetirePersistentArgs { name, value, output }) => {
            let reply: Retired = operator.send(Method::DELETE, "/persist", &RetirePersistent { name, value })?;
            output.print(&reply, |reply| format!("{} retired", reply.retired))
        }
    }
}
