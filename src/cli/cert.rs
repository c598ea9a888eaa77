//! `cert ...`: certificates that the daemon gets and keeps for other programs.

mod progress;

use std::path::PathBuf;
use std::time::Duration;

use axum::http::Method;
use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::delegation::challenge_target::Missing;

use super::operator::{Operator, encoded};
use super::status::rows;
use super::table::{cell, printable, table};
use super::{CliError, Output, Result, print};
use progress::Progress;

/// Between two looks at what the daemon does.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// `cert ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Get a certificate and keep it renewed; exits with 3 where records are missing, and prints them
    Issue(Box<Issue>),
    /// List certificates: what renews when, and what fails
    List(Output),
    /// Show one certificate
    Show(Show),
    /// Get another certificate now, or try again what has failed
    Renew(Named),
    /// Revoke a certificate; it is not renewed then
    Revoke(Revoke),
    /// Forget a certificate that a command has asked for, and delete its files
    Delete(Named),
}

/// `cert issue --name NAME ... [-- HOOK ARGUMENT ...]`
#[derive(Debug, Args)]
pub struct Issue {
    /// A name in the certificate, like example.com or *.example.com; may be repeated
    #[arg(long = "name", required = true, value_name = "NAME")]
    names: Vec<String>,
    /// What to call it [default: its first name]
    #[arg(long, value_name = "NAME")]
    cert_name: Option<String>,
    /// The folder for live/ and archive/ [default: certificates, beside the database]
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
    /// p256 or p384
    #[arg(long)]
    key_type: Option<String>,
    /// How the names are proven: dns-01, dns-account-01 or dns-persist-01 [default: that of the configuration]
    #[arg(long, value_name = "METHOD")]
    challenge: Option<String>,
    /// A certificate profile of the CA's
    #[arg(long)]
    profile: Option<String>,
    /// Whose the files are
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// Their group
    #[arg(long)]
    group: Option<String>,
    /// The mode of the private key's file, like 0640
    #[arg(long)]
    mode: Option<String>,
    /// Write bundle.p12 as well, with certificate, chain and key
    #[arg(long, requires = "pkcs12_password_file")]
    pkcs12: bool,
    /// The file with the bundle's password as its only line, mode 0600; the daemon reads it
    #[arg(long, value_name = "FILE", requires = "pkcs12")]
    pkcs12_password_file: Option<PathBuf>,
    /// As whom the hook runs
    #[arg(long, value_name = "USER")]
    hook_user: Option<String>,
    /// In which group the hook runs
    #[arg(long, value_name = "GROUP")]
    hook_group: Option<String>,
    /// How long the hook may take [default: 60s]
    #[arg(long, value_name = "SPAN")]
    hook_timeout: Option<String>,
    /// Do not wait until it is there
    #[arg(long)]
    no_wait: bool,
    /// The deploy hook by its whole path, and its arguments
    #[arg(last = true, value_name = "HOOK")]
    hook: Vec<String>,
}

/// `cert show NAME`
#[derive(Debug, Args)]
pub struct Show {
    /// What it is called
    name: String,
    #[command(flatten)]
    output: Output,
}

/// `cert renew NAME`, `cert delete NAME`
#[derive(Debug, Args)]
pub struct Named {
    /// What it is called
    name: String,
}

/// `cert revoke NAME`
#[derive(Debug, Args)]
pub struct Revoke {
    /// What it is called
    name: String,
    /// Why
    #[arg(long, value_enum, default_value_t = Why::Unspecified)]
    reason: Why,
}

/// Reasons that subscribers may give (RFC 5280 section 5.3.1).
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Why {
    Unspecified,
    KeyCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
}

/// Runs a command.
pub fn run(command: Command, config: &Config) -> Result<()> {
    let operator = Operator::of_daemon(config)?;
    match command {
        Command::Issue(wanted) => issue(&operator, &wanted),
        Command::List(output) => list(output, &operator.call(Method::GET, "/certificates", None)?),
        Command::Show(Show { name, output }) => {
            let mut shown = operator.call(Method::GET, &path(&name, ""), None)?;
            if output.json {
                return print(&shown.to_string());
            }
            let steps = shown["progress"].as_array().into_iter().flatten();
            shown["progress"] =
                steps.map(|step| (cell(&step["name"]), step["state"].clone())).collect::<Map<_, _>>().into();
            print(&table(&["what", "value"], &rows(&shown)))
        }
        Command::Renew(Named { name }) => {
            let before = operator.call(Method::POST, &path(&name, "/renew"), None)?;
            follow(&operator, &before)
        }
        Command::Revoke(Revoke { name, reason }) => {
            let reason = reason.to_possible_value().map(|value| value.get_name().to_owned());
            operator.call(Method::POST, &path(&name, "/revoke"), Some(&json!({ "reason": reason })))?;
            print(&format!(
                "{name} is revoked, and is not renewed; its files are still there\n\
                 `txtgate cert renew {name}` gets another one, `txtgate cert delete {name}` removes it"
            ))
        }
        Command::Delete(Named { name }) => {
            let reply = operator.call(Method::DELETE, &path(&name, ""), None)?;
            print(&format!("{name} is deleted; the labels that its names' CNAMEs lead to stay yours"))?;
            told("These persistent authorizations are withdrawn:", &reply["withdrawn"])?;
            told("These records still let this account get certificates; delete them yourself:", &reply["standing"])
        }
    }
}

