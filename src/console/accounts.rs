//! The list of accounts: searched, filtered, sorted and paged by its address.

use axum::Router;
use axum::extract::{Query, State};
use axum::response::Html;
use axum::routing::get;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::api::types::account_list::AccountList;
use crate::api::types::accounts::{AccountState, AccountView};
use crate::model::admin_token::AdminScope;
use crate::querylog::verdict::VerdictCode;

use super::create;
use super::error::PageError;
use super::page::{Page, Section, Tone, badge, empty, time, time_or};
use super::signed_in::SignedIn;
use super::state::Shared;

/// The accounts of a page.
const PAGE: usize = 50;
/// What lists are sorted by: the value of the parameter, and how people call it.
const SORTS: [(&str, &str); 5] = [
    ("last_update", "Last publish"),
    ("label", "Name"),
    ("created", "Created"),
    ("next_renewal", "Next renewal"),
    ("username", "Username"),
];
/// The states of the filter.
const STATES: [(&str, &str); 4] =
    [("", "Any state"), ("active", "Active"), ("disabled", "Disabled"), ("deleted", "Deleted")];

/// The pages of the list and of the form that creates an account.
pub fn routes() -> Router<Shared> {
    Router::new().route("/accounts", get(show).post(create::create)).route("/accounts/new", get(create::show))
}

/// The filters, as they stand in the address: a filter that the admin API refuses is shown again beside the reason.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Filters {
    search: String,
    state: String,
    zone: String,
    overdue: String,
    sort: String,
    order: String,
    after: String,
    before: String,
}

impl Filters {
    fn sort(&self) -> &str {
        let usual = if self.overdue.is_empty() { "last_update" } else { "next_renewal" };
        if self.sort.is_empty() { usual } else { &self.sort }
    }

    fn is_filtered(&self) -> bool {
        [&self.search, &self.state, &self.zone, &self.overdue].iter().any(|filter| !filter.is_empty())
    }

    /// The parameters without those of one page.
    fn parameters(&self) -> String {
        let overdue = if self.overdue.is_empty() { "" } else { "true" };
        let all = [
            ("search", self.search.trim()),
            ("state", &self.state),
            ("zone", self.zone.trim()),
            ("overdue", overdue),
            ("sort", self.sort()),
            ("order", &self.order),
        ];
        let given = all.iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<_> = given.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        pairs.join("&")
    }

    /// The path of this page in the admin API.
    fn path(&self) -> String {
        let page = [("after", &self.after), ("before", &self.before)];
        let page: String = page
            .iter()
            .filter(|(_, cursor)| !cursor.is_empty())
            .map(|(name, cursor)| format!("&{name}={}", encoded(cursor)))
            .collect();
        format!("/accounts?{}&verdicts=true&limit={PAGE}{page}", self.parameters())
    }

    fn link(&self, name: &str, cursor: &str) -> String {
        format!("/accounts?{}&{name}={}", self.parameters(), encoded(cursor))
    }
}

/// A value in a query.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

async fn show(
    State(console): State<Shared>,
    signed_in: SignedIn,
    Query(filters): Query<Filters>,
) -> Result<Html<String>, PageError> {
    if let Some(username) = signed_in.session.visitor.account() {
        return Err(PageError::Elsewhere(format!("/accounts/{username}")));
    }
    // A filter that cannot be read is a matter of this page, which shows the filters beside the reason.
    let (list, problem) = match console.admin.get::<AccountList>(&signed_in, &filters.path()).await {
        Ok(list) => (list, None),
        Err(refusal) if refusal.status.is_client_error() => (AccountList::default(), Some(refusal.message)),
        Err(refusal) => return Err(refusal.into()),
    };
    let content = html! {
        div.toolbar {
            (form(&filters))
            @if signed_in.session.visitor.may(AdminScope::Accounts) {
                a.button href="/accounts/new" { "Create an account" }
            }
        }
        @if let Some(problem) = &problem { p.notice.bad role="alert" { (problem) } }
        div #accounts data-live {
            @if !list.items.is_empty() {
                (table(&list.items))
            } @else if problem.is_some() {
                p { a href="/accounts" { "Show all accounts" } }
            } @else if filters.is_filtered() {
                (empty("No account matches.", &html! { a href="/accounts" { "Show all accounts" } }))
            } @else {
                (empty("There are no accounts yet.", &html! {
                    a href="/accounts/new" { "Create the first one" } ": it takes a domain, and ends with the CNAME to add."
                }))
            }
            (pager(&filters, &list))
        }
    };
    let page =
        Page { title: "Accounts", section: Section::Accounts, signed_in: &signed_in, live: Some("/events"), content };
    Ok(page.render())
}

