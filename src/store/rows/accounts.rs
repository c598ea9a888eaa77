//! The accounts' rows.

use rusqlite::{OptionalExtension, Row, params};

use crate::model::account::{Account, AccountStatus, AllowFrom, FormerKey, OwnAlias, Username};
use crate::model::name::Owner;
use crate::model::secret::ApiKeyHash;
use crate::model::time::Timestamp;

use super::{Result, Rows, StoreError, parse, status, unreadable};

/// The columns that [`account_row`] reads, in its order.
macro_rules! account_columns {
    () => {
        "a.id, a.username, a.key_hash, a.former_key_hash, a.former_key_until, a.allowfrom, a.note, a.created, \
         a.last_update, a.disabled, a.remove_at, a.tsig"
    };
}

impl Rows<'_> {
    /// An account and its names.
    pub fn account(&self, username: Username) -> Result<Option<Account>> {
        let sql = concat!("SELECT ", account_columns!(), " FROM accounts a WHERE username = ?1");
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row([username.to_string()], account_row).optional()?;
        found.map(|raw| self.with_names(raw)).transpose()
    }

    /// Accounts by name, from behind `after`, at most `limit`; where `search` is not empty, those with it in their
    /// name, note or a label, or in the name of a challenge zone.
    pub fn accounts(&self, after: Option<Username>, limit: usize, search: &str) -> Result<Vec<Account>> {
        let sql = concat!(
            "SELECT ",
            account_columns!(),
            " FROM accounts a WHERE username > ?1 AND (?2 = '' OR instr(username, ?2) OR instr(lower(note), ?2)
              OR EXISTS (SELECT 1 FROM owners o WHERE o.account = a.id
                         AND instr(CASE o.name WHEN '@' THEN o.zone ELSE o.name END, ?2)))
              ORDER BY username LIMIT ?3"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        let after = after.map(|username| username.to_string()).unwrap_or_default();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![after, search.to_lowercase(), limit], account_row)?;
        rows.map(|raw| self.with_names(raw?)).collect()
    }

    /// Stores a new account and its names.
    pub fn insert_account(&self, account: &Account) -> Result<()> {
        let sql =
            "INSERT INTO accounts (username, key_hash, allowfrom, note, created, tsig) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.connection.prepare_cached(sql)?.execute(params![
            account.username.to_string(),
            account.key.as_str(),
            allow_from_text(&account.allow_from)?,
            account.note.as_str(),
            account.created,
            account.tsig.as_ref().map(ToString::to_string),
        ])?;
        let id = self.connection.last_insert_rowid();
        account.owners.iter().try_for_each(|owner| self.insert_owner(owner, Some(id)).map(drop))?;
        account.aliases.iter().try_for_each(|own| self.put_alias(&own.alias, &own.owner))
    }

    /// Replaces what an account may change: keys, limits, note and status.
    pub fn update_account(&self, account: &Account) -> Result<()> {
        let sql = "UPDATE accounts SET key_hash = ?2, former_key_hash = ?3, former_key_until = ?4, allowfrom = ?5,
                   note = ?6, disabled = ?7, remove_at = ?8, tsig = ?9 WHERE username = ?1";
        let (disabled, remove_at) = match account.status {
            AccountStatus::Active => (false, None),
            AccountStatus::Disabled => (true, None),
            AccountStatus::Deleted { at } => (true, Some(at)),
        };
        self.connection.prepare_cached(sql)?.execute(params![
            account.username.to_string(),
            account.key.as_str(),
            account.former_key.as_ref().map(|former| former.hash.as_str()),
            account.former_key.as_ref().map(|former| former.until),
            allow_from_text(&account.allow_from)?,
            account.note.as_str(),
            disabled,
            remove_at,
            account.tsig.as_ref().map(ToString::to_string),
        ])?;
        Ok(())
    }

    /// Notes that an account has published.
    pub fn published_at(&self, username: Username, now: Timestamp) -> Result<()> {
        // A second value in the same second, as for a name and its wildcard, leaves the row as it is.
        let sql = "UPDATE accounts SET last_update = ?2 WHERE username = ?1 AND last_update IS NOT ?2";
        self.connection.prepare_cached(sql)?.execute(params![username.to_string(), now])?;
        Ok(())
    }

    /// Removes an account, its owners and their values for good.
    pub fn remove_account(&self, username: Username) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM accounts WHERE username = ?1")?.execute([username.to_string()])?;
        Ok(())
    }

    /// At most `limit` deleted accounts whose time has come.
    pub fn removable(&self, now: Timestamp, limit: usize) -> Result<Vec<Account>> {
        let sql = concat!("SELECT ", account_columns!(), " FROM accounts a WHERE remove_at <= ?1 LIMIT ?2");
        self.some_accounts(sql, now, limit)
    }

    /// At most `limit` active accounts that were registered before `before` and never published. Looks at every
    /// account where few are so.
    pub fn unused(&self, before: Timestamp, limit: usize) -> Result<Vec<Account>> {
        let sql = concat!(
            "SELECT ",
            account_columns!(),
            " FROM accounts a WHERE last_update IS NULL AND disabled = 0 AND created < ?1 LIMIT ?2"
        );
        self.some_accounts(sql, before, limit)
    }

    /// Every account that has a TSIG key.
    pub fn with_tsig(&self) -> Result<Vec<Account>> {
        let sql = concat!("SELECT ", account_columns!(), " FROM accounts a WHERE tsig IS NOT NULL");
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], account_row)?;
        rows.map(|raw| self.with_names(raw?)).collect()
    }

    fn some_accounts(&self, sql: &str, when: Timestamp, limit: usize) -> Result<Vec<Account>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![when, limit], account_row)?;
        rows.map(|raw| self.with_names(raw?)).collect()
    }

    fn with_names(&self, raw: RawAccount) -> Result<Account> {
        let (owners, aliases) = (self.owners_of(raw.id)?, self.aliases_of(raw.id)?);
        raw.into_account(owners, aliases)
    }
}

