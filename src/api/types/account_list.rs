//! `GET /accounts`: lists of accounts.

use serde::{Deserialize, Serialize};

use crate::model::account::listing::{AccountSort, Cursor, Order, StateFilter};
use crate::model::account::search::SearchTerm;
use crate::model::name::ZoneName;

use super::accounts::AccountView;

/// The accounts of a page if the request sets no limit.
pub const PAGE: usize = 100;
/// The most accounts of a page.
pub const MAX_PAGE: usize = 1_000;

/// The parameters of `GET /accounts`. Accounts are in the list that fulfil all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListAccounts {
    /// Only accounts with this text in a label, a challenge zone, the note or an alias, or with a username or a random label
    /// that begins with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchTerm>,
    /// Only accounts in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StateFilter>,
    /// Only accounts with a name in this zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneName>,
    /// Only active accounts that have not renewed in their usual time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue: Option<bool>,
    /// What the list is sorted by: the username if absent, or the next renewal with `overdue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<AccountSort>,
    /// The direction; if absent, names from a to z, the newest date and the next renewal first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The page that begins after this cursor, `next` of another page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Cursor>,
    /// The page that ends before this cursor, `previous` of another page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Cursor>,
    /// The most accounts of the page, up to [`MAX_PAGE`]; [`PAGE`] if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Also what the queries for the newest value of each account mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<bool>,
}

impl ListAccounts {
    /// The names of the parameters.
    pub const NAMES: [&str; 10] =
        ["search", "state", "zone", "overdue", "sort", "order", "after", "before", "limit", "verdicts"];

    /// The sort that is asked for, or the one that fits the rest.
    pub fn sort(&self) -> AccountSort {
        let usual = if self.overdue == Some(true) { AccountSort::NextRenewal } else { AccountSort::Username };
        self.sort.unwrap_or(usual)
    }
}

/// A page of accounts. It may be short of the limit, or even empty, and the list goes on all the same: where a search has to
/// read accounts one by one, each page reads a limited number of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AccountList {
    /// The accounts, in the order of the list.
    pub items: Vec<AccountView>,
    /// Whether the list goes on after the last item.
    pub truncated: bool,
    /// The cursor of the page behind this one, for `after`.
    #[serde(default)]
    pub next: Option<Cursor>,
    /// The cursor of the page before this one, for `before`.
    #[serde(default)]
    pub previous: Option<Cursor>,
    /// How many accounts the whole list has; `None` where counting them would take long.
    #[serde(default)]
    pub total: Option<u64>,
}
