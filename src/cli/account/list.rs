//! `account list`

use axum::http::Method;
use clap::Args;

use crate::api::types::account_list::{AccountList, ListAccounts, MAX_PAGE};
use crate::cli::error::{CliError, Result};
use crate::cli::operator::{Operator, encoded};
use crate::cli::output::Output;
use crate::model::account::listing::{AccountSort, Cursor, Order, StateFilter};
use crate::model::account::search::SearchTerm;
use crate::model::name::ZoneName;

use super::shown::account_list;

/// The accounts of one request.
const STEP: usize = 500;

/// `account list`
#[derive(Debug, Args)]
pub struct ListAccountsArgs {
    /// Only accounts with this text in a domain, a label, the note or an alias, or with a username that begins with it
    #[arg(long, value_name = "TEXT")]
    search: Option<SearchTerm>,
    /// Only accounts in this state: active, disabled or deleted
    #[arg(long)]
    state: Option<StateFilter>,
    /// Only accounts with a name in this zone
    #[arg(long)]
    zone: Option<ZoneName>,
    /// Only active accounts that have not renewed in their usual time, those first that were expected first
    #[arg(long)]
    overdue: bool,
    /// What to sort by: username, label, created, last_update or next_renewal; in a table, by domain if absent
    #[arg(long)]
    sort: Option<AccountSort>,
    /// The direction: asc or desc; if absent, names from a to z, the newest date and the next renewal first
    #[arg(long)]
    order: Option<Order>,
    /// Begin after this cursor, `next` of another page
    #[arg(long, value_name = "CURSOR", conflicts_with = "before")]
    after: Option<Cursor>,
    /// The page that ends before this cursor, `previous` of another page
    #[arg(long, value_name = "CURSOR")]
    before: Option<Cursor>,
    /// At most so many accounts; all of them if absent
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    #[command(flatten)]
    output: Output,
}

impl ListAccountsArgs {
    fn request(&self) -> ListAccounts {
        ListAccounts {
            search: self.search.clone(),
            state: self.state,
            zone: self.zone.clone(),
            overdue: self.overdue.then_some(true),
            sort: self.sort,
            order: self.order,
            after: self.after.clone(),
            before: self.before.clone(),
            limit: Some(self.limit.unwrap_or(STEP).clamp(1, MAX_PAGE)),
            verdicts: None,
        }
    }

    /// What is said where there is none.
    fn none(&self) -> String {
        let is_filtered = self.state.is_some() || self.zone.is_some() || self.after.is_some() || self.before.is_some();
        match &self.search {
            _ if is_filtered => "no account fits; leave out an option to see more".to_owned(),
            _ if self.overdue => "no account is overdue".to_owned(),
            Some(search) => format!("no account has {:?} in its username, note, label or alias", search.to_string()),
            None => "there are no accounts yet; `txtgate account create DOMAIN` creates one".to_owned(),
        }
    }
}

/// Prints the accounts, or the page of them that is wanted.
pub fn list(operator: &Operator, wanted: ListAccountsArgs) -> Result<()> {
    let mut request = wanted.request();
    // One page can only be asked for by its end.
    let most = if request.before.is_some() { request.limit } else { wanted.limit };
    let mut list: AccountList = operator.ask(Method::GET, &path(&request)?)?;
    while let Some(next) = list.next.clone().filter(|_| wanted.before.is_none()) {
        let room = most.map_or(STEP, |most| most.saturating_sub(list.items.len()));
        if room == 0 {
            break;
        }
        request.after = Some(next);
        request.limit = Some(room.min(MAX_PAGE));
        let page: AccountList = operator.ask(Method::GET, &path(&request)?)?;
        list.items.extend(page.items);
        list.next = page.next;
        list.truncated = page.truncated;
    }
    let by_domain = wanted.sort.is_none() && !wanted.overdue && !list.truncated;
    wanted.output.print(&list, |list| {
        let mut table = account_list(&list.items, by_domain, &wanted.none());
        let more = [("after", &list.next), ("before", &list.previous)];
        for (option, cursor) in more.into_iter().filter_map(|(option, cursor)| Some((option, cursor.as_ref()?))) {
            table.push_str(&format!("\nmore accounts: --{option} {cursor}"));
        }
        table
    })
}

/// The request in the URL.
fn path(request: &ListAccounts) -> Result<String> {
    let unwritable = |error: serde_json::Error| CliError::Refused(error.to_string());
    let serde_json::Value::Object(members) = serde_json::to_value(request).map_err(unwritable)? else {
        return Ok("/accounts".to_owned());
    };
    let pairs = members.iter().map(|(name, value)| match value {
        serde_json::Value::String(text) => format!("{name}={}", encoded(text)),
        other => format!("{name}={other}"),
    });
    Ok(format!("/accounts?{}", pairs.collect::<Vec<_>>().join("&")))
}
