//! `account ...`: who may publish.

mod names;
mod tsig;

use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::config::{Config, ZoneSettings};
use crate::model::name::{CHALLENGE_LABEL, Name, PERSIST_LABEL};

use super::operator::{Operator, encoded};
use super::settings::{Format, Registered};
use super::table::{cell, table};
use super::{CliError, Output, Result, print};

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
    AddSubdomain(names::AddSubdomain),
    /// Take a subdomain away from an account, with its values and aliases
    RemoveSubdomain(names::RemoveSubdomain),
    /// Give an account a challenge zone as a whole, like _acme-challenge.example.com
    Grant(names::Grant),
    /// Take a challenge zone away from an account, with all values in it
    Revoke(names::Grant),
    /// Names in other zones that stand for an account's own, for clients that do not follow CNAMEs
    #[command(subcommand)]
    Alias(names::Alias),
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

/// `account create DOMAIN`
#[derive(Debug, Args)]
pub struct Create {
    /// The domain that the certificate is for, like example.com
    domain: String,
    /// A label of choice, in place of a random one
    #[arg(long, value_name = "LABEL")]
    subdomain: Option<String>,
    /// The zone, in place of the first one; a challenge zone becomes the account's as a whole
    #[arg(long)]
    zone: Option<String>,
    /// A network from which the account may be used; may be repeated
    #[arg(long, value_name = "CIDR")]
    allowfrom: Vec<String>,
    /// A remark, in place of the domain
    #[arg(long)]
    note: Option<String>,
    /// The API's address as clients reach it [default: where this configuration listens]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Give it a TSIG key as well, and the domain's challenge as an alias, for clients that send DNS UPDATEs
    #[arg(long, value_name = "ALGORITHM", num_args = 0..=1, default_missing_value = "hmac-sha256")]
    tsig: Option<String>,
    /// The DNS listener's host and port as clients reach it [default: where this configuration listens]
    #[arg(long, value_name = "HOST:PORT")]
    dns_server: Option<String>,
    /// Settings for which client
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as --format json
    #[arg(long)]
    json: bool,
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

/// An account.
#[derive(Debug, Args)]
pub struct Who {
    /// A username, a subdomain or a fulldomain
    who: String,
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
    note: Option<String>,
}

/// `account rotate WHO`
#[derive(Debug, Args)]
pub struct Rotate {
    #[command(flatten)]
    who: Who,
    /// For how long the old key works on, like 1h
    #[arg(long, default_value = "0s")]
    grace: String,
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
        Command::Create(wanted) => create(&operator, &wanted, config),
        Command::List(wanted) => list(&operator, &wanted),
        Command::Show(who) => shown(who.output, &operator.call(Method::GET, &path(&who, ""), None)?),
        Command::Edit(wanted) => edit(&operator, &wanted),
        Command::Rotate(wanted) => {
            let body = json!({ "grace": wanted.grace });
            shown(wanted.who.output, &operator.call(Method::POST, &path(&wanted.who, "/rotate"), Some(&body))?)
        }
        Command::AddSubdomain(wanted) => names::add_subdomain(&operator, &wanted),
        Command::RemoveSubdomain(wanted) => names::remove_subdomain(&operator, &wanted),
        Command::Grant(wanted) => names::grant(&operator, &wanted),
        Command::Revoke(wanted) => names::revoke(&operator, &wanted),
        Command::Alias(wanted) => names::alias(&operator, &wanted),
        Command::Tsig(wanted) => tsig::tsig(&operator, &wanted),
        Command::Disable(who) => shown(who.output, &operator.call(Method::POST, &path(&who, "/disable"), None)?),
        Command::Enable(who) => shown(who.output, &operator.call(Method::POST, &path(&who, "/enable"), None)?),
        Command::Delete(wanted) => {
            let rest = if wanted.now { "?now=true" } else { "" };
            shown(wanted.who.output, &operator.call(Method::DELETE, &path(&wanted.who, rest), None)?)
        }
    }
}

fn path(who: &Who, rest: &str) -> String {
    format!("/accounts/{}{rest}", encoded(&who.who))
}

fn create(operator: &Operator, wanted: &Create, config: &Config) -> Result<()> {
    let typed: Name = match wanted.domain.strip_prefix("*.").unwrap_or(&wanted.domain).parse() {
        Ok(name) => name,
        Err(error) => return Err(CliError::Usage(format!("{:?} is no domain: {error}", wanted.domain))),
    };
    let domain = typed.to_string();
    let domain = domain.as_str();
    let under = [CHALLENGE_LABEL, PERSIST_LABEL].iter().find_map(|label| domain.strip_prefix(label)?.strip_prefix('.'));
    let domain = under.unwrap_or(domain);
    if wanted.format.needs_tsig() && wanted.tsig.is_none() {
        return Err(CliError::Usage("this format is for clients with a TSIG key; add --tsig".into()));
    }
    let body = json!({
        "subdomain": wanted.subdomain,
        "zone": wanted.zone,
        "allowfrom": wanted.allowfrom,
        "note": wanted.note.as_deref().unwrap_or(domain),
    });
    let mut reply = operator.call(Method::POST, "/accounts", Some(&body))?;
    if let Some(algorithm) = &wanted.tsig {
        reply["tsig"] = with_tsig(operator, domain, &reply, algorithm, config)?;
    }
    let dns = wanted.dns_server.clone().unwrap_or_else(|| listening_for_dns(config));
    let server = wanted.server.clone().unwrap_or_else(|| listening(config));
    let records = delegation(domain, &reply, config);
    let registered = Registered { domain, records, server: server.trim_end_matches('/'), dns, reply: &reply };
    print(&registered.settings(if wanted.json { Format::Json } else { wanted.format }))
}

