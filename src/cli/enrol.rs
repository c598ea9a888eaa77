//! `enrol ...`: tokens with which others may register, so often, so long, from there.

use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::config::{Config, Registration};

use super::operator::Operator;
use super::table::{cell, table};
use super::{Output, Result, print};

/// `enrol ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a token; prints it this once
    Create(Create),
    /// List tokens: what they are good for, and how often they were used
    List(Output),
    /// Revoke a token; what was registered with it stays
    Revoke(Revoke),
}

/// `enrol create`
#[derive(Debug, Args)]
pub struct Create {
    /// For how many registrations; 0: for none, only for lego's storage
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    count: u32,
    /// For how long, like 24h
    #[arg(long, value_name = "SPAN", default_value = "7d")]
    lifetime: String,
    /// A network from which it may be used; may be repeated
    #[arg(long, value_name = "CIDR")]
    allowfrom: Vec<String>,
    /// A label that it gives, or with a star at the end labels that it lets choose; may be repeated [default: random ones]
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// A remark
    #[arg(long)]
    note: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// `enrol revoke ID`
#[derive(Debug, Args)]
pub struct Revoke {
    /// Its id, as the list shows it
    id: i64,
    #[command(flatten)]
    output: Output,
}

/// Runs a command.
pub fn run(command: Command, config: &Config) -> Result<()> {
    let operator = Operator::connect(config)?;
    match command {
        Command::Create(wanted) => create(&operator, &wanted, config),
        Command::List(output) => list(output, &operator.call(Method::GET, "/enrolments", None)?),
        Command::Revoke(Revoke { id, output }) => {
            let reply = operator.call(Method::DELETE, &format!("/enrolments/{id}"), None)?;
            if output.json { print(&reply.to_string()) } else { print(&format!("{id} revoked")) }
        }
    }
}

fn create(operator: &Operator, wanted: &Create, config: &Config) -> Result<()> {
    let body = json!({
        "uses": wanted.count,
        "lifetime": wanted.lifetime,
        "allowfrom": wanted.allowfrom,
        "labels": wanted.label,
        "note": wanted.note,
    });
    let reply = operator.call(Method::POST, "/enrolments", Some(&body))?;
    if wanted.output.json {
        return print(&reply.to_string());
    }
    let (token, id, expires) = (cell(&reply["token"]), cell(&reply["id"]), cell(&reply["expires"]));
    print(&format!(
        "token:   {token}\nid:      {id}\nexpires: {expires}\n\n\
         Give the token to who may register, as the password or the path in their server's URL\n\
         (https://txtgate:{token}@HOST or https://HOST/{token}), or as `Authorization: Bearer {token}`.\n\
         It is not stored and not shown again."
    ))?;
    if config.api.registration == Registration::Open {
        print("\nRegistration is open here: nobody needs it, but for lego's storage.")?;
    }
    Ok(())
}

fn list(output: Output, reply: &Value) -> Result<()> {
    if output.json {
        return print(&reply["enrolments"].to_string());
    }
    let columns = ["id", "used", "uses", "expires", "allowfrom", "labels", "state", "note"];
    let row = |enrolment: &Value| columns.map(|column| cell(&enrolment[column])).to_vec();
    let rows: Vec<_> = reply["enrolments"].as_array().into_iter().flatten().map(row).collect();
    print(&table(&columns, &rows))
}
