//! `account create`: an account for a domain, with the records and the settings that lead to it.

use axum::http::Method;
use clap::Args;

use crate::api::types::accounts::{AccountCredentials, CreateAccount};
use crate::cli::error::{CliError, Result};
use crate::cli::networks::networks;
use crate::cli::operator::Operator;
use crate::cli::output::print;
use crate::cli::settings::{ClientFormat, ClientSettings};
use crate::config::Config;
use crate::model::account::Note;
use crate::model::name::{Alias, CHALLENGE_LABEL, Name, PERSIST_LABEL, Subdomain, ZoneName};
use crate::model::tsig::Algorithm;

/// `account create DOMAIN`
#[derive(Debug, Args)]
pub struct CreateAccountArgs {
    /// The domain that the certificate is for, like example.com
    domain: String,
    /// A label of choice, in place of a random one
    #[arg(long, value_name = "LABEL")]
    subdomain: Option<Subdomain>,
    /// The zone, in place of the first one; a challenge zone becomes the account's as a whole
    #[arg(long)]
    zone: Option<ZoneName>,
    /// A network from which the account may be used; may be repeated
    #[arg(long, value_name = "CIDR")]
    allowfrom: Vec<String>,
    /// A remark, in place of the domain
    #[arg(long)]
    note: Option<Note>,
    /// The API's address as clients reach it [default: where this configuration listens]
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
}

/// Creates the account, and prints what its domain and its client need.
pub fn create(operator: &Operator, wanted: &CreateAccountArgs, config: &Config) -> Result<()> {
    let domain = domain(&wanted.domain)?;
    if wanted.format.needs_tsig() && wanted.tsig.is_none() {
        return Err(CliError::Usage("this format is for clients with a TSIG key; add --tsig to create one".into()));
    }
    let note = match &wanted.note {
        Some(note) => note.clone(),
        None => domain.parse().map_err(|error| CliError::Usage(format!("{error}; write a --note")))?,
    };
    let body = CreateAccount {
        subdomain: wanted.subdomain.clone(),
        zone: wanted.zone.clone(),
        allowfrom: Some(networks(&wanted.allowfrom)?),
        note: Some(note),
        tsig: wanted.tsig,
        alias: if wanted.tsig.is_some() { alias(&domain, config)? } else { None },
    };
    let account: AccountCredentials = operator.send(Method::POST, "/accounts", &body)?;
    let server = wanted.server.clone().unwrap_or_else(|| listening(config));
    let settings = ClientSettings {
        domain: &domain,
        records: delegation(&domain, &account.fulldomain, config),
        server: server.trim_end_matches('/'),
        dns: wanted.dns_server.clone().unwrap_or_else(|| listening_for_dns(config)),
        account: &account,
    };
    print(&settings.settings(if wanted.json { ClientFormat::Json } else { wanted.format }))
}

/// The domain that a certificate is for, from what was typed: a wildcard, or a name at which a CA looks, means the
/// domain below it.
fn domain(typed: &str) -> Result<String> {
    let name: Name = match typed.strip_prefix("*.").unwrap_or(typed).parse() {
        Ok(name) => name,
        Err(error) => return Err(CliError::Usage(format!("{typed:?} is not a domain: {error}"))),
    };
    let name = name.to_string();
    let labels = [CHALLENGE_LABEL, PERSIST_LABEL];
    let below = labels.iter().find_map(|label| name.strip_prefix(label)?.strip_prefix('.'));
    Ok(below.map(str::to_owned).unwrap_or(name))
}

/// The alias of an account with a TSIG key: the domain's challenge, because most clients that send UPDATEs do not follow a
/// CNAME, and name the challenge itself. A challenge in a zone of this server is an owner and needs no alias.
fn alias(domain: &str, config: &Config) -> Result<Option<Alias>> {
    let alias: Alias = match format!("{CHALLENGE_LABEL}.{domain}").parse() {
        Ok(alias) => alias,
        Err(error) => return Err(CliError::Usage(format!("{domain:?} has no name for challenges: {error}"))),
    };
    let is_ours = config.zones.iter().any(|zone| alias.name().is_in(zone.name.apex()));
    Ok(if is_ours { None } else { Some(alias) })
}

/// The records that lead from the domain to the account's name: a CNAME or, if that name is the domain's own, NS records.
fn delegation(domain: &str, fulldomain: &str, config: &Config) -> Vec<String> {
    let label = if fulldomain.starts_with(PERSIST_LABEL) { PERSIST_LABEL } else { CHALLENGE_LABEL };
    let own = format!("{label}.{domain}");
    if own != fulldomain {
        return vec![format!("{own}. CNAME {fulldomain}.")];
    }
    let zone = config.zones.iter().find(|zone| zone.name.to_string() == fulldomain);
    let nameservers = zone.into_iter().flat_map(|zone| &zone.nameservers);
    nameservers.map(|nameserver| format!("{fulldomain}. NS {nameserver}.")).collect()
}

/// The URL of the API, as far as the configuration says. Users behind a proxy give --server.
fn listening(config: &Config) -> String {
    let scheme = if config.api.tls.is_some() { "https" } else { "http" };
    let Some(address) = config.api.listen.first() else { return String::new() };
    if !address.ip().is_unspecified() {
        return format!("{scheme}://{address}");
    }
    // Clients cannot connect to 0.0.0.0. Most operators serve the API at the name of the zone.
    let ordinary = config.zones.iter().find(|zone| !zone.name.is_challenge());
    let host = ordinary.map(|zone| zone.name.to_string()).unwrap_or_default();
    match (scheme, address.port()) {
        ("https", 443) | ("http", 80) => format!("{scheme}://{host}"),
        (_, port) => format!("{scheme}://{host}:{port}"),
    }
}

/// The address of the DNS listener, as far as the configuration says.
fn listening_for_dns(config: &Config) -> String {
    let Some(address) = config.dns.listen.first() else { return String::new() };
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let nameserver = config.zones.first().and_then(|zone| zone.nameservers.first());
    let host = nameserver.map(ToString::to_string).unwrap_or_default();
    format!("{host}:{}", address.port())
}
