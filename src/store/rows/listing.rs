//! Pages of accounts, sorted and filtered, however many there are. Where few accounts can be meant, an index finds them, and
//! they are sorted here. Otherwise the index of the order is read from the cursor on until the page is full.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use crate::model::account::Account;
use crate::model::account::listing::{AccountQuery, AccountSort, Cursor, Order, Place, StateFilter};
use crate::model::cadence::LEAST_SLACK;
use crate::model::name::ZoneName;
use crate::model::time::RunningTime;

use super::search::{Found, condition};
use super::{Published, Result, Rows, parse};

/// The most accounts that are found by an index, and sorted here.
const FEW: usize = 4_000;
/// The most accounts that are read for one page. One that is not full by then is sent as it is, with a cursor.
const READ: usize = 15_000;
/// How long accounts are read for one page at most, likewise.
const READING: Duration = Duration::from_millis(40);
/// Accounts that are read between two looks at the clock; so many a page goes on at least.
const STEP: usize = 256;

/// A part of a list of accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountPage {
    pub accounts: Vec<Account>,
    /// Where the next page begins; `None` at the end of the list. A page that is not full may have one: the search goes on
    /// there.
    pub next: Option<Cursor>,
    /// Where the page before this one ends; `None` at the beginning of the list.
    pub previous: Option<Cursor>,
    /// How many accounts the whole list has, where counting them is cheap.
    pub total: Option<u64>,
}

/// Accounts by row and place, in the order of reading, and where reading goes on.
struct Part {
    rows: Vec<(Cursor, i64)>,
    rest: Option<Cursor>,
    total: Option<u64>,
}

/// A page while accounts are read for it one by one.
struct Reading {
    part: Part,
    limit: usize,
    started: Instant,
    read: usize,
}

impl Reading {
    fn new(limit: usize, total: Option<u64>) -> Self {
        Self { part: Part { rows: Vec::new(), rest: None, total }, limit, started: Instant::now(), read: 0 }
    }

    /// Takes an account if it `fits` the query; whether the next one is read. The page ends before the first account that
    /// has no room, so that the page behind it has one.
    fn goes_on_after(&mut self, place: Cursor, id: i64, fits: bool) -> bool {
        let rows = &mut self.part.rows;
        if fits && rows.len() == self.limit {
            self.part.rest = rows.last().map(|(place, _)| place.clone());
            return false;
        }
        if fits {
            rows.push((place.clone(), id));
        }
        self.read += 1;
        let is_over = self.read >= READ || (self.read.is_multiple_of(STEP) && self.started.elapsed() > READING);
        if is_over {
            self.part.rest = Some(place);
        }
        !is_over
    }
}

