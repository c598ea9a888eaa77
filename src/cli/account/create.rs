//! `account create`: an account for a domain, with the records and the settings that lead to it.

use axum::http::{Method, Uri};
use clap::Args;

use crate::api::client_settings::{ClientFormat, ClientSettings};
use crate::api::types::accounts::{AccountCredentials, CreateAccount};
use crate::api::types::server::ServerSettings;
use crate::cli::error::{CliError, Result};
use crate::cli::networks::networks;
use crate::cli::operator::Operator;
use crate::cli::output::{print, tell};
use crate::model::account::Note;
use crate::model::name::{Subdomain, ZoneName};
use crate::model::tsig::Algorithm;
use crate::model::url::{is_loopback, with_ascii_host};

use super::bulk::{self, BulkArgs};
use super::records::{alias, domain, note};

/// `account create DOMAIN`
#[derive(Debug, Args)]
pub struct CreateAccountArgs {
    /// The domain that the certificate is for, like example.com
    #[arg(required_unless_present = "from")]
    domain: Option<String>,
    /// A label of choice, in place of a random one
    #[arg(long, value_name = "LABEL")]
    subdomain: Option<Subdomain>,
    /// The zone, in place of the first one; a challenge zone becomes the account's as a whole
    #[arg(long)]
    zone: Option<ZoneName>,
    /// A network from which the account may be used; may be repeated
    #[arg(long, value_name = "CIDR")]
    allowfrom: Vec<String>,
    /// A remark, which follows the domain in the account's note
    #[arg(long)]
    note: Option<Note>,
    /// The API's address as clients reach it [default: `url` in [api], or where it listens]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Create a TSIG key as well, and the domain's challenge as an alias, for clients that send DNS UPDATEs
    #[arg(long, value_name = "ALGORITHM", num_args = 0..=1, default_missing_value = "hmac-sha256")]
    tsig: Option<Algorithm>,
    /// The DNS listener's host and port as clients reach it [default: where this configuration listens]
    #[arg(long, value_name = "HOST:PORT")]
    dns_server: Option<String>,
    /// The client to print settings for
    #[arg(long, value_enum, default_value_t = ClientFormat::Text)]
    format: ClientFormat,
    /// The same as --format json
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bulk: BulkArgs,
}

/// Creates the account, and prints what its client needs and, last, the record that its domain needs.
pub fn create(operator: &Operator, wanted: &CreateAccountArgs) -> Result<()> {
    if wanted.bulk.is_wanted() {
        return bulk::create(operator, &wanted.bulk, wanted.json);
    }
    let server: ServerSettings = operator.ask(Method::GET, "/server")?;
    let domain = domain(wanted.domain.as_deref().unwrap_or_default())?;
    if wanted.format.needs_tsig() && wanted.tsig.is_none() {
        return Err(CliError::Usage("this format is for clients with a TSIG key; add --tsig to create one".into()));
    }
    let body = CreateAccount {
        subdomain: wanted.subdomain.clone(),
        zone: wanted.zone.clone(),
        allowfrom: Some(networks(&wanted.allowfrom)?),
        note: Some(note(&domain, wanted.note.as_ref())?),
        tsig: wanted.tsig,
        alias: if wanted.tsig.is_some() { alias(&domain, &server)? } else { None },
    };
    let account: AccountCredentials = operator.send(Method::POST, "/accounts", &body)?;
    let api = wanted.server.as_deref().map_or_else(|| server.api.clone(), |url| with_ascii_host(url).into_owned());
    let settings = ClientSettings {
        domain: &domain,
        records: server.delegation(&domain, &account.fulldomain),
        server: api.trim_end_matches('/'),
        dns: wanted.dns_server.clone().unwrap_or_else(|| server.dns.clone()),
        account: &account,
    };
    let format = if wanted.json { ClientFormat::Json } else { wanted.format };
    print(&settings.settings(format))?;
    warn_of_loopback(&api, format);
    match format {
        ClientFormat::Json => Ok(()),
        // The output is the client's file; the record is for people.
        ClientFormat::Goacmedns => {
            tell(&settings.records(format));
            Ok(())
        }
        _ => print(&format!("\n{}", settings.records(format))),
    }
}

/// Warns that the settings are for this machine alone.
fn warn_of_loopback(server: &str, format: ClientFormat) {
    let host = server.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    let is_for_scripts = format == ClientFormat::Json || format.needs_tsig();
    if !is_for_scripts && host.as_deref().is_some_and(is_loopback) {
        tell(&format!(
            "warning: only clients on this machine reach {server}; for others, name the API's public URL with --server"
        ));
    }
}
