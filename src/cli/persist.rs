//! `persist publish|list|retire`: persistent authorizations, by the operator.

use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::config::Config;

use super::operator::{Operator, encoded};
use super::table::cell;
use super::txt::{listed, said};
use super::{Output, Result};

/// `persist ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Publish one at a name: whoever has the ACME account gets certificates until it is retired
    Publish(Publish),
    /// List them, of one name or of all
    List(List),
    /// Retire one of a name, or all of them
    Retire(Retire),
}

/// `persist publish NAME VALUE`
#[derive(Debug, Args)]
pub struct Publish {
    /// A subdomain or a fulldomain
    name: String,
    /// Like "letsencrypt.org; accounturi=https://...; policy=wildcard; persistUntil=1767225600"
    value: String,
    /// How long it lives, like 365d; until it is retired without
    #[arg(long)]
    lifetime: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// `persist list [NAME]`
#[derive(Debug, Args)]
pub struct List {
    /// A subdomain or a fulldomain
    name: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// `persist retire NAME [VALUE]`
#[derive(Debug, Args)]
pub struct Retire {
    /// A subdomain or a fulldomain
    name: String,
    /// The value; all of the name's without it
    value: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Runs a command.
pub fn run(command: Command, config: &Config) -> Result<()> {
    let operator = Operator::connect(config)?;
    match command {
        Command::Publish(wanted) => {
            let body = json!({ "name": wanted.name, "value": wanted.value, "lifetime": wanted.lifetime });
            let reply = operator.call(Method::POST, "/persist", Some(&body))?;
            said(wanted.output, &reply, || match reply["expires"].as_str() {
                Some(expires) => format!("published until {expires}"),
                None => "published until it is retired".into(),
            })
        }
        Command::List(wanted) => {
            let query = wanted.name.map(|name| format!("?name={}", encoded(&name))).unwrap_or_default();
            let reply = operator.call(Method::GET, &format!("/persist{query}"), None)?;
            said(wanted.output, &reply, || listed(&reply, ["name", "value", "published", "expires"]))
        }
        Command::Retire(wanted) => {
            let body = json!({ "name": wanted.name, "value": wanted.value });
            let reply = operator.call(Method::DELETE, "/persist", Some(&body))?;
            said(wanted.output, &reply, || format!("{} retired", cell(&reply["retired"])))
        }
    }
}
