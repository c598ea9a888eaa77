//! `txt publish|list|retire`: values of challenges.

use axum::http::Method;
use clap::{Args, Subcommand};

use crate::api::types;
use crate::api::types::served::WithServed;
use crate::api::types::values::{NamedValue, PublishValue, RetireValue, Retired};
use crate::model::txt::TxtValue;

use super::error::Result;
use super::named::{list_path, published_list};
use super::operator::Operator;
use super::output::Output;
use super::served::{WaitArgs, with_served};
use super::target::Target;
use crate::model::time::relative::with_relative;

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
    /// The account's domain, label or fulldomain, or `_acme-challenge`
    name: String,
    /// 43 characters: base64url(SHA-256(key authorization))
    #[arg(allow_hyphen_values = true)]
    txt: TxtValue,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    output: Output,
}

/// `txt list [NAME]`
#[derive(Debug, Args)]
pub struct ListValuesArgs {
    /// The account's domain, label or fulldomain, or `_acme-challenge`
    name: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// `txt retire NAME [VALUE]`
#[derive(Debug, Args)]
pub struct RetireValueArgs {
    /// The account's domain, label or fulldomain, or `_acme-challenge`
    name: String,
    /// The value [default: all values of the name]
    #[arg(allow_hyphen_values = true)]
    txt: Option<TxtValue>,
    #[command(flatten)]
    output: Output,
}

/// Runs a command.
pub fn run(command: Command, target: &Target) -> Result<()> {
    let operator = Operator::connect(target)?;
    match command {
        Command::Publish(PublishValueArgs { name, txt, wait, output }) => {
            let path = wait.path("/txt")?;
            let reply: WithServed<NamedValue> = operator.send(Method::POST, &path, &PublishValue { name, txt })?;
            output.print(&reply, |WithServed { published, served }| {
                let text = format!("published at {} until {}", published.name, with_relative(&published.value.expires));
                with_served(text, served.as_ref())
            })
        }
        Command::List(ListValuesArgs { name, output }) => {
            let reply: types::list::List<NamedValue> = operator.ask(Method::GET, &list_path("/txt", name))?;
            output.print(&reply, |reply| published_list(reply, "live values"))
        }
        Command::Retire(RetireValueArgs { name, txt, output }) => {
            let reply: Retired = operator.send(Method::DELETE, "/txt", &RetireValue { name, txt })?;
            output.print(&reply, |reply| format!("{} retired", reply.retired))
        }
    }
}
