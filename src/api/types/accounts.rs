//! `/accounts`

use serde::{Deserialize, Serialize};

use crate::model::account::{AllowFrom, Note, Username};
use crate::model::name::{Alias, Subdomain, ZoneName};
use crate::model::time::Span;
use crate::model::tsig::Algorithm;

use super::optional::none_if_empty;
use super::revealed::RevealedSecret;
use super::tsig::TsigKeyReply;
use super::values::{JudgedValue, PersistentView, RetiredView, ValueView, Verdict};

/// `POST /accounts`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CreateAccount {
    /// A label of choice, in place of a random one.
    #[serde(default, deserialize_with = "none_if_empty")]
    pub subdomain: Option<Subdomain>,
    /// The zone, in place of the first one. A challenge zone becomes the account's as a whole.
    #[serde(default, deserialize_with = "none_if_empty")]
    pub zone: Option<ZoneName>,
    /// The networks from which the account may be used.
    pub allowfrom: Option<AllowFrom>,
    /// A remark.
    pub note: Option<Note>,
    /// The algorithm of a TSIG key for the account; no key if absent.
    pub tsig: Option<Algorithm>,
    /// A name in another zone that stands for the account's name.
    pub alias: Option<Alias>,
}

/// `PATCH /accounts/{who}`. Absent members keep their values.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EditAccount {
    /// The networks from which the account may be used, in place of those so far.
    pub allowfrom: Option<AllowFrom>,
    /// The remark, in place of the former one.
    pub note: Option<Note>,
}

/// `POST /accounts/{who}/rotate`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RotateKey {
    /// How long the former key still publishes.
    pub grace: Option<Span>,
}

/// The reply that shows a key: acme-dns's members in acme-dns's order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccountCredentials {
    /// The account's name in `X-Api-User`.
    pub username: Username,
    /// The API key.
    pub password: RevealedSecret,
    /// The account's first name in the DNS.
    pub fulldomain: String,
    /// The label of that name.
    pub subdomain: String,
    /// The networks from which the account may be used.
    pub allowfrom: AllowFrom,
    /// The TSIG key, if the account was created with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tsig: Option<TsigKeyReply>,
}

/// Whether an account works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountState {
    /// The account works.
    Active,
    /// The operator has stopped the account.
    Disabled,
    /// The account is stopped, and is removed at a set time.
    Deleted,
    /// The account is gone.
    Removed,
}

/// An account without its secrets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccountView {
    /// The account's name in `X-Api-User`.
    pub username: Username,
    /// The networks from which the account may be used.
    pub allowfrom: AllowFrom,
    /// The remark.
    pub note: Note,
    /// Whether the account works.
    pub state: AccountState,
    /// When the account was created.
    pub created: String,
    /// When the account last published a value.
    pub last_update: Option<String>,
    /// When the account is expected to renew next, by its own earlier renewals; `None` until that is known.
    #[serde(default)]
    pub next_renewal: Option<String>,
    /// Whether the renewal is overdue.
    #[serde(default)]
    pub overdue: bool,
    /// Until when the key before the last rotation works.
    pub former_key_until: Option<String>,
    /// The algorithm of the TSIG key.
    pub tsig: Option<String>,
    /// When a deleted account is removed for good.
    pub removed_at: Option<String>,
    /// The names of the account.
    pub fulldomains: Vec<String>,
    /// The names with their values; left out of lists, because an account may have thousands of values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<OwnerView>,
    /// The newest value that the query log knows, and what the queries for it mean; in lists that ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<JudgedValue>,
    /// The names in other zones that stand for the account's own.
    pub aliases: Vec<AliasView>,
}

/// A name and the values that are served there, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OwnerView {
    /// The whole name.
    pub fulldomain: String,
    /// The name within its zone.
    pub subdomain: String,
    /// The zone.
    pub zone: ZoneName,
    /// The values of challenges.
    pub values: Vec<ValueView>,
    /// The persistent authorizations.
    pub persistent: Vec<PersistentView>,
    /// The values that were served until lately, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<RetiredView>,
    /// What the queries for a name without values mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// An alias, and the name that it stands for. Also the reply to the request that adds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AliasView {
    /// The name in another zone.
    pub alias: Alias,
    /// The account's name.
    pub fulldomain: String,
}

/// The reply to `DELETE /accounts/{who}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DeletedAccount {
    /// The account can be restored.
    Restorable(Box<AccountView>),
    /// The account is gone.
    Removed(RemovedAccount),
}

/// An account that was removed at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemovedAccount {
    /// The account's former name.
    pub username: Username,
    /// [`AccountState::Removed`].
    pub state: AccountState,
}