impl Rows<'_> {
    /// A page of accounts. `now` decides who is overdue; `publications` is asked for where the list is in their order.
    pub(in crate::store) fn list_accounts(
        &self,
        query: &AccountQuery,
        now: RunningTime,
        publications: impl FnOnce() -> Result<Arc<Vec<Published>>>,
    ) -> Result<AccountPage> {
        let (cursor, is_backward) = match &query.place {
            Place::Start => (None, false),
            Place::After(cursor) => (Some(cursor), false),
            Place::Before(cursor) => (Some(cursor), true),
        };
        let order = if is_backward { query.order.reversed() } else { query.order };
        let filter = Filter::of(query, now);
        let mut part = match self.few(query, now)? {
            Some(rows) => self.sorted(&rows, query, &filter, order, cursor)?,
            None if query.sort == AccountSort::LastUpdate => {
                self.in_order_of(&publications()?, query, &filter, order, cursor)?
            }
            None => self.walked(query, &filter, order, cursor)?,
        };
        if is_backward {
            part.rows.reverse();
        }
        // Where there is a cursor, the list has accounts on its other side.
        let edge = if is_backward { part.rows.last() } else { part.rows.first() };
        let back = edge.map(|(place, _)| place).or(cursor).filter(|_| cursor.is_some()).cloned();
        let (next, previous) = if is_backward { (back, part.rest) } else { (part.rest, back) };
        let accounts: Result<Vec<Option<Account>>> = part.rows.iter().map(|(_, id)| self.account_at_row(*id)).collect();
        Ok(AccountPage { accounts: accounts?.into_iter().flatten().collect(), next, previous, total: part.total })
    }

    /// Whether accounts have names in a zone.
    pub fn has_owners_in(&self, zone: &ZoneName) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM owners WHERE zone = ?1 AND account IS NOT NULL)";
        Ok(self.connection.prepare_cached(sql)?.query_row([zone.to_string()], |row| row.get(0))?)
    }

    /// The accounts among which those of the query are, if an index finds few.
    fn few(&self, query: &AccountQuery, now: RunningTime) -> Result<Found> {
        if let Some(term) = &query.search
            && let Some(found) = self.searched(term, FEW)?
        {
            return Ok(Some(found));
        }
        let mut sources: Vec<(&str, Vec<Value>)> = Vec::new();
        if query.is_overdue {
            let key = vec![latest_expected(now), now.as_seconds().into()];
            sources.push((OVERDUE, key));
        }
        match query.state {
            Some(StateFilter::Deleted) => {
                sources.push(("SELECT id FROM accounts WHERE remove_running IS NOT NULL LIMIT ?", Vec::new()));
            }
            Some(StateFilter::Disabled) => {
                sources.push(("SELECT id FROM accounts WHERE disabled = 1 LIMIT ?", Vec::new()));
            }
            Some(StateFilter::Active) | None => {}
        }
        if let Some(zone) = &query.zone {
            let sql = "SELECT account FROM owners WHERE zone = ? AND account IS NOT NULL LIMIT ?";
            sources.push((sql, vec![zone.to_string().into()]));
        }
        for (sql, key) in sources {
            let mut found = self.ids(sql, key, FEW + 1)?;
            if found.len() <= FEW {
                found.sort_unstable();
                found.dedup();
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn sorted(
        &self,
        found: &[i64],
        query: &AccountQuery,
        filter: &Filter,
        order: Order,
        cursor: Option<&Cursor>,
    ) -> Result<Part> {
        let sort = Sort::of(query.sort);
        let sql =
            format!("SELECT a.id, {} FROM {} WHERE {} AND a.id = ?", sort.columns.join(", "), sort.one, filter.sql);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = Vec::with_capacity(found.len());
        for id in found {
            let mut matching = statement.query(params_from_iter(filter.values.iter().chain([&Value::from(*id)])))?;
            if let Some(row) = matching.next()? {
                rows.push((place(query.sort, row)?, *id));
            }
        }
        rows.sort_unstable();
        if order == Order::Descending {
            rows.reverse();
        }
        let total = u64::try_from(rows.len()).ok();
        rows.retain(|(place, _)| {
            cursor.is_none_or(|cursor| match order {
                Order::Ascending => place > cursor,
                Order::Descending => place < cursor,
            })
        });
        let goes_on = rows.len() > query.limit;
        rows.truncate(query.limit);
        let rest = rows.last().filter(|_| goes_on).map(|(place, _)| place.clone());
        Ok(Part { rows, rest, total })
    }

    fn walked(&self, query: &AccountQuery, filter: &Filter, order: Order, cursor: Option<&Cursor>) -> Result<Part> {
        let sort = Sort::of(query.sort);
        let (comparison, direction) = match order {
            Order::Ascending => (">", "ASC"),
            Order::Descending => ("<", "DESC"),
        };
        let columns = sort.columns.join(", ");
        let from = if cursor.is_none() {
            String::new()
        } else {
            format!(" AND ({columns}) {comparison} ({})", vec!["?"; sort.columns.len()].join(", "))
        };
        let by: Vec<String> = sort.columns.iter().map(|key| format!("{key} {direction}")).collect();
        let sql = format!(
            "SELECT a.id, {columns}, {} FROM {} WHERE {}{from} ORDER BY {}",
            filter.sql,
            sort.all,
            sort.condition,
            by.join(", ")
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let key = cursor.map(key).unwrap_or_default();
        let mut found = statement.query(params_from_iter(filter.values.iter().chain(&key)))?;
        let mut reading = Reading::new(query.limit, self.cheap_total(query)?);
        while let Some(row) = found.next()? {
            let fits = row.get(1 + sort.columns.len())?;
            if !reading.goes_on_after(place(query.sort, row)?, row.get(0)?, fits) {
                break;
            }
        }
        Ok(reading.part)
    }

    /// The same as [`Self::walked`], by an order that memory keeps.
    fn in_order_of(
        &self,
        publications: &[Published],
        query: &AccountQuery,
        filter: &Filter,
        order: Order,
        cursor: Option<&Cursor>,
    ) -> Result<Part> {
        let sql = format!("SELECT 1 FROM accounts a WHERE {} AND a.id = ?", filter.sql);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let place = |(at, row): Published| Cursor::LastUpdate(at.into(), row.into());
        let behind: &mut dyn Iterator<Item = &Published> = match order {
            Order::Ascending => {
                let start = publications.partition_point(|here| cursor.is_some_and(|cursor| place(*here) <= *cursor));
                &mut publications.get(start..).unwrap_or_default().iter()
            }
            Order::Descending => {
                let end = publications.partition_point(|here| cursor.is_none_or(|cursor| place(*here) < *cursor));
                &mut publications.get(..end).unwrap_or_default().iter().rev()
            }
        };
        let mut reading = Reading::new(query.limit, self.cheap_total(query)?);
        for here in behind {
            let id = i64::from(here.1);
            let fits = statement.exists(params_from_iter(filter.values.iter().chain([&Value::from(id)])))?;
            if !reading.goes_on_after(place(*here), id, fits) {
                break;
            }
        }
        Ok(reading.part)
    }

    /// How many accounts there are, if the query has all or all but few of them.
    fn cheap_total(&self, query: &AccountQuery) -> Result<Option<u64>> {
        let is_filtered = query.search.is_some() || query.zone.is_some() || query.is_overdue;
        let rest = match query.state {
            _ if is_filtered => return Ok(None),
            None => 0,
            Some(StateFilter::Active) => {
                self.ids("SELECT id FROM accounts WHERE disabled = 1 LIMIT ?", [], FEW + 1)?.len()
            }
            Some(_) => return Ok(None),
        };
        if rest > FEW {
            return Ok(None);
        }
        let mut statement = self.connection.prepare_cached("SELECT count(*) FROM accounts")?;
        let all = u64::try_from(statement.query_row([], |row| row.get::<_, i64>(0))?).unwrap_or_default();
        Ok(Some(all.saturating_sub(rest as u64)))
    }
}

/// Overdue accounts, by the index of what is expected.
const OVERDUE: &str = "SELECT id FROM accounts WHERE ifnull(expected_running, 2147483647) <= ? AND overdue_running <= ?
                       AND disabled = 0 LIMIT ?";

/// Accounts that are overdue were expected until then at least.
fn latest_expected(now: RunningTime) -> Value {
    now.minus(LEAST_SLACK).as_seconds().into()
}

/// Which accounts are in a list, as a condition on the row `a`.
struct Filter {
    sql: String,
    values: Vec<Value>,
}

impl Filter {
    fn of(query: &AccountQuery, now: RunningTime) -> Self {
        let mut filter = Self { sql: "(1".to_owned(), values: Vec::new() };
        match query.state {
            Some(StateFilter::Active) => filter.and("a.disabled = 0", []),
            Some(StateFilter::Disabled) => filter.and("a.disabled = 1 AND a.remove_running IS NULL", []),
            Some(StateFilter::Deleted) => filter.and("a.remove_running IS NOT NULL", []),
            None => {}
        }
        if query.is_overdue {
            filter.and("a.disabled = 0 AND ifnull(a.overdue_running <= ?, 0)", [now.as_seconds().into()]);
        }
        if let Some(zone) = &query.zone {
            let sql = "EXISTS (SELECT 1 FROM owners z WHERE z.account = a.id AND z.zone = ?)";
            filter.and(sql, [zone.to_string().into()]);
        }
        if let Some(term) = &query.search {
            let (sql, values) = condition(term);
            filter.and(&sql, values);
        }
        filter.sql.push_str(") IS TRUE");
        filter
    }

    fn and(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(sql);
        self.values.extend(values);
    }
}

/// How a sort is written in SQL.
struct Sort {
    /// The columns of the order; no two accounts are equal in all of them.
    columns: &'static [&'static str],
    /// The tables, for all accounts in this order.
    all: &'static str,
    /// The tables, for one account.
    one: &'static str,
    /// Which rows of the tables count.
    condition: &'static str,
}

impl Sort {
    fn of(sort: AccountSort) -> Self {
        let by_index = |columns: &'static [&'static str], all| Self { columns, all, one: "accounts a", condition: "1" };
        match sort {
            AccountSort::Username => by_index(&["a.username"], "accounts a"),
            AccountSort::Created => by_index(&["a.created", "a.id"], "accounts a INDEXED BY accounts_created"),
            AccountSort::LastUpdate => by_index(&["ifnull(a.last_update, 0)", "a.id"], "accounts a"),
            AccountSort::NextRenewal => {
                by_index(&["ifnull(a.expected_running, 2147483647)", "a.id"], "accounts a INDEXED BY accounts_expected")
            }
            AccountSort::Label => Self {
                columns: &["f.zone", "f.name"],
                all: "owners f CROSS JOIN accounts a ON a.id = f.account",
                one: "accounts a JOIN owners f ON f.id = (SELECT min(e.id) FROM owners e WHERE e.account = a.id)",
                condition: "NOT EXISTS (SELECT 1 FROM owners e WHERE e.account = f.account AND e.id < f.id)",
            },
        }
    }
}

/// The place of a row with the columns of the order from the second on.
fn place(sort: AccountSort, row: &Row<'_>) -> Result<Cursor> {
    Ok(match sort {
        AccountSort::Username => Cursor::Username(parse("username", &row.get::<_, String>(1)?)?),
        AccountSort::Label => Cursor::Label { zone: row.get(1)?, label: row.get(2)? },
        AccountSort::Created => Cursor::Created(row.get(1)?, row.get(2)?),
        AccountSort::LastUpdate => Cursor::LastUpdate(row.get(1)?, row.get(2)?),
        AccountSort::NextRenewal => Cursor::NextRenewal(row.get(1)?, row.get(2)?),
    })
}

/// A place as the columns of the order.
fn key(cursor: &Cursor) -> Vec<Value> {
    match cursor {
        Cursor::Username(username) => vec![username.to_string().into()],
        Cursor::Label { zone, label } => vec![zone.clone().into(), label.clone().into()],
        Cursor::Created(at, row) | Cursor::LastUpdate(at, row) | Cursor::NextRenewal(at, row) => {
            vec![(*at).into(), (*row).into()]
        }
    }
}
