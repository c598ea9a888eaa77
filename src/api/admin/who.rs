//! From what the operator writes to the account or the owner that is meant.

use crate::model::account::{Account, Username};
use crate::model::name::Owner;
use crate::model::name::owner::OwnerText;
use crate::publisher::Publisher;

use super::super::account::read;
use super::super::own::ambiguous;
use super::Failure;

/// The account that `who` means: a username, a subdomain or a fulldomain.
pub async fn account(publisher: &Publisher, who: String) -> Result<Account, Failure> {
    read(publisher, move |publisher| find_account(publisher, &who)).await
}

/// The owner that `name` means: a registered subdomain or fulldomain, a name of a challenge zone that is somebody's, or
/// one of the daemon's own, like `_acme-challenge` (of the first zone, or of the one behind it).
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

/// The owners by that name, each with its account.
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
        // Every ordinary zone has it; without a zone behind it, the first one's is meant.
        owners.truncate(1);
    }
    owners
}

fn unknown(name: &str) -> Failure {
    let name: String = name.chars().take(80).collect();
    Failure::NotFound(format!("there is no account or registered name {name:?}"))
}