/// An account's row before its texts are read.
struct RawAccount {
    id: i64,
    username: String,
    key: String,
    former: Option<(String, Timestamp)>,
    allow_from: String,
    note: String,
    created: Timestamp,
    last_update: Option<Timestamp>,
    disabled: bool,
    remove_at: Option<Timestamp>,
    tsig: Option<String>,
}

fn account_row(row: &Row<'_>) -> rusqlite::Result<RawAccount> {
    let former = row.get::<_, Option<String>>(3)?.zip(row.get::<_, Option<Timestamp>>(4)?);
    Ok(RawAccount {
        id: row.get(0)?,
        username: row.get(1)?,
        key: row.get(2)?,
        former,
        allow_from: row.get(5)?,
        note: row.get(6)?,
        created: row.get(7)?,
        last_update: row.get(8)?,
        disabled: row.get(9)?,
        remove_at: row.get(10)?,
        tsig: row.get(11)?,
    })
}

impl RawAccount {
    fn into_account(self, owners: Vec<Owner>, aliases: Vec<OwnAlias>) -> Result<Account> {
        let former_key = |(hash, until): (String, Timestamp)| {
            let hash = parse::<ApiKeyHash>("former key hash", &hash)?;
            Ok::<_, StoreError>(FormerKey { hash, until })
        };
        let networks: Vec<String> = serde_json::from_str(&self.allow_from).map_err(|e| unreadable("allowfrom", &e))?;
        Ok(Account {
            username: parse("username", &self.username)?,
            key: parse("key hash", &self.key)?,
            former_key: self.former.map(former_key).transpose()?,
            tsig: self.tsig.map(|text| parse("TSIG key", &text)).transpose()?,
            allow_from: AllowFrom::parse(&networks).map_err(|e| unreadable("allowfrom", &e))?,
            note: parse("note", &self.note)?,
            owners,
            aliases,
            created: self.created,
            last_update: self.last_update,
            status: status(self.disabled, self.remove_at),
        })
    }
}

fn allow_from_text(allow_from: &AllowFrom) -> Result<String> {
    serde_json::to_string(allow_from).map_err(|e| unreadable("allowfrom", &e))
}
