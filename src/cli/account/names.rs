//! `account add-subdomain`, `remove-subdomain` and `alias ...`: further names of an account.

use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::operator::Operator;
use crate::cli::table::cell;
use crate::cli::{CliError, Output, Result, print};
use crate::model::name::ZoneName;

use super::{Who, path, shown};

/// `account add-subdomain WHO [LABEL]`
#[derive(Debug, Args)]
pub struct AddSubdomain {
    #[command(flatten)]
    who: Who,
    /// A label of choice, in place of a random one
    label: Option<String>,
    /// The zone, in place of the first one
    #[arg(long)]
    zone: Option<String>,
}

/// `account remove-subdomain WHO LABEL`
#[derive(Debug, Args)]
pub struct RemoveSubdomain {
    #[command(flatten)]
    who: Who,
    /// The label
    label: String,
    /// Its zone, where the account has the label in several
    #[arg(long)]
    zone: Option<String>,
}

/// `account grant WHO ZONE`, `account revoke WHO ZONE`
#[derive(Debug, Args)]
pub struct Grant {
    #[command(flatten)]
    who: Who,
    /// The zone
    zone: ZoneName,
}

impl Grant {
    /// The zone as it is sent. An ordinary one belongs to nobody: a subdomain must not be added or lost by mistake.
    fn zone(&self) -> Result<String> {
        if self.zone.is_challenge() {
            return Ok(self.zone.to_string());
        }
        let problem = "is no challenge zone, like _acme-challenge.example.com; see `account add-subdomain`";
        Err(CliError::Usage(format!("{} {problem}", self.zone)))
    }
}

/// `account alias ...`
#[derive(Debug, Subcommand)]
pub enum Alias {
    /// Have a name like _acme-challenge.example.com stand for a subdomain of the account
    Add(AddAlias),
    /// Take an alias away
    Remove(RemoveAlias),
}

/// `account alias add WHO ALIAS [SUBDOMAIN]`
#[derive(Debug, Args)]
pub struct AddAlias {
    #[command(flatten)]
    who: Who,
    /// The name, like _acme-challenge.example.com
    alias: String,
    /// The label that it stands for, where the account has several
    subdomain: Option<String>,
    /// Its zone, where the account has the label in several
    #[arg(long)]
    zone: Option<String>,
}

/// `account alias remove WHO ALIAS`
#[derive(Debug, Args)]
pub struct RemoveAlias {
    #[command(flatten)]
    who: Who,
    /// The name
    alias: String,
}

pub fn add_subdomain(operator: &Operator, wanted: &AddSubdomain) -> Result<()> {
    let body = json!({ "subdomain": wanted.label, "zone": wanted.zone });
    let reply = operator.call(Method::POST, &path(&wanted.who, "/subdomains"), Some(&body))?;
    said(wanted.who.output, &reply, &cell(&reply["fulldomain"]))
}

pub fn remove_subdomain(operator: &Operator, wanted: &RemoveSubdomain) -> Result<()> {
    let body = json!({ "subdomain": wanted.label, "zone": wanted.zone });
    shown(wanted.who.output, &operator.call(Method::DELETE, &path(&wanted.who, "/subdomains"), Some(&body))?)
}

pub fn grant(operator: &Operator, wanted: &Grant) -> Result<()> {
    let body = json!({ "zone": wanted.zone()? });
    let reply = operator.call(Method::POST, &path(&wanted.who, "/subdomains"), Some(&body))?;
    said(wanted.who.output, &reply, &cell(&reply["fulldomain"]))
}

pub fn revoke(operator: &Operator, wanted: &Grant) -> Result<()> {
    let body = json!({ "subdomain": wanted.zone()? });
    shown(wanted.who.output, &operator.call(Method::DELETE, &path(&wanted.who, "/subdomains"), Some(&body))?)
}

pub fn alias(operator: &Operator, wanted: &Alias) -> Result<()> {
    match wanted {
        Alias::Add(wanted) => {
            let body = json!({ "alias": wanted.alias, "subdomain": wanted.subdomain, "zone": wanted.zone });
            let reply = operator.call(Method::POST, &path(&wanted.who, "/aliases"), Some(&body))?;
            let line = format!("{} stands for {}", cell(&reply["alias"]), cell(&reply["fulldomain"]));
            said(wanted.who.output, &reply, &line)
        }
        Alias::Remove(wanted) => {
            let body = json!({ "alias": wanted.alias });
            let reply = operator.call(Method::DELETE, &path(&wanted.who, "/aliases"), Some(&body))?;
            said(wanted.who.output, &reply, &format!("{} removed", cell(&reply["removed"])))
        }
    }
}

fn said(output: Output, reply: &Value, line: &str) -> Result<()> {
    if output.json { print(&reply.to_string()) } else { print(line) }
}
