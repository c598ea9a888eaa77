//! `txt publish|list|retire`: values, by the operator.

use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::config::Config;

use super::operator::{Operator, encoded};
use super::table::{cell, table};
use super::{Output, Result, print};

/// `txt ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Publish a value at a name
    Publish(Publish),
    /// List live values, of one name or of all
    List(List),
    /// Retire one value of a name, or all of them
    Retire(Retire),
}

/// `txt publish NAME VALUE`
#[derive(Debug, Args)]
pub struct Publish {
    /// A subdomain, a fulldomain, or `_acme-challenge`
    name: String,
    /// 43 characters: base64url(SHA-256(key authorization))
    #[arg(allow_hyphen_values = true)]
    txt: String,
    #[command(flatten)]
    output: Output,
}

/// `txt list [NAME]`
#[derive(Debug, Args)]
pub struct List {
    /// A subdomain, a fulldomain, or `_acme-challenge`
    name: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// `txt retire NAME [VALUE]`
#[derive(Debug, Args)]
pub struct Retire {
    /// A subdomain, a fulldomain, or `_acme-challenge`
    name: String,
    /// The value; all of the name's values without it
    #[arg(allow_hyphen_values = true)]
    txt: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Runs a command.
pub fn run(command: Command, config: &Config) -> Result<()> {
    let operator = Operator::connect(config)?;
    match command {
        Command::Publish(wanted) => {
            let body = json!({ "name": wanted.name, "txt": wanted.txt });
            let reply = operator.call(Method::POST, "/txt", Some(&body))?;
            said(wanted.output, &reply, || format!("published until {}", cell(&reply["expires"])))
        }
        Command::List(wanted) => {
            let query = wanted.name.map(|name| format!("?name={}", encoded(&name))).unwrap_or_default();
            let reply = operator.call(Method::GET, &format!("/txt{query}"), None)?;
            said(wanted.output, &reply, || listed(&reply, ["name", "txt", "published", "expires"]))
        }
        Command::Retire(wanted) => {
            let body = json!({ "name": wanted.name, "txt": wanted.txt });
            let reply = operator.call(Method::DELETE, "/txt", Some(&body))?;
            said(wanted.output, &reply, || format!("{} retired", cell(&reply["retired"])))
        }
    }
}

/// Values as a table.
pub fn listed(reply: &Value, columns: [&str; 4]) -> String {
    let row = |value: &Value| columns.map(|column| cell(&value[column])).to_vec();
    let rows: Vec<Vec<String>> = reply["values"].as_array().into_iter().flatten().map(row).collect();
    let more = if reply["truncated"] == true { "\n(and more; name one)" } else { "" };
    table(&columns, &rows) + more
}

/// Prints a reply as JSON, or what it says.
pub fn said(output: Output, reply: &Value, text: impl FnOnce() -> String) -> Result<()> {
    if output.json { print(&reply.to_string()) } else { print(&text()) }
}
