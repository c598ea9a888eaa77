//! What the page of an account shows, as the admin API tells it.

use axum::http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::api::types::accounts::AccountView;
use crate::api::types::changes::ChangeList;
use crate::api::types::delegations::DelegationView;
use crate::api::types::list::List;
use crate::api::types::queries::QueryList;
use crate::api::types::server::ServerSettings;

use super::super::admin::Refusal;
use super::super::signed_in::SignedIn;
use super::super::state::Console;

/// The queries of an account that the drawings look at: the last ones.
const MAX_QUERIES: usize = 1_000;
/// What stands for itself in a path or a parameter.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

/// An account, and what has happened to it.
#[derive(Debug)]
pub struct Loaded {
    pub account: AccountView,
    /// Why there are no queries, if so.
    pub queries: Result<QueryList, String>,
    pub changes: Result<ChangeList, String>,
    pub delegations: Result<Vec<DelegationView>, String>,
    /// The domain that the visitor has asked for, with its state.
    pub asked: Option<Result<DelegationView, String>>,
    pub server: ServerSettings,
}

impl Loaded {
    /// Asks for everything. `domain`: what the visitor has typed, or empty.
    pub async fn of(console: &Console, who: &SignedIn, name: &str, domain: &str) -> Result<Self, Refusal> {
        let admin = &console.admin;
        let account: AccountView = admin.get(who, &path(name, "")).await?;
        let own = account.username.to_string();
        let (queries, changes) = (path(&own, &format!("/queries?limit={MAX_QUERIES}")), path(&own, "/changes"));
        let known = delegations(&own);
        let asked = delegations_of(&own, domain);
        let asked =
            async { if domain.is_empty() { None } else { Some(admin.get::<List<DelegationView>>(who, &asked).await) } };
        let (queries, changes, known, asked, server) = tokio::join!(
            admin.get::<QueryList>(who, &queries),
            admin.get::<ChangeList>(who, &changes),
            admin.get::<List<DelegationView>>(who, &known),
            asked,
            admin.get::<ServerSettings>(who, "/server"),
        );
        Ok(Self {
            account,
            queries: optional(queries)?,
            changes: optional(changes)?,
            delegations: optional(known)?.map(|list| list.items),
            asked: asked.map(|found| match found {
                Ok(list) => list.items.into_iter().next().ok_or_else(|| "nothing was looked up".to_owned()),
                Err(refusal) => Err(refusal.message),
            }),
            server: server?,
        })
    }

    /// The domain that settings are for: the one that was asked for, the first known one, or an example.
    pub fn domain(&self) -> String {
        let asked = self.asked.iter().flatten().next();
        let known = self.delegations.iter().flatten().next();
        asked.or(known).map_or_else(|| "example.com".to_owned(), |found| found.domain.clone())
    }
}

/// Where the states of an account's domains stand. A page does not wait for the DNS: its events tell of what arrives.
pub fn delegations(name: &str) -> String {
    path(name, "/delegations?wait=false")
}

/// The same of another domain.
pub fn delegations_of(name: &str, domain: &str) -> String {
    path(name, &format!("/delegations?wait=false&domain={}", encoded(domain)))
}

/// A part that may be absent, as where a log is off; the page says why.
fn optional<T>(found: Result<T, Refusal>) -> Result<Result<T, String>, Refusal> {
    match found {
        Ok(found) => Ok(Ok(found)),
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => Ok(Err(refusal.message)),
        Err(refusal) => Err(refusal),
    }
}

/// A path of an account, in the admin API and in the console alike.
pub fn path(name: &str, rest: &str) -> String {
    format!("/accounts/{}{rest}", encoded(name))
}

/// A text as part of an address.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}
