//! The names that are examined where none are given.

use crate::model::account::Account;
use crate::model::identifier::Identifier;

use super::super::examination::Examination;
use super::super::request::MAX_NAMES;
use super::own::{OwnServer, domains_of};

/// The most accounts whose domains are looked at: some are for no domain, or for one in a zone of this server.
const MAX_ACCOUNTS: usize = 1_000;

/// The names of the configuration's certificates, and the domains of accounts: those that have published last come first.
/// At most 50. Reads the database.
pub async fn known_names(examination: &Examination) -> Vec<Identifier> {
    let mut names: Vec<Identifier> = Vec::new();
    let certificates = examination.config.certificates.iter().flat_map(|certificate| certificate.names.clone());
    let found = certificates.chain(of_accounts(examination).await);
    let own = OwnServer::of(examination);
    for name in found {
        if names.len() == MAX_NAMES {
            break;
        }
        // Those in zones of this server are a matter of its delegation.
        if !names.contains(&name) && own.zone_at(name.base()).is_none() {
            names.push(name);
        }
    }
    names
}

async fn of_accounts(examination: &Examination) -> Vec<Identifier> {
    let Some(publisher) = examination.publisher.clone() else { return Vec::new() };
    let reading = tokio::task::spawn_blocking(move || publisher.latest_accounts(MAX_ACCOUNTS));
    let accounts = reading.await.ok().and_then(Result::ok).unwrap_or_default();
    accounts.iter().flat_map(names_of).collect()
}

fn names_of(account: &Account) -> Vec<Identifier> {
    domains_of(account).iter().filter_map(|domain| domain.to_string().parse().ok()).collect()
}