fn form(filters: &Filters) -> Markup {
    html! {
        form.filters method="get" action="/accounts" role="search" {
            label { "Search"
                input type="search" name="search" value=(filters.search) maxlength="800" placeholder="domain, label, note, username"; }
            label { "State"
                select name="state" {
                    @for (value, name) in STATES { option value=(value) selected[filters.state == value] { (name) } }
                } }
            label { "Zone" input name="zone" value=(filters.zone) maxlength="253" placeholder="any"; }
            label { "Sorted by"
                select name="sort" {
                    @for (value, name) in SORTS { option value=(value) selected[filters.sort() == value] { (name) } }
                } }
            label { "Order"
                select name="order" {
                    option value="" selected[filters.order.is_empty()] { "Usual" }
                    option value="ascending" selected[filters.order == "ascending"] { "Ascending" }
                    option value="descending" selected[filters.order == "descending"] { "Descending" }
                } }
            label { "Overdue only"
                select name="overdue" {
                    option value="" selected[filters.overdue.is_empty()] { "No" }
                    option value="true" selected[!filters.overdue.is_empty()] { "Yes" }
                } }
            button.quiet { "Show" }
        }
    }
}

fn table(accounts: &[AccountView]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Accounts" {
            table.cards {
                thead { tr {
                    th scope="col" { "Account" } th scope="col" { "State" } th scope="col" { "Last publish" }
                    th scope="col" { "Last validation" } th scope="col" { "Next renewal" } th scope="col" { "Networks" }
                } }
                tbody { @for account in accounts { (row(account)) } }
            }
        }
    }
}

fn row(account: &AccountView) -> Markup {
    let name = account.fulldomains.first().map_or_else(|| account.username.to_string(), Clone::clone);
    let note = account.note.as_str();
    let networks = match account.allowfrom.networks() {
        [] => "any".to_owned(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    };
    html! {
        tr {
            td.wide {
                a href={ "/accounts/" (account.username) } { @if note.is_empty() { (name) } @else { (note) } }
                @if !note.is_empty() { br; span.dim.mono { (name) } }
                @if account.fulldomains.len() > 1 { span.dim { " and " (account.fulldomains.len() - 1) " more" } }
            }
            td data-label="State" { (state(account)) }
            td.whole data-label="Last publish" { (time_or(account.last_update.as_deref(), "never")) }
            td.whole data-label="Last validation" { (validation(account)) }
            td.whole data-label="Next renewal" { (time_or(account.next_renewal.as_deref(), "not known yet")) }
            td data-label="Networks" { (networks) }
        }
    }
}

/// When the newest value was published, and what the queries for it mean.
fn validation(account: &AccountView) -> Markup {
    let Some(newest) = &account.newest else { return html! { span.dim { "none recorded" } } };
    html! {
        (verdict_badge(newest.verdict.code)) " " (time(&newest.published.to_string()))
    }
}

/// The code of a verdict in words, with the tone that it stands for.
pub fn verdict_badge(code: VerdictCode) -> Markup {
    let tone = match code {
        VerdictCode::ServedEverywhere | VerdictCode::Served => Tone::Good,
        VerdictCode::InProgress | VerdictCode::NotRecorded | VerdictCode::Unknown => Tone::Neutral,
        VerdictCode::NobodyAsked | VerdictCode::VantageMissing | VerdictCode::StaleCache => Tone::Warning,
        _ => Tone::Bad,
    };
    // invariant: a code without fields becomes a JSON string
    let word = serde_json::to_value(code).ok().and_then(|word| word.as_str().map(|word| word.replace('-', " ")));
    badge(tone, &word.unwrap_or_default())
}

/// The state of an account in a word.
pub fn state(account: &AccountView) -> Markup {
    match account.state {
        AccountState::Active if account.overdue => badge(Tone::Warning, "overdue"),
        AccountState::Active => badge(Tone::Good, "active"),
        AccountState::Disabled => badge(Tone::Bad, "disabled"),
        AccountState::Deleted => badge(Tone::Bad, "deleted"),
        AccountState::Removed => badge(Tone::Neutral, "removed"),
    }
}

fn pager(filters: &Filters, list: &AccountList) -> Markup {
    html! {
        nav.pages aria-label="Pages" {
            @if let Some(cursor) = &list.previous {
                a.button.quiet rel="prev" href=(filters.link("before", &cursor.to_string())) { "Previous" }
            }
            @if let Some(cursor) = &list.next {
                a.button.quiet rel="next" href=(filters.link("after", &cursor.to_string())) { "Next" }
            }
            @if let Some(total) = list.total { span.dim { (total) " in all" } }
        }
    }
}
