//! Accounts as tables.

use crate::api::types::accounts::{AccountCredentials, AccountView, OwnerView};
use crate::cli::error::Result;
use crate::cli::output::Output;
use crate::cli::table::{cell, row, table};

/// Prints an account.
pub fn print_account(output: Output, account: &AccountView) -> Result<()> {
    output.print(account, account_table)
}

/// An account as rows of a name and a value: a row for each name, for each value there and for each alias.
pub fn account_table(account: &AccountView) -> String {
    let mut rows = vec![
        row("username", &account.username),
        row("state", &account.state),
        row("allowfrom", &account.allowfrom),
        row("note", &account.note),
        row("created", &account.created),
        row("last update", &account.last_update),
        row("former key until", &account.former_key_until),
        row("tsig", &account.tsig),
        row("removed at", &account.removed_at),
    ];
    for owner in &account.owners {
        push_owner(owner, &mut rows);
    }
    for alias in &account.aliases {
        rows.push(row("alias", &format!("{} for {}", alias.alias, alias.fulldomain)));
    }
    table(&["what", "value"], &rows)
}

fn push_owner(owner: &OwnerView, rows: &mut Vec<Vec<String>>) {
    rows.push(row("fulldomain", &owner.fulldomain));
    for value in &owner.values {
        rows.push(row("value", &format!("{} until {}", value.txt, value.expires)));
    }
    for value in &owner.persistent {
        let until = value.expires.as_deref().unwrap_or("it is retired");
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
