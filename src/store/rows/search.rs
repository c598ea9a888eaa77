//! The index by which accounts are searched: an FTS5 table of trigrams, with a row for each account that has a text of its
//! own. It has neither usernames nor random labels, which would be most of it; these are found by their beginning, in the
//! indices of their own tables.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params, params_from_iter};

use crate::model::account::search::{SearchTerm, searchable};
use crate::model::account::{Username, search};
use crate::model::name::{Owner, OwnerLabel};

use super::{Result, Rows, owner_of};

/// Letters of a trigram.
const TRIGRAM: usize = 3;
/// Trigrams of a term whose frequencies are looked up.
const PROBED: usize = 40;
/// Occurrences of a trigram by which its frequency is estimated.
const SAMPLE: i64 = 200;
/// Trigrams of a term that are looked up together, the rarest; what has them is compared with the whole term.
const USED: usize = 4;
/// Accounts that are compared with a term before the search gives up: there are too many to read and sort them.
const COMPARED: usize = 6_000;

/// Row numbers of accounts, in order; `None` where there are more than a caller asks for.
pub(super) type Found = Option<Vec<i64>>;

impl Rows<'_> {
    /// Fills the index of a database that has none.
    pub(in crate::store) fn index_all(&self) -> Result<()> {
        let sql = "SELECT a.id, a.note,
                   (SELECT group_concat(o.zone || ' ' || o.name, char(10)) FROM owners o WHERE o.account = a.id),
                   (SELECT group_concat(l.name, char(10)) FROM aliases l WHERE l.account = a.id) FROM accounts a";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, note): (i64, String) = (row.get(0)?, row.get(1)?);
            let (owners, aliases): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
            let owners = owners.unwrap_or_default();
            let names =
                owners.lines().filter_map(|owner| owner.split_once(' ')).filter_map(|(zone, name)| own(zone, name));
            let text = searchable(&note, names.chain(aliases.unwrap_or_default().lines()));
            if !text.is_empty() {
                self.insert_text(id, &text)?;
            }
        }
        Ok(())
    }

    /// Brings the index up to date with an account's note and names. Writes only what differs.
    pub(super) fn index_account(&self, id: i64) -> Result<()> {
        let mut statement = self.connection.prepare_cached("SELECT note FROM accounts WHERE id = ?1")?;
        let Some(note) = statement.query_row([id], |row| row.get::<_, String>(0)).optional()? else { return Ok(()) };
        let owners = self.pairs("SELECT zone, name FROM owners WHERE account = ?1 ORDER BY id", id)?;
        let aliases = self.pairs("SELECT name, '' FROM aliases WHERE account = ?1 ORDER BY name", id)?;
        let labels = owners.iter().filter_map(|(zone, name)| own(zone, name));
        let text = searchable(&note, labels.chain(aliases.iter().map(|(name, _)| name.as_str())));
        let mut statement = self.connection.prepare_cached("SELECT c0 FROM account_search_content WHERE id = ?1")?;
        let indexed: Option<String> = statement.query_row([id], |row| row.get(0)).optional()?;
        if indexed.as_deref().unwrap_or_default() == text {
            return Ok(());
        }
        if indexed.is_some() {
            self.unindex_account(id)?;
        }
        if text.is_empty() { Ok(()) } else { self.insert_text(id, &text) }
    }

    /// The same by the name of an account.
    pub(super) fn index_user(&self, username: Username) -> Result<()> {
        self.account_id(username)?.map_or(Ok(()), |id| self.index_account(id))
    }

    /// Takes an account out of the index.
    pub(super) fn unindex_account(&self, id: i64) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM account_search WHERE rowid = ?1")?.execute([id])?;
        Ok(())
    }

    pub(super) fn account_id(&self, username: Username) -> Result<Option<i64>> {
        let mut statement = self.connection.prepare_cached("SELECT id FROM accounts WHERE username = ?1")?;
        Ok(statement.query_row([username.to_string()], |row| row.get(0)).optional()?)
    }

    fn insert_text(&self, id: i64, text: &str) -> Result<()> {
        let sql = "INSERT INTO account_search (rowid, text) VALUES (?1, ?2)";
        self.connection.prepare_cached(sql)?.execute(params![id, text])?;
        Ok(())
    }

    fn pairs(&self, sql: &str, account: i64) -> Result<Vec<(String, String)>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([account], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The accounts that a term finds; `None` where they are more than `most`, or where only reading every account can tell.
    pub(super) fn searched(&self, term: &SearchTerm, most: usize) -> Result<Found> {
        let mut found = Vec::new();
        for needle in term.needles() {
            let Some(matches) = self.with_text(needle, most)? else { return Ok(None) };
            found.extend(matches);
        }
        if let Some(prefix) = term.uuid_prefix() {
            let Some(matches) = self.with_prefix(&prefix, most)? else { return Ok(None) };
            found.extend(matches);
        }
        for needle in term.needles() {
            found.extend(self.with_fulldomain(needle)?);
        }
        found.sort_unstable();
        found.dedup();
        Ok(if found.len() > most { None } else { Some(found) })
    }

    fn with_text(&self, needle: &str, most: usize) -> Result<Found> {
        let Some(trigrams) = self.rarest(needle)? else { return Ok(None) };
        let sql =
            "SELECT c.id, instr(c.c0, ?2) FROM account_search s CROSS JOIN account_search_content c ON c.id = s.rowid
                   WHERE account_search MATCH ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([trigrams.as_str(), needle])?;
        let (mut found, mut compared) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            compared += 1;
            if row.get::<_, i64>(1)? > 0 {
                found.push(row.get(0)?);
            }
            if found.len() > most || compared > COMPARED {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }

    /// An FTS5 query for the rarest trigrams of a text; `None` where it has none.
    fn rarest(&self, needle: &str) -> Result<Option<String>> {
        let letters: Vec<char> = needle.chars().collect();
        let mut quoted: Vec<String> = letters.windows(TRIGRAM).take(PROBED).map(quoted).collect();
        quoted.sort_unstable();
        quoted.dedup();
        let mut ranked: Vec<(i64, String)> = Vec::with_capacity(quoted.len());
        for trigram in quoted {
            ranked.push((self.gap(&trigram)?, trigram));
        }
        ranked.sort_unstable_by_key(|(gap, _)| std::cmp::Reverse(*gap));
        let rarest: Vec<String> = ranked.into_iter().take(USED).map(|(_, trigram)| trigram).collect();
        Ok((!rarest.is_empty()).then(|| rarest.join(" AND ")))
    }

    /// How many rows lie between two that have a trigram, about, by the first ones that do.
    fn gap(&self, trigram: &str) -> Result<i64> {
        let sql = "SELECT count(*), max(rowid) FROM
                   (SELECT rowid FROM account_search WHERE account_search MATCH ?1 LIMIT ?2)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let (count, last): (i64, Option<i64>) =
            statement.query_row(params![trigram, SAMPLE], |row| Ok((row.get(0)?, row.get(1)?)))?;
        // What ends before the sample is full is rarer than all others.
        Ok(if count < SAMPLE { i64::MAX - count } else { last.unwrap_or_default() / SAMPLE })
    }

    /// Accounts whose username or label begins so.
    fn with_prefix(&self, prefix: &str, most: usize) -> Result<Found> {
        // What follows all texts with this beginning: UUIDs have no `g`.
        let end = format!("{prefix}g");
        let usernames = "SELECT id FROM accounts WHERE username >= ? AND username < ? LIMIT ?";
        let mut found = self.ids(usernames, [prefix.to_owned(), end.clone()].map(Value::from), most + 1)?;
        let mut zone = String::new();
        while found.len() <= most {
            let next = "SELECT min(zone) FROM owners WHERE zone > ?1";
            let Some(next) = self.connection.prepare_cached(next)?.query_row([&zone], |row| row.get(0))? else { break };
            zone = next;
            let labels =
                "SELECT account FROM owners WHERE zone = ? AND name >= ? AND name < ? AND account IS NOT NULL LIMIT ?";
            let key = [zone.clone(), prefix.to_owned(), end.clone()].map(Value::from);
            found.extend(self.ids(labels, key, most + 1)?);
        }
        Ok(if found.len() > most { None } else { Some(found) })
    }

    /// The account that has this whole name.
    fn with_fulldomain(&self, name: &str) -> Result<Vec<i64>> {
        let sql = "SELECT account FROM owners WHERE zone = ? AND name = ? AND account IS NOT NULL LIMIT ?";
        let mut found = Vec::new();
        for (dot, _) in name.match_indices('.') {
            let (label, zone) = name.split_at(dot);
            let key = [zone.trim_start_matches('.'), label].map(|text| Value::from(text.to_owned()));
            found.extend(self.ids(sql, key, 1)?);
        }
        Ok(found)
    }

    /// The first column of a query, whose last parameter is the limit.
    pub(super) fn ids(&self, sql: &str, key: impl IntoIterator<Item = Value>, limit: usize) -> Result<Vec<i64>> {
        let limit = Value::from(i64::try_from(limit).unwrap_or(i64::MAX));
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params_from_iter(key.into_iter().chain([limit])), |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// A trigram as a string of FTS5, in which only the quote has a meaning.
fn quoted(letters: &[char]) -> String {
    let text: String = letters.iter().collect();
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// What an account is found by of an owner: its label, or the zone that is the account's as a whole. Labels of ACME accounts
/// come and go with their values, and do not count.
fn own<'n>(zone: &'n str, name: &'n str) -> Option<&'n str> {
    if name == OwnerLabel::APEX {
        return Some(zone);
    }
    let is_given = search::is_random(name) || owner_of(zone, name).map_or(true, |owner: Owner| owner.above().is_none());
    is_given.then_some(name)
}

/// The condition that an account `a` has a text of a term, for those that the index cannot find; and its parameters.
pub(super) fn condition(term: &SearchTerm) -> (String, Vec<Value>) {
    let mut parts = Vec::new();
    let mut values = Vec::new();
    for needle in term.needles() {
        parts.push("instr((SELECT c0 FROM account_search_content WHERE id = a.id), ?)".to_owned());
        values.push(Value::from(needle.to_owned()));
        if needle.contains('.') {
            parts.push(
                "EXISTS (SELECT 1 FROM owners o WHERE o.account = a.id AND o.name || '.' || o.zone = ?)".to_owned(),
            );
            values.push(Value::from(needle.to_owned()));
        }
    }
    if let Some(prefix) = term.uuid_prefix() {
        let range = [prefix.clone(), format!("{prefix}g")];
        parts.push("(a.username >= ? AND a.username < ?)".to_owned());
        parts.push("EXISTS (SELECT 1 FROM owners o WHERE o.account = a.id AND o.name >= ? AND o.name < ?)".to_owned());
        values.extend(range.iter().chain(&range).cloned().map(Value::from));
    }
    (format!("({})", parts.join(" OR ")), values)
}
