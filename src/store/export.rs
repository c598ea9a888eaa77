//! The way out: accounts in acme-dns's schema, as far as acme-dns can take them.

use std::path::Path;

use rusqlite::{Connection, Transaction, params};

use crate::model::account::{Account, AccountStatus};
use crate::model::name::{OwnerLabel, ZoneName};
use crate::model::secret::ApiKeyHash;

use super::backup::{create_new, open_existing};
use super::import::Left;
use super::{Rows, StoreError};

/// Its tables, version 1, with the index that its newest versions add.
const TABLES: &str = "
CREATE TABLE acmedns(Name TEXT, Value TEXT);
CREATE TABLE records(Username TEXT UNIQUE NOT NULL PRIMARY KEY, Password TEXT UNIQUE NOT NULL,
    Subdomain TEXT UNIQUE NOT NULL, AllowFrom TEXT);
CREATE TABLE txt(Subdomain TEXT NOT NULL, Value TEXT NOT NULL DEFAULT '', LastUpdate INT);
CREATE INDEX idx_txt_subdomain ON txt (Subdomain);
INSERT INTO acmedns (Name, Value) VALUES ('db_version', '1');
";
/// Values of a name that acme-dns keeps.
const VALUES: usize = 2;
/// Accounts read at once.
const PAGE: usize = 1_000;

/// What was written, and what could not be.
#[derive(Debug, Default)]
pub struct Exported {
    /// Accounts written.
    pub accounts: usize,
    /// Accounts whose key acme-dns could not verify: they keep Argon2id hashes.
    pub argon2id: usize,
    /// What else stays.
    pub left: Vec<Left>,
}

/// Writes the accounts that have a subdomain in `zone` to a new SQLite file. The daemon may go on: it is one moment's
/// state.
pub fn acme_dns(database: &Path, zone: &ZoneName, target: &Path) -> Result<Exported, StoreError> {
    let source = open_existing(database)?;
    create_new(target)?;
    let written = write(&source, zone, target);
    if written.is_err() {
        // What is not whole must not look like a database.
        _ = std::fs::remove_file(target);
    }
    written
}

fn write(source: &Connection, zone: &ZoneName, target: &Path) -> Result<Exported, StoreError> {
    let mut connection = Connection::open(target)?;
    let moment = source.unchecked_transaction()?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    let rows = Rows::new(&moment);
    let mut exported = Exported::default();
    let mut last = None;
    loop {
        let page = rows.accounts(last, PAGE)?;
        for account in &page {
            add(&rows, &transaction, zone, account, &mut exported)?;
        }
        match page.last() {
            Some(account) if page.len() == PAGE => last = Some(account.username),
            _ => break,
        }
    }
    transaction.commit()?;
    Ok(exported)
}

fn add(
    rows: &Rows<'_>,
    target: &Transaction<'_>,
    zone: &ZoneName,
    account: &Account,
    exported: &mut Exported,
) -> Result<(), StoreError> {
    let is_label = |label: &OwnerLabel| matches!(label, OwnerLabel::Subdomain(_));
    let mut owners = account.given().into_iter().filter(|owner| owner.zone == *zone && is_label(&owner.label));
    let Some(owner) = owners.next() else { return Ok(()) };
    let what = |what: &dyn std::fmt::Display| format!("{what} of account {}", account.username);
    if account.status != AccountStatus::Active {
        exported.left.push(Left::new(what(owner), "the account is disabled, which acme-dns has no way to say"));
        return Ok(());
    }
    let ApiKeyHash::Bcrypt(hash) = &account.key else {
        exported.argon2id += 1;
        return Ok(());
    };
    let networks = serde_json::to_string(&account.allow_from).map_err(|e| StoreError::Unreadable(e.to_string()))?;
    let subdomain = owner.label.as_str();
    target
        .prepare_cached("INSERT INTO records (Username, Password, Subdomain, AllowFrom) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![account.username.to_string(), hash, subdomain, networks])?;
    let values = rows.owner(owner)?.map(|row| rows.values(row.id)).transpose()?.unwrap_or_default();
    let newest = values.challenges.iter().map(|stored| (stored.value.txt.as_str(), stored.value.published.as_unix()));
    // acme-dns updates the older of two rows, which therefore have to be there.
    for (value, published) in newest.chain(std::iter::repeat(("", 0))).take(VALUES) {
        target
            .prepare_cached("INSERT INTO txt (Subdomain, Value, LastUpdate) VALUES (?1, ?2, ?3)")?
            .execute(params![subdomain, value, i64::try_from(published).unwrap_or(0)])?;
    }
    exported.accounts += 1;
    exported.left.extend(owners.map(|other| Left::new(what(other), "acme-dns knows one subdomain an account")));
    Ok(())
}