/// Prints lines below a heading, if there are any.
fn told(heading: &str, lines: &Value) -> Result<()> {
    let lines: Vec<String> = lines.as_array().into_iter().flatten().map(cell).collect();
    if lines.is_empty() { Ok(()) } else { print(&format!("{heading}\n{}", lines.join("\n"))) }
}

fn path(name: &str, what: &str) -> String {
    format!("/certificates/{}{what}", encoded(name))
}

fn issue(operator: &Operator, wanted: &Issue) -> Result<()> {
    let directory = wanted.directory.as_ref().map(std::path::absolute).transpose()?;
    let password_file = wanted.pkcs12_password_file.as_ref().map(std::path::absolute).transpose()?;
    let mut body = json!({
        "name": wanted.cert_name,
        "names": wanted.names,
        "directory": directory,
        "key-type": wanted.key_type,
        "challenge": wanted.challenge,
        "profile": wanted.profile,
        "owner": wanted.owner,
        "group": wanted.group,
        "mode": wanted.mode,
        "pkcs12": wanted.pkcs12.then_some(true),
        "pkcs12-password-file": password_file,
        "hook": wanted.hook,
        "hook-user": wanted.hook_user,
        "hook-group": wanted.hook_group,
        "hook-timeout": wanted.hook_timeout,
    });
    // What is not said is the daemon's to choose.
    body.as_object_mut().into_iter().for_each(|body| body.retain(|_, value| !value.is_null()));
    let listed = operator.call(Method::POST, "/certificates", Some(&body))?;
    if wanted.no_wait {
        return print(&format!("{} is asked for; `txtgate cert list` tells how it is", cell(&listed["name"])));
    }
    follow(operator, &listed)
}

/// Shows what is done until it is done, or has failed.
fn follow(operator: &Operator, before: &Value) -> Result<()> {
    let name = cell(&before["name"]);
    let mut progress = Progress::new(&name);
    loop {
        let now = operator.call(Method::GET, &path(&name, ""), None)?;
        let has_ended = now["ended"].as_u64() > before["ended"].as_u64() && now["stage"].is_null();
        let is_over = has_ended && (now["asked"] == false || now["problem"].is_string());
        // Before it begins there is the last order's to be seen.
        if is_over || now["stage"].is_string() {
            progress.update(&now)?;
        }
        if is_over {
            progress.end();
            return outcome(&name, &now);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn outcome(name: &str, now: &Value) -> Result<()> {
    // What a daemon of another version says of them in its own way stands in its problem as well.
    let missing = Vec::<Missing>::deserialize(&now["missing"]).unwrap_or_default();
    if !missing.is_empty() {
        print("Add these records, once and for ever:\n")?;
        let records = |one: &Missing| {
            let records: Vec<String> = one.records().map(|record| printable(&record)).collect();
            records.join("\nor, in place of it,\n")
        };
        print(&missing.iter().map(records).collect::<Vec<_>>().join("\n"))?;
        let found = |one: &Missing| printable(&format!("{}: {}", one.name, one.found));
        let found = missing.iter().map(found).collect::<Vec<_>>().join("; ");
        let what = if missing.iter().any(|one| one.txt.is_some()) {
            "persistent authorizations are missing"
        } else {
            "names of the certificate are not delegated to this server yet"
        };
        return Err(CliError::Missing(format!(
            "{what}: {found}; when the records are there, run `txtgate cert renew {name}`, or wait: the daemon tries \
             again by itself"
        )));
    }
    if let Some(problem) = now["problem"].as_str() {
        return Err(CliError::Refused(problem.to_owned()));
    }
    print(&format!(
        "{name}: valid until {}, renewed from {} on, in {}",
        cell(&now["shown"]["not_after"]),
        cell(&now["renew_at"]),
        cell(&now["live"])
    ))?;
    if let Some(caa) = now["caa"].as_str() {
        print(&format!("This record at your domain lets nobody else get certificates for it:\n{caa}"))?;
    }
    Ok(())
}

fn list(output: Output, reply: &Value) -> Result<()> {
    let certificates = &reply["certificates"];
    if output.json {
        return print(&certificates.to_string());
    }
    let row = |one: &Value| {
        let shown = &one["shown"];
        let state = match (one["problem"].as_str(), one["stage"].as_str(), &one["revoked"]) {
            (_, Some(_), _) => cell(&one["stage"]),
            (Some(_), _, _) => format!("failed {} times: {}", one["failures"], cell(&one["problem"])),
            (None, None, Value::Bool(true)) => "revoked".to_owned(),
            _ => "well".to_owned(),
        };
        let next = if one["next_attempt"].is_string() { &one["next_attempt"] } else { &one["renew_at"] };
        [cell(&one["name"]), cell(&one["names"]), cell(&shown["not_after"]), cell(next), state].to_vec()
    };
    let rows: Vec<_> = certificates.as_array().into_iter().flatten().map(row).collect();
    print(&table(&["name", "names", "valid until", "next", "state"], &rows))
}
