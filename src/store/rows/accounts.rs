//! The accounts' rows.

use rusqlite::{OptionalExtension, Row, params};

use crate::model::account::{Account, AccountStatus, AllowFrom, FormerKey, OwnAlias, Username};
use crate::model::cadence::{Cadence, LEAST_SLACK};
use crate::model::name::Owner;
use crate::model::secret::ApiKeyHash;
use crate::model::time::{Moment, RunningTime, Timestamp};

use super::{Published, Result, Rows, StoreError, parse, status, unreadable};

/// The columns that [`account_row`] reads, in its order.
macro_rules! account_columns {
    () => {
        "a.id, a.username, a.key_hash, a.former_key_hash, a.former_key_running, a.allowfrom, a.note, a.created, \
         a.created_running, a.last_update, a.disabled, a.remove_running, a.tsig, a.cadence"
    };
}

/// Which accounts are overdue at the time ?1, that were expected until ?2 at least: the index has what is expected.
macro_rules! is_overdue {
    () => {
        "ifnull(expected_running, 2147483647) <= ?2 AND overdue_running <= ?1 AND disabled = 0"
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

    /// The account in a row.
    pub(super) fn account_at_row(&self, id: i64) -> Result<Option<Account>> {
        let sql = concat!("SELECT ", account_columns!(), " FROM accounts a WHERE id = ?1");
        let found = self.connection.prepare_cached(sql)?.query_row([id], account_row).optional()?;
        found.map(|raw| self.with_names(raw)).transpose()
    }

    /// Accounts by name, from behind `after`, at most `limit`.
    pub fn accounts(&self, after: Option<Username>, limit: usize) -> Result<Vec<Account>> {
        let sql =
            concat!("SELECT ", account_columns!(), " FROM accounts a WHERE username > ?1 ORDER BY username LIMIT ?2");
        let mut statement = self.connection.prepare_cached(sql)?;
        let after = after.map(|username| username.to_string()).unwrap_or_default();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![after, limit], account_row)?;
        rows.map(|raw| self.with_names(raw?)).collect()
    }

    /// At most `limit` active accounts, those first that have published last, and behind them those that were registered
    /// last and never published. Looks at every account, a third of a second for a million: an index would cost each
    /// update.
    pub fn latest_accounts(&self, limit: usize) -> Result<Vec<Account>> {
        let sql = concat!(
            "SELECT ",
            account_columns!(),
            " FROM accounts a WHERE disabled = 0 ORDER BY last_update DESC, id DESC LIMIT ?1"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], account_row)?;
        rows.map(|raw| self.with_names(raw?)).collect()
    }

    /// Stores a new account and its names.
    pub fn insert_account(&self, account: &Account) -> Result<()> {
        let sql = "INSERT INTO accounts (username, key_hash, allowfrom, note, created, created_running, tsig)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.connection.prepare_cached(sql)?.execute(params![
            account.username.to_string(),
            account.key.as_str(),
            allow_from_text(&account.allow_from)?,
            account.note.as_str(),
            account.created.date,
            account.created.running,
            account.tsig.as_ref().map(ToString::to_string),
        ])?;
        let id = self.connection.last_insert_rowid();
        self.note_publication(id, None);
        account.owners.iter().try_for_each(|owner| self.insert_owner(owner, Some(id)).map(drop))?;
        account.aliases.iter().try_for_each(|own| self.insert_alias(&own.alias, &own.owner).map(drop))?;
        self.index_account(id)
    }

    /// Replaces what an account may change: keys, limits, note and status.
    pub fn update_account(&self, account: &Account) -> Result<()> {
        let sql = "UPDATE accounts SET key_hash = ?2, former_key_hash = ?3, former_key_running = ?4, allowfrom = ?5,
                   note = ?6, disabled = ?7, remove_running = ?8, tsig = ?9 WHERE username = ?1";
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
        self.index_user(account.username)
    }

    /// Notes that an account has published.
    pub fn published_at(&self, username: Username, now: Timestamp) -> Result<()> {
        // A second value in the same second, as for a name and its wildcard, leaves the row as it is.
        let sql = "UPDATE accounts SET last_update = ?2 WHERE username = ?1 AND last_update IS NOT ?2 RETURNING id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let id = statement.query_row(params![username.to_string(), now], |row| row.get(0)).optional()?;
        id.iter().for_each(|id| self.note_publication(*id, Some(now)));
        Ok(())
    }

    /// The same of the value of a challenge, by which the account's next renewal is forecast.
    pub fn renewed_at(&self, username: Username, now: Moment) -> Result<()> {
        let sql = "SELECT id, cadence FROM accounts WHERE username = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let stored = statement.query_row([username.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((id, stored)): Option<(i64, String)> = stored else { return Ok(()) };
        self.note_publication(id, Some(now.date));
        let before = cadence(&stored);
        let mut cadence = before.clone();
        cadence.published(now.running);
        // A second value in the same second, as for a name and its wildcard, leaves the row as it is.
        let sql = "UPDATE accounts SET last_update = ?2, cadence = ?3
                   WHERE id = ?1 AND (last_update IS NOT ?2 OR cadence <> ?3)";
        let row = params![id, now.date, cadence.to_string()];
        self.connection.prepare_cached(sql)?.execute(row)?;
        // Only the first value of a renewal changes what is expected.
        if (cadence.expected(), cadence.overdue_from()) == (before.expected(), before.overdue_from()) {
            return Ok(());
        }
        let sql = "UPDATE accounts SET overdue_running = ?2, expected_running = ?3 WHERE id = ?1";
        let row = params![id, cadence.overdue_from(), cadence.expected()];
        self.connection.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// Remembers a publication for the order of accounts by their last one.
    fn note_publication(&self, id: i64, at: Option<Timestamp>) {
        // SQLite reaches no more rows than fit.
        self.published.borrow_mut().extend(u32::try_from(id).map(|row| (at.map_or(0, Timestamp::low_32_bits), row)));
    }

    /// The last publication of each account, in the order of the rows. Reads every account.
    pub(in crate::store) fn publications(&self) -> Result<Vec<Published>> {
        let mut statement = self.connection.prepare("SELECT ifnull(last_update, 0), id FROM accounts")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How many active accounts are overdue with their renewals.
    pub fn count_overdue(&self, now: RunningTime) -> Result<u64> {
        let sql = concat!("SELECT count(*) FROM accounts a WHERE ", is_overdue!());
        let key = params![now, now.minus(LEAST_SLACK)];
        let count: i64 = self.connection.prepare_cached(sql)?.query_row(key, |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// At most `limit` of these accounts, those first that were expected first.
    pub fn overdue(&self, now: RunningTime, limit: usize) -> Result<Vec<Account>> {
        let sql = concat!(
            "SELECT ",
            account_columns!(),
            " FROM accounts a WHERE ",
            is_overdue!(),
            " ORDER BY ifnull(expected_running, 2147483647), id LIMIT ?3"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![now, now.minus(LEAST_SLACK), limit], account_row)?;
        rows.map(|raw| self.with_names(raw?)).collect()
    }

    /// Removes an account, its owners and their values for good.
    pub fn remove_account(&self, username: Username) -> Result<()> {
        if let Some(id) = self.account_id(username)? {
            self.unindex_account(id)?;
        }
        self.connection.prepare_cached("DELETE FROM accounts WHERE username = ?1")?.execute([username.to_string()])?;
        Ok(())
    }

    /// At most `limit` deleted accounts whose time has come.
    pub fn removable(&self, now: RunningTime, limit: usize) -> Result<Vec<Account>> {
        let sql = concat!("SELECT ", account_columns!(), " FROM accounts a WHERE remove_running <= ?1 LIMIT ?2");
        self.some_accounts(sql, now, limit)
    }

    /// At most `limit` active accounts that were registered before `before` and never published. Looks at every
    /// account where few are so.
    pub fn unused(&self, before: RunningTime, limit: usize) -> Result<Vec<Account>> {
        let sql = concat!(
            "SELECT ",
            account_columns!(),
            " FROM accounts a WHERE last_update IS NULL AND disabled = 0 AND created_running < ?1 LIMIT ?2"
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

    fn some_accounts(&self, sql: &str, when: RunningTime, limit: usize) -> Result<Vec<Account>> {
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
    former: Option<(String, RunningTime)>,
    allow_from: String,
    note: String,
    created: Moment,
    last_update: Option<Timestamp>,
    disabled: bool,
    remove_at: Option<RunningTime>,
    tsig: Option<String>,
    cadence: String,
}

fn account_row(row: &Row<'_>) -> rusqlite::Result<RawAccount> {
    let former = row.get::<_, Option<String>>(3)?.zip(row.get::<_, Option<RunningTime>>(4)?);
    Ok(RawAccount {
        id: row.get(0)?,
        username: row.get(1)?,
        key: row.get(2)?,
        former,
        allow_from: row.get(5)?,
        note: row.get(6)?,
        created: Moment { date: row.get(7)?, running: row.get(8)? },
        last_update: row.get(9)?,
        disabled: row.get(10)?,
        remove_at: row.get(11)?,
        tsig: row.get(12)?,
        cadence: row.get(13)?,
    })
}

impl RawAccount {
    fn into_account(self, owners: Vec<Owner>, aliases: Vec<OwnAlias>) -> Result<Account> {
        let former_key = |(hash, until): (String, RunningTime)| {
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
            cadence: cadence(&self.cadence),
            status: status(self.disabled, self.remove_at),
        })
    }
}

/// What is learnt of an account. One that cannot be read is learnt anew: a forecast must keep nobody from publishing.
fn cadence(stored: &str) -> Cadence {
    stored.parse().unwrap_or_default()
}

fn allow_from_text(allow_from: &AllowFrom) -> Result<String> {
    serde_json::to_string(allow_from).map_err(|e| unreadable("allowfrom", &e))
}
