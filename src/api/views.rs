//! Accounts and values as JSON shows them. Never a hash.

use serde::Serialize;

use crate::model::account::{Account, AccountStatus, AllowFrom, Note, OwnAlias, Username};
use crate::model::name::{Alias, Owner, ZoneName};
use crate::model::time::Timestamp;
use crate::model::txt::persist::{PersistValue, PersistentValue};
use crate::model::txt::{LiveValue, TxtValue};
use crate::publisher::Publisher;

/// A value that is served.
#[derive(Debug, Serialize)]
pub struct ValueView {
    txt: TxtValue,
    published: String,
    expires: String,
    seconds_left: u64,
}

impl ValueView {
    /// As it is at `now`.
    pub fn of(value: &LiveValue, now: Timestamp) -> Self {
        Self {
            txt: value.txt,
            published: value.published.to_string(),
            expires: value.expires.to_string(),
            seconds_left: value.expires.since(now).as_secs(),
        }
    }
}

/// A persistent authorization that is served.
#[derive(Debug, Serialize)]
pub struct PersistentView {
    value: PersistValue,
    published: String,
    /// `None`: not before it is retired.
    expires: Option<String>,
}

impl PersistentView {
    fn of(value: &PersistentValue) -> Self {
        Self {
            value: value.value.clone(),
            published: value.published.to_string(),
            expires: value.expires.map(|at| at.to_string()),
        }
    }
}

/// A name and the values that are served there, newest first.
#[derive(Debug, Serialize)]
pub struct OwnerView {
    fulldomain: String,
    subdomain: String,
    zone: ZoneName,
    values: Vec<ValueView>,
    persistent: Vec<PersistentView>,
}

impl OwnerView {
    /// As it is served now.
    pub fn of(owner: &Owner, publisher: &Publisher) -> Self {
        let now = publisher.now();
        Self {
            fulldomain: owner.to_string(),
            subdomain: owner.short().into_owned(),
            zone: owner.zone.clone(),
            values: publisher.values(owner).iter().map(|value| ValueView::of(value, now)).collect(),
            persistent: publisher.persistent(owner).iter().map(PersistentView::of).collect(),
        }
    }
}

/// A value and the name at which it is served.
#[derive(Debug, Serialize)]
pub struct NamedValue {
    name: String,
    #[serde(flatten)]
    value: ValueView,
}

impl NamedValue {
    /// What is served at an owner now, newest first.
    pub fn all_of(owner: &Owner, publisher: &Publisher) -> impl Iterator<Item = Self> + use<> {
        let (name, now) = (owner.to_string(), publisher.now());
        let values = publisher.values(owner).into_iter();
        values.map(move |value| Self { name: name.clone(), value: ValueView::of(&value, now) })
    }

    /// One value of an owner.
    pub fn of(owner: &Owner, value: &LiveValue, now: Timestamp) -> Self {
        Self { name: owner.to_string(), value: ValueView::of(value, now) }
    }
}

/// A persistent authorization and the name at which it is served.
#[derive(Debug, Serialize)]
pub struct NamedPersistent {
    name: String,
    #[serde(flatten)]
    value: PersistentView,
}

impl NamedPersistent {
    /// What is served at an owner now, newest first.
    pub fn all_of(owner: &Owner, publisher: &Publisher) -> impl Iterator<Item = Self> + use<> {
        let owner = owner.clone();
        publisher.persistent(&owner).into_iter().map(move |value| Self::of(&owner, &value))
    }

    /// One of an owner.
    pub fn of(owner: &Owner, value: &PersistentValue) -> Self {
        Self { name: owner.to_string(), value: PersistentView::of(value) }
    }
}

/// An account without its secrets.
#[derive(Debug, Serialize)]
pub struct AccountView {
    username: Username,
    allowfrom: AllowFrom,
    note: Note,
    state: &'static str,
    created: String,
    last_update: Option<String>,
    /// Until when the key before the last rotation works.
    former_key_until: Option<String>,
    /// The algorithm of the TSIG key.
    tsig: Option<&'static str>,
    /// When a deleted account is removed for good.
    removed_at: Option<String>,
    fulldomains: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    owners: Vec<OwnerView>,
    aliases: Vec<AliasView>,
}

/// An alias, and the name that it stands for.
#[derive(Debug, Serialize)]
struct AliasView {
    alias: Alias,
    fulldomain: String,
}

impl AliasView {
    fn of(own: &OwnAlias) -> Self {
        Self { alias: own.alias.clone(), fulldomain: own.owner.to_string() }
    }
}

impl AccountView {
    /// As it is now.
    pub fn of(account: &Account, publisher: &Publisher) -> Self {
        let owners = account.owners.iter().map(|owner| OwnerView::of(owner, publisher)).collect();
        Self { owners, ..Self::listed(account, publisher) }
    }

    /// The same without its values, of which an account may have thousands: for lists.
    pub fn listed(account: &Account, publisher: &Publisher) -> Self {
        let now = publisher.now();
        let former = account.former_key.as_ref().filter(|former| now < former.until);
        let (state, removed_at) = match account.status {
            AccountStatus::Active => ("active", None),
            AccountStatus::Disabled => ("disabled", None),
            AccountStatus::Deleted { at } => ("deleted", Some(at.to_string())),
        };
        Self {
            username: account.username,
            allowfrom: account.allow_from.clone(),
            note: account.note.clone(),
            state,
            created: account.created.to_string(),
            last_update: account.last_update.map(|at| at.to_string()),
            former_key_until: former.map(|former| former.until.to_string()),
            tsig: account.tsig.as_ref().map(|tsig| tsig.algorithm.as_str()),
            removed_at,
            fulldomains: account.owners.iter().map(ToString::to_string).collect(),
            owners: Vec::new(),
            aliases: account.aliases.iter().map(AliasView::of).collect(),
        }
    }
}
