//! `cert issue`: a certificate that the daemon gets and keeps.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use axum::http::Method;
use clap::Args;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};

use crate::api::types::certificates::{ManagedCertificateView, RequestCertificate};
use crate::cli::error::{CliError, Result};
use crate::cli::operator::Operator;
use crate::cli::output::{print, tell};
use crate::cli::table::{cell, printable};

use super::follow::follow;

/// `cert issue NAME... [-- HOOK ARGUMENT ...]`
#[derive(Debug, Args)]
pub struct IssueArgs {
    /// The names in the certificate, like example.com '*.example.com'
    #[arg(required_unless_present = "more_names", value_name = "NAME")]
    names: Vec<String>,
    /// The same with an option for each name, for scripts
    #[arg(long = "name", hide = true, value_name = "NAME")]
    more_names: Vec<String>,
    /// The certificate's name [default: its first DNS name]
    #[arg(long, value_name = "NAME")]
    cert_name: Option<String>,
    /// The folder for live/ and archive/ [default: certificates, beside the database]
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
    /// p256 or p384
    #[arg(long)]
    key_type: Option<String>,
    /// How the names are proven: dns-01, dns-account-01 or dns-persist-01 [default: as the configuration says]
    #[arg(long, value_name = "METHOD")]
    challenge: Option<String>,
    /// A certificate profile of the CA
    #[arg(long)]
    profile: Option<String>,
    /// Go on without names that cannot be proven, as long as one can
    #[arg(long)]
    allow_subset: bool,
    /// The owner of the files
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// The group of the files
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
    /// The user that the hook runs as
    #[arg(long, value_name = "USER")]
    hook_user: Option<String>,
    /// The group that the hook runs in
    #[arg(long, value_name = "GROUP")]
    hook_group: Option<String>,
    /// How long the hook may run [default: 60s]
    #[arg(long, value_name = "SPAN")]
    hook_timeout: Option<String>,
    /// Take names and settings from a certificate that is there, without asking
    #[arg(long)]
    replace: bool,
    /// Do not wait for the certificate
    #[arg(long)]
    no_wait: bool,
    /// The deploy hook by its absolute path, and its arguments
    #[arg(last = true, value_name = "HOOK")]
    hook: Vec<String>,
}

/// Asks for the certificate, and waits until it is there.
pub fn issue(operator: &Operator, wanted: &IssueArgs) -> Result<()> {
    let view = send(operator, &request(wanted)?, wanted.replace)?;
    if !view.changes.is_empty() {
        print(&format!("{} is there already; this changes it:\n{}", cell(&view.name), lines(&view.changes)))?;
    }
    if wanted.no_wait {
        return print(&format!("{} is requested; `txtgate cert list` shows its progress", cell(&view.name)));
    }
    follow(operator, &view)
}

/// Sends the request. If it would take something from a certificate that is there, asks whoever sits at the terminal.
fn send(operator: &Operator, request: &RequestCertificate, replaces: bool) -> Result<ManagedCertificateView> {
    let path = if replaces { "/certificates?replace=true" } else { "/certificates" };
    match operator.send(Method::POST, path, request) {
        Err(CliError::Replaces(problem)) if is_wanted(&problem)? => send(operator, request, true),
        done => done,
    }
}

/// Asks for a yes. Nobody can be asked without a terminal.
fn is_wanted(problem: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    tell(&printable(problem));
    write!(std::io::stderr(), "Replace it? [y/N] ")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn lines(changes: &[String]) -> String {
    changes.iter().map(|line| format!("  {}", printable(line))).collect::<Vec<_>>().join("\n")
}

fn request(wanted: &IssueArgs) -> Result<RequestCertificate> {
    let mut request = RequestCertificate::of_names([&wanted.names[..], &wanted.more_names].concat());
    // A relative directory is the caller's, not the daemon's.
    if let Some(directory) = &wanted.directory {
        request.directory = std::path::absolute(directory)?;
    }
    if let Some(path) = &wanted.pkcs12_password_file {
        request.pkcs12_password_file = Some(std::path::absolute(path)?);
    }
    if let Some(mode) = &wanted.mode {
        request.mode.clone_from(mode);
    }
    if let Some(timeout) = &wanted.hook_timeout {
        request.hook_timeout.clone_from(timeout);
    }
    Ok(RequestCertificate {
        name: wanted.cert_name.clone(),
        key_type: word("--key-type", wanted.key_type.as_deref())?,
        challenge: word("--challenge", wanted.challenge.as_deref())?,
        profile: wanted.profile.clone(),
        allow_subset: wanted.allow_subset,
        owner: wanted.owner.clone(),
        group: wanted.group.clone(),
        pkcs12: wanted.pkcs12,
        hook: wanted.hook.clone(),
        hook_user: wanted.hook_user.clone(),
        hook_group: wanted.hook_group.clone(),
        ..request
    })
}

/// A word of the configuration, as an argument.
fn word<'a, T: Deserialize<'a>>(argument: &str, text: Option<&'a str>) -> Result<Option<T>> {
    let Some(text) = text else { return Ok(None) };
    let word: StrDeserializer<'a, ValueError> = text.into_deserializer();
    T::deserialize(word).map(Some).map_err(|error: ValueError| {
        // serde's message ends with what is expected.
        let error = error.to_string();
        let expected = error.rsplit_once("expected ").map_or(error.as_str(), |(_, expected)| expected);
        CliError::Usage(format!("{argument}: write {expected}; found {text:?}"))
    })
}
