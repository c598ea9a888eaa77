//! Accounts for people.

use crate::api::types::accounts::{AccountCredentials, AccountState, AccountView, OwnerView};
use crate::cli::error::Result;
use crate::cli::output::Output;
use crate::cli::table::{cell, list, pairs, printable, row};
use crate::model::name::CHALLENGE_LABEL;
use crate::model::name::idn::both_ways;
use crate::model::time::relative::{relative, with_relative};

/// Prints an account.
pub fn print_account(output: Output, account: &AccountView) -> Result<()> {
    output.print(account, account_table)
}

/// The accounts, a row for each: by domain, or as they come.
pub fn account_list(accounts: &[AccountView], by_domain: bool, empty: &str) -> String {
    let mut sorted: Vec<&AccountView> = accounts.iter().collect();
    if by_domain {
        sorted.sort_by_cached_key(|account| (account.note.as_str().is_empty(), account.note.as_str().to_lowercase()));
    }
    let is_one_zone = has_one_zone(accounts);
    let name = if is_one_zone { "label" } else { "fulldomain" };
    let rows: Vec<_> = sorted.into_iter().map(|account| list_row(account, is_one_zone)).collect();
    list(&["domain", "last publish", name, "username", "created"], &rows, empty)
}

/// Whether all names are labels of one zone, whose name need not be repeated.
fn has_one_zone(accounts: &[AccountView]) -> bool {
    let mut zones = accounts.iter().flat_map(|account| &account.fulldomains).map(|name| name.split_once('.'));
    let Some(Some((_, first))) = zones.clone().next() else { return true };
    zones.all(|name| name.is_some_and(|(label, zone)| zone == first && label != CHALLENGE_LABEL))
}

fn list_row(account: &AccountView, is_one_zone: bool) -> Vec<String> {
    let state = match account.state {
        AccountState::Active => {
            let last = account.last_update.as_deref().map_or_else(|| "never".to_owned(), relative);
            if account.overdue { format!("{last}, overdue") } else { last }
        }
        AccountState::Deleted => match &account.removed_at {
            Some(at) => format!("deleted, removed {}", relative(at)),
            None => "deleted".to_owned(),
        },
        AccountState::Disabled => "disabled".to_owned(),
        AccountState::Removed => "removed".to_owned(),
    };
    let names = account.fulldomains.iter().map(|name| match name.split_once('.') {
        Some((label, _)) if is_one_zone => label.to_owned(),
        _ => name.clone(),
    });
    let names: Vec<String> = names.collect();
    let note = cell(&both_ways(account.note.as_str()));
    vec![note, state, cell(&names.join(", ")), cell(&account.username), relative(&account.created)]
}

/// An account as rows of a name and a value: a row for each name, for each value there and for each alias.
pub fn account_table(account: &AccountView) -> String {
    let mut rows = vec![
        row("domain", &both_ways(account.note.as_str())),
        row("state", &account.state),
        row("username", &account.username),
    ];
    for owner in &account.owners {
        push_owner(owner, &mut rows);
    }
    for alias in &account.aliases {
        let name = alias.alias.to_string();
        rows.push(row("alias", &format!("{} for {}", both_ways(&name), alias.fulldomain)));
    }
    let networks = account.allowfrom.networks();
    let from = if networks.is_empty() { "everywhere".to_owned() } else { cell(&account.allowfrom) };
    rows.push(vec!["allowfrom".to_owned(), from]);
    rows.push(vec!["created".to_owned(), with_relative(&account.created)]);
    let published = account.last_update.as_deref().map_or_else(|| "never".to_owned(), with_relative);
    rows.push(vec!["last publish".to_owned(), published]);
    let next = account.next_renewal.as_deref().map(with_relative);
    let next =
        next.map(|next| if account.overdue { format!("overdue, expected {next}") } else { format!("expected {next}") });
    let optional = [
        ("next renewal", next),
        ("former key until", account.former_key_until.as_deref().map(with_relative)),
        ("TSIG key", account.tsig.clone()),
        ("removed", account.removed_at.as_deref().map(with_relative)),
    ];
    rows.extend(optional.into_iter().filter_map(|(name, value)| Some(vec![name.to_owned(), printable(&value?)])));
    pairs(&rows)
}

fn push_owner(owner: &OwnerView, rows: &mut Vec<Vec<String>>) {
    rows.push(row("fulldomain", &owner.fulldomain));
    for value in &owner.values {
        rows.push(row("value", &format!("{}, ends {}", value.txt, relative(&value.expires))));
        rows.extend(value.verdict.as_ref().map(|verdict| row("", &verdict.text)));
    }
    for value in &owner.retired {
        let ago = relative(&value.retired.seconds().to_string());
        rows.push(row("former value", &format!("{}, retired {ago}", value.txt)));
        rows.push(row("", &value.verdict.text));
    }
    rows.extend(owner.verdict.as_ref().map(|verdict| row("without a value", &verdict.text)));
    for value in &owner.persistent {
        let until = value.expires.as_deref().map_or_else(|| "it is retired".to_owned(), with_relative);
        rows.push(row("persistent", &format!("{} until {until}", value.value)));
    }
}

/// An account's new key as rows.
pub fn credential_rows(account: &AccountCredentials) -> Vec<Vec<String>> {
    vec![
        row("username", &account.username),
        vec!["password".to_owned(), account.password.as_str().to_owned()],
        row("fulldomain", &account.fulldomain),
        row("subdomain", &account.subdomain),
        vec!["allowfrom".to_owned(), cell(&account.allowfrom)],
    ]
}
