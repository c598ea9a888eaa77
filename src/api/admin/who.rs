//! Finds the account or the owner that the operator names.

use crate::model::account::{Account, Username};
use crate::model::name::Owner;
use crate::model::name::owner::OwnerText;
use crate::publisher::Publisher;

use super::super::blocking::read;
use super::super::error::Failure;
use super::super::own::ambiguous;

/// The account with this username, subdomain or fulldomain.
pub async fn account(publisher: &Publisher, who: String) -> Result<Account, Failure> {
    read(publisher, move |publisher| find_account(publisher, &who)).await
}

/// The owner with this name: a registered subdomain or fulldomain, a name in a challenge zone that belongs to an account,
/// or one of the daemon's own, like `_acme-challenge` (in the first zone unless a zone follows).
pub async fn owner(publisher: &Publisher, name: String) -> Result<Owner, Failure> {
    read(publisher, move |publisher| {
        let mut found: Vec<Owner> = find(publisher, &name)?.into_iter().map(|(owner, _)| owner).collect();
        let owner = found.pop().ok_or_else(|| unknown(&name))?;
        if found.is_empty() { Ok(owner) } else { Err(ambiguous(found.iter().chain([&owner]))) }
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
    let mut found: Vec<(Owner, Account)> =
        find(publisher, who)?.into_iter().filter_map(|(owner, account)| Some((owner, account?))).collect();
    found.dedup_by_key(|(_, account)| account.username);
    let (owner, account) = found.pop().ok_or_else(|| unknown(who))?;
    if !found.is_empty() {
        return Err(ambiguous(found.iter().map(|(owner, _)| owner).chain([&owner])));
    }
    Ok(account)
}

/// The owners with this name, each with its account.
fn find(publisher: &Publisher, name: &str) -> Result<Vec<(Owner, Option<Account>)>, Failure> {
    let mut found = Vec::new();
    for owner in possible(publisher, name) {
        let account = publisher.account_at(&owner)?;
        if account.is_some() || publisher.is_daemons(&owner)? {
            found.push((owner, account));
        }
    }
    Ok(found)
}

fn possible(publisher: &Publisher, name: &str) -> Vec<Owner> {
    let Ok(wanted) = name.parse::<OwnerText>() else { return Vec::new() };
    let zones = publisher.zones().load();
    let mut owners: Vec<Owner> = zones.iter().filter_map(|zone| wanted.in_zone(&zone.name)).collect();
    if owners.first().is_some_and(Owner::is_daemons) {
        // Every ordinary zone has this name. Without a zone, the first zone's is meant.
        owners.truncate(1);
    }
    owners
}

fn unknown(name: &str) -> Failure {
    let name: String = name.chars().take(80).collect();
    Failure::NotFound(format!(
        "there is no account or registered name {name:?}; `txtgate account list` shows all accounts"
    ))
}
