//! From what the operator writes to the account or the owner that is meant.

use crate::account::{Account, Username};
use crate::name::{Owner, OwnerLabel};
use crate::publisher::Publisher;

use super::super::account::read;
use super::Failure;

/// The account that `who` means: a username, a subdomain or a fulldomain.
pub async fn account(publisher: &Publisher, who: String) -> Result<Account, Failure> {
    read(publisher, move |publisher| find_account(publisher, &who)).await
}

/// The owner that `name` means: a registered subdomain or fulldomain, or `_acme-challenge` (of the first zone, or of
/// the one behind it).
pub async fn owner(publisher: &Publisher, name: String) -> Result<Owner, Failure> {
    read(publisher, move |publisher| {
        let mut found = find(publisher, &name)?.into_iter().map(|(owner, _)| owner);
        let owner = found.next().ok_or_else(|| unknown(&name))?;
        if found.next().is_some() { Err(ambiguous(&name)) } else { Ok(owner) }
    })
    .await
}

fn find_account(publisher: &Publisher, who: &str) -> Result<Account, Failure> {
    // Usernames and most labels are UUIDs; the two are never equal but by a collision of 122 random bits.
    if let Ok(username) = who.parse::<Username>()
        && let Some(account) = publisher.account(username)?
    {
        return Ok(account);
    }
    let mut found: Vec<Account> = find(publisher, who)?.into_iter().filter_map(|(_, account)| account).collect();
    found.dedup_by_key(|account| account.username);
    let account = found.pop().ok_or_else(|| unknown(who))?;
    if found.is_empty() { Ok(account) } else { Err(ambiguous(who)) }
}

/// The owners by that name, each with its account.
fn find(publisher: &Publisher, name: &str) -> Result<Vec<(Owner, Option<Account>)>, Failure> {
    let mut found = Vec::new();
    for owner in possible(publisher, name) {
        let account = publisher.account_at(&owner)?;
        if account.is_some() || owner.label == OwnerLabel::Challenge {
            found.push((owner, account));
        }
    }
    Ok(found)
}

fn possible(publisher: &Publisher, name: &str) -> Vec<Owner> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let zones = publisher.zones().load();
    let in_zone = |zone: &crate::zone::Zone| {
        let label = if name.contains('.') { name.strip_suffix(&format!(".{}", zone.name))? } else { &name };
        Some(Owner { zone: zone.name.clone(), label: label.parse().ok()? })
    };
    let mut owners: Vec<Owner> = zones.iter().filter_map(in_zone).collect();
    if owners.first().is_some_and(|owner| owner.label == OwnerLabel::Challenge) {
        // Every zone has one; without a zone behind it, the first one's is meant.
        owners.truncate(1);
    }
    owners
}

fn unknown(name: &str) -> Failure {
    let name: String = name.chars().take(80).collect();
    Failure::NotFound(format!("there is no account or registered name {name:?}"))
}

fn ambiguous(name: &str) -> Failure {
    Failure::Conflict(format!("several zones have {name:?}; write the whole name, with its zone"))
}