/// Gives a new account a TSIG key, and the domain's challenge as an alias: clients that send UPDATEs mostly follow no
/// CNAME, and name that. Where it lies in a zone of ours it is an owner itself.
fn with_tsig(operator: &Operator, domain: &str, account: &Value, algorithm: &str, config: &Config) -> Result<Value> {
    let who = account["username"].as_str().unwrap_or_default();
    let alias = format!("{CHALLENGE_LABEL}.{domain}");
    let is_in = |zone: &ZoneSettings| alias.parse::<Name>().is_ok_and(|alias| alias.is_in(zone.name.apex()));
    if !config.zones.iter().any(is_in) {
        let body = json!({ "alias": alias });
        operator.call(Method::POST, &format!("/accounts/{who}/aliases"), Some(&body))?;
    }
    tsig::create(operator, who, algorithm)
}

/// The records that lead from the domain to the account's name: a CNAME, or, where that name is the domain's own, NS.
fn delegation(domain: &str, reply: &Value, config: &Config) -> Vec<String> {
    let fulldomain = reply["fulldomain"].as_str().unwrap_or_default();
    let label = if fulldomain.starts_with(PERSIST_LABEL) { PERSIST_LABEL } else { CHALLENGE_LABEL };
    let own = format!("{label}.{domain}");
    if own != fulldomain {
        return vec![format!("{own}. CNAME {fulldomain}.")];
    }
    let zone = config.zones.iter().find(|zone| zone.name.to_string() == fulldomain);
    let nameservers = zone.into_iter().flat_map(|zone| &zone.nameservers);
    nameservers.map(|nameserver| format!("{fulldomain}. NS {nameserver}.")).collect()
}

/// Where the API listens, as far as the configuration tells; people who come from elsewhere give --server.
fn listening(config: &Config) -> String {
    let scheme = if config.api.tls.is_some() { "https" } else { "http" };
    let Some(address) = config.api.listen.first() else { return String::new() };
    if !address.ip().is_unspecified() {
        return format!("{scheme}://{address}");
    }
    // Nobody connects to 0.0.0.0; the zone's own name is where most put the API.
    let ordinary = config.zones.iter().find(|zone| !zone.name.is_challenge());
    let host = ordinary.map(|zone| zone.name.to_string()).unwrap_or_default();
    match (scheme, address.port()) {
        ("https", 443) | ("http", 80) => format!("{scheme}://{host}"),
        (_, port) => format!("{scheme}://{host}:{port}"),
    }
}

/// Where DNS listens, in the same way.
fn listening_for_dns(config: &Config) -> String {
    let Some(address) = config.dns.listen.first() else { return String::new() };
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let nameserver = config.zones.first().and_then(|zone| zone.nameservers.first());
    let host = nameserver.map(ToString::to_string).unwrap_or_default();
    format!("{host}:{}", address.port())
}

fn list(operator: &Operator, wanted: &List) -> Result<()> {
    let mut accounts: Vec<Value> = Vec::new();
    loop {
        let after = accounts.last().and_then(|last| last["username"].as_str()).unwrap_or_default();
        let query = format!("/accounts?after={after}&limit={PAGE}&search={}", encoded(&wanted.search));
        let mut reply = operator.call(Method::GET, &query, None)?;
        let Some(page) = reply["accounts"].as_array_mut() else { break };
        let is_last = page.len() < PAGE;
        accounts.append(page);
        if is_last {
            break;
        }
    }
    if wanted.output.json {
        return print(&Value::Array(accounts).to_string());
    }
    let columns = ["username", "fulldomains", "state", "created", "last_update", "note"];
    let row = |account: &Value| columns.map(|column| cell(&account[column])).to_vec();
    print(&table(&columns.map(|column| column.replace('_', " ")), &accounts.iter().map(row).collect::<Vec<_>>()))
}

fn edit(operator: &Operator, wanted: &Edit) -> Result<()> {
    let mut body = json!({});
    if wanted.allow_all || !wanted.allowfrom.is_empty() {
        body["allowfrom"] = json!(wanted.allowfrom);
    }
    if let Some(note) = &wanted.note {
        body["note"] = json!(note);
    }
    shown(wanted.who.output, &operator.call(Method::PATCH, &path(&wanted.who, ""), Some(&body))?)
}

/// One account as rows of key and value, a row for each name, for each value there and for each alias.
fn shown(output: Output, reply: &Value) -> Result<()> {
    if output.json {
        return print(&reply.to_string());
    }
    let mut rows = Vec::new();
    for (key, value) in reply.as_object().into_iter().flatten() {
        match key.as_str() {
            "owners" => value.as_array().into_iter().flatten().for_each(|owner| owner_rows(owner, &mut rows)),
            "aliases" => value.as_array().into_iter().flatten().for_each(|alias| rows.push(alias_row(alias))),
            // The same names, for lists.
            "fulldomains" => {}
            _ => rows.push(vec![key.replace('_', " "), cell(value)]),
        }
    }
    print(&table(&["what", "value"], &rows))
}

fn alias_row(alias: &Value) -> Vec<String> {
    vec!["alias".into(), format!("{} for {}", cell(&alias["alias"]), cell(&alias["fulldomain"]))]
}

fn owner_rows(owner: &Value, rows: &mut Vec<Vec<String>>) {
    rows.push(vec!["fulldomain".into(), cell(&owner["fulldomain"])]);
    for value in owner["values"].as_array().into_iter().flatten() {
        rows.push(vec!["value".into(), format!("{} until {}", cell(&value["txt"]), cell(&value["expires"]))]);
    }
    for value in owner["persistent"].as_array().into_iter().flatten() {
        let until = value["expires"].as_str().unwrap_or("it is retired");
        rows.push(vec!["persistent".into(), format!("{} until {until}", cell(&value["value"]))]);
    }
}
