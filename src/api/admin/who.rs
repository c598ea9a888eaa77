//! Finds the account or the owner that the operator names: by username, label, fulldomain, or the domain that the
//! account is for.

use crate::model::account::{Account, AccountStatus, Username};
use crate::model::name::owner::OwnerText;
use crate::model::name::{Name, Owner, domain_of, idn};
use crate::publisher::Publisher;

use super::super::blocking::read;
use super::super::error::Failure;
use super::super::own::ambiguous;

/// Accounts for a domain after which no more are looked for.
const MAX_FOUND: usize = 1_000;
/// Candidates that an error lists.
const MAX_CANDIDATES: usize = 10;

/// The account with this username, subdomain or fulldomain, or for this domain.
pub async fn account(publisher: &Publisher, who: String) -> Result<Account, Failure> {
    read(publisher, move |publisher| find_account(publisher, &who)).await
}

/// The owner with this name: a registered subdomain or fulldomain, a name in a challenge zone that belongs to an account,
/// one of the daemon's own, like `_acme-challenge` (in the first zone unless a zone follows), or the name of the account
/// for this domain.
pub async fn owner(publisher: &Publisher, name: String) -> Result<Owner, Failure> {
    read(publisher, move |publisher| find_owner(publisher, &name)?.ok_or_else(|| unknown(&name))).await
}

/// The owner with this name, if there is one.
pub fn find_owner(publisher: &Publisher, name: &str) -> Result<Option<Owner>, Failure> {
    let mut owners: Vec<Owner> = owners_named(publisher, name)?.into_iter().map(|(owner, _)| owner).collect();
    if owners.is_empty()
        && let Some(account) = account_for(publisher, name)?
    {
        owners = account.given().into_iter().cloned().collect();
    }
    let Some(owner) = owners.pop() else { return Ok(None) };
    if owners.is_empty() { Ok(Some(owner)) } else { Err(ambiguous(owners.iter().chain([&owner]))) }
}

/// The owner with this name, or all owners of the account with this username or for this domain.
pub fn find_owners(publisher: &Publisher, name: &str) -> Result<Vec<Owner>, Failure> {
    let named: Vec<Owner> = owners_named(publisher, name)?.into_iter().map(|(owner, _)| owner).collect();
    match &named[..] {
        [] => find_account(publisher, name).map(|account| account.owners),
        [_] => Ok(named),
        several => Err(ambiguous(several.iter())),
    }
}

fn find_account(publisher: &Publisher, who: &str) -> Result<Account, Failure> {
    // Usernames and most labels are UUIDs; the two are never equal but by a collision of 122 random bits.
    if let Ok(username) = who.parse::<Username>()
        && let Some(account) = publisher.account(username)?
    {
        return Ok(account);
    }
    let mut found: Vec<(Owner, Account)> =
        owners_named(publisher, who)?.into_iter().filter_map(|(owner, account)| Some((owner, account?))).collect();
    found.dedup_by_key(|(_, account)| account.username);
    let Some((owner, account)) = found.pop() else {
        return account_for(publisher, who)?.ok_or_else(|| unknown(who));
    };
    if !found.is_empty() {
        return Err(ambiguous(found.iter().map(|(owner, _)| owner).chain([&owner])));
    }
    Ok(account)
}

/// The owners with this name, each with its account.
fn owners_named(publisher: &Publisher, name: &str) -> Result<Vec<(Owner, Option<Account>)>, Failure> {
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

/// How well an account fits a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// The note mentions the domain.
    Mentioned,
    /// The note begins with the domain or is the text, or an alias stands for the domain's challenge.
    Sure,
}

/// The one account for a domain, if there is any.
fn account_for(publisher: &Publisher, who: &str) -> Result<Option<Account>, Failure> {
    let domain = domain_of(who).ok().filter(|domain| domain.as_ref().labels().count() > 1);
    let mut found: Vec<(Fit, Account)> = Vec::new();
    for needle in needles(who, domain.as_ref()) {
        publisher.each_account_with(&needle, |account| {
            let is_known = found.iter().any(|(_, known)| known.username == account.username);
            if let Some(fit) = fit(&account, who, domain.as_ref()).filter(|_| !is_known) {
                found.push((fit, account));
            }
            found.len() <= MAX_FOUND
        })?;
    }
    let best = found.iter().map(|(fit, _)| *fit).max();
    let mut best: Vec<Account> =
        found.into_iter().filter(|(fit, _)| Some(*fit) == best).map(|(_, account)| account).collect();
    match best.len() {
        0 | 1 => Ok(best.pop()),
        _ => Err(several(who, &best)),
    }
}

/// What the store is searched for. Notes may have the domain in either form.
fn needles(who: &str, domain: Option<&Name>) -> Vec<String> {
    let Some(domain) = domain else { return vec![who.to_owned()] };
    let ascii = domain.to_string();
    let unicode = idn::to_unicode(&ascii);
    unicode.into_iter().chain([ascii]).collect()
}

fn fit(account: &Account, who: &str, domain: Option<&Name>) -> Option<Fit> {
    let note = account.note.as_str();
    let is_domain = |text: &str| domain.is_some() && domain_of(text).ok().as_ref() == domain;
    let is_separator = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '(' | ')');
    let mut words = note.split(is_separator);
    let is_first = words.next().is_some_and(is_domain);
    let has_alias = account.aliases.iter().any(|own| is_domain(&own.alias.to_string()));
    if is_first || has_alias || (!note.is_empty() && note.eq_ignore_ascii_case(who)) {
        return Some(Fit::Sure);
    }
    words.any(is_domain).then_some(Fit::Mentioned)
}

fn several(who: &str, accounts: &[Account]) -> Failure {
    let mut message = format!(
        "{} accounts are for {}; name one by its username, its label or its fulldomain:",
        accounts.len(),
        shown(who)
    );
    for account in accounts.iter().take(MAX_CANDIDATES) {
        message += &format!("\n  {}", candidate(account));
    }
    if accounts.len() > MAX_CANDIDATES {
        message += &format!("\n  and {} more; `txtgate account list` shows them", accounts.len() - MAX_CANDIDATES);
    }
    Failure::field("bad_name", "name", message)
}

/// An account as a line that tells it from others for the same domain.
fn candidate(account: &Account) -> String {
    let name = account.owners.first().map_or_else(|| account.username.to_string(), ToString::to_string);
    let state = match account.status {
        AccountStatus::Active => "active",
        AccountStatus::Disabled => "disabled",
        AccountStatus::Deleted { .. } => "deleted",
    };
    let published = account.last_update.map_or_else(|| "never published".to_owned(), |at| format!("published {at}"));
    format!("{name}  {state}, created {}, {published}", account.created.date)
}

/// A text of the operator in quotes; an internationalized name both ways.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(80).collect();
    let other = match idn::to_ascii(&start) {
        Ok(ascii) if *ascii != start => Some(ascii.into_owned()),
        _ => idn::to_unicode(&start),
    };
    other.map_or_else(|| format!("{start:?}"), |other| format!("{start:?} ({other})"))
}

/// The failure for a name that is nobody's.
pub fn unknown(name: &str) -> Failure {
    Failure::NotFound(format!(
        "there is no account and no registered name {}; write a domain, a username, a label or a fulldomain, as `txtgate \
         account list` shows them",
        shown(name)
    ))
}
