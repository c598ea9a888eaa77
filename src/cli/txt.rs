//! `txt publish|list|retire`: values of challenges.

use axum::http::Method;
use clap::{Args, Subcommand};

use crate::api::types;
use crate::api::types::values::{NamedValue, PublishValue, RetireValue, Retired};
use crate::config::Config;
use crate::model::txt::TxtValue;

use super::error::Result;
use super::named::{list_path, list_table};
use super::operator::Operator;
use super::output::Output;

/// `txt ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Publish a value at a name
    Publish(PublishValueArgs),
    /// List live values, of one name or of all
    List(ListValuesArgs),
    /// Retire one value of a name, or all of them
    Retire(RetireValueArgs),
}

/// `txt publish NAME VALUE`
#[derive(Debug, Args)]
pub struct PublishValueArgs {
    /// A subdomain, a fulldomain, or `_acme-challenge`
    name: String,
    /// 43 characters: base64url(SHA-256(key authorization))
    #[arg(allow_hyphen_values = true)]
    txt: TxtValue,
    #[command(flatten)]
    output: Output,
}

/// `txt list [NAME]`
#[derive(Debug, Args)]
pub struct ListValuesArgs {
    /// A subdomain, a fulldomain, or `_acme-challenge`
    name: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// `txt retire NAME [VALUE]`
#[derive(Debug, Args)]
pub struct RetireValueArgs {
    /// A subdomain, a fulldomain, or `_acme-challenge`
    name: String,
    /// The value [default: all values of the name]
    #[arg(allow_hyphen_values = true)]
    txt: Option<TxtValue>,
    #[command(flatten)]
    output: Output,
}

/// Runs a command.
pub fn run(command: Command, config: &Config) -> Result<()> {
    let operator = Operator::connect(config)?;
    match command {
        Command::Publish(PublishValueArgs { name, txt, output }) => {
            let reply: NamedValue = operator.send(Method::POST, "/txt", &PublishValue { name, txt })?;
            output.print(&reply, |reply| format!("published until {}", reply.value.expires))
        }
        Command::List(ListValuesArgs { name, output }) => {
            let reply: types::list::List<NamedValue> = operator.ask(Method::GET, &list_path("/txt", name))?;
            output.print(&reply, |reply| list_table(reply, ["name", "txt", "published", "expires"]))
        }
        Command::Retire(RetireValueArgs { name, txt, output }) => {
            let reply: Retired = operator.send(Method::DELETE, "/txt", &RetireValue { name, txt })?;
            output.print(&reply, |reply| format!("{} retired", reply.retired))
        }
    }
}
