//! `cert issue`: a certificate that the daemon gets and keeps.

use std::path::PathBuf;

use axum::http::Method;
use clap::Args;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};

use crate::api::types::certificates::{ManagedCertificateView, RequestCertificate};
use crate::cli::error::{CliError, Result};
use crate::cli::operator::Operator;
use crate::cli::output::print;
use crate::cli::table::cell;

use super::follow::follow;

/// `cert issue --name NAME ... [-- HOOK ARGUMENT ...]`
#[derive(Debug, Args)]
pub struct IssueArgs {
    /// A name in the certificate, like example.com or *.example.com; may be repeated
    #[arg(long = "name", required = true, value_name = "NAME")]
    names: Vec<String>,
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
    /// Do not wait for the certificate
    #[arg(long)]
    no_wait: bool,
    /// The deploy hook by its absolute path, and its arguments
    #[arg(last = true, value_name = "HOOK")]
    hook: Vec<String>,
}

/// Asks for the certificate, and waits until it is there.
pub fn issue(operator: &Operator, wanted: &IssueArgs) -> Result<()> {
    let view: ManagedCertificateView = operator.send(Method::POST, "/certificates", &request(wanted)?)?;
    if wanted.no_wait {
        return print(&format!("{} is requested; `txtgate cert list` shows its progress", cell(&view.name)));
    }
    follow(operator, &view)
}

fn request(wanted: &IssueArgs) -> Result<RequestCertificate> {
    let mut request = RequestCertificate::of_names(wanted.names.clone());
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
    T::deserialize(word).map(Some).map_err(|error| CliError::Usage(format!("{argument}: {error}")))
}
