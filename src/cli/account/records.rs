//! What the domain of an account needs: its note, and the alias of its challenge.

use crate::api::types::server::ServerSettings;
use crate::cli::error::{CliError, Result};
use crate::model::account::Note;
use crate::model::name::{Alias, CHALLENGE_LABEL, domain_of};

/// The domain that a certificate is for, from what was typed.
pub fn domain(typed: &str) -> Result<String> {
    match domain_of(typed) {
        Ok(name) => Ok(name.to_string()),
        Err(error) => Err(CliError::Usage(format!("{typed:?} is not a domain: {error}"))),
    }
}

/// The account's note: the domain, by which every command finds the account, and a remark behind it.
pub fn note(domain: &str, remark: Option<&Note>) -> Result<Note> {
    let text = match remark {
        Some(remark) if !remark.as_str().is_empty() => format!("{domain} ({})", remark.as_str()),
        _ => domain.to_owned(),
    };
    text.parse().map_err(|error| CliError::Usage(format!("{domain} and its note: {error}")))
}

/// The alias of an account with a TSIG key: the domain's challenge, because most clients that send UPDATEs do not follow a
/// CNAME, and name the challenge itself. A challenge in a zone of this server is an owner and needs no alias.
pub fn alias(domain: &str, server: &ServerSettings) -> Result<Option<Alias>> {
    let alias: Alias = match format!("{CHALLENGE_LABEL}.{domain}").parse() {
        Ok(alias) => alias,
        Err(error) => return Err(CliError::Usage(format!("{domain:?} has no name for challenges: {error}"))),
    };
    let is_ours = server.zones.iter().any(|zone| alias.name().is_in(zone.name.apex()));
    Ok(if is_ours { None } else { Some(alias) })
}
