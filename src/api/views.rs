//! Accounts and values as replies show them, never with a hash.

use crate::model::account::{Account, AccountStatus, OwnAlias};
use crate::model::name::Owner;
use crate::model::secret::ApiKey;
use crate::model::time::Timestamp;
use crate::model::txt::LiveValue;
use crate::model::txt::persist::PersistentValue;
use crate::publisher::Publisher;

use super::types::accounts::{AccountCredentials, AccountState, AccountView, AliasView, OwnerView};
use super::types::names::AddedSubdomain;
use super::types::revealed::RevealedSecret;
use super::types::values::{NamedPersistent, NamedValue, PersistentView, ValueView};

impl ValueView {
    /// The value at `now`.
    pub fn of(value: &LiveValue, now: Timestamp) -> Self {
        Self {
            txt: value.txt,
            published: value.published.to_string(),
            expires: value.expires.to_string(),
            seconds_left: value.expires.since(now).as_secs(),
        }
    }
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

impl OwnerView {
    /// What is served at an owner now.
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

impl NamedValue {
    /// The values that are served at an owner now, newest first.
    pub fn all_of(owner: &Owner, publisher: &Publisher) -> Vec<Self> {
        let now = publisher.now();
        publisher.values(owner).iter().map(|value| Self::of(owner, value, now)).collect()
    }

    /// One value of an owner.
    pub fn of(owner: &Owner, value: &LiveValue, now: Timestamp) -> Self {
        Self { name: owner.to_string(), value: ValueView::of(value, now) }
    }
}

impl NamedPersistent {
    /// The authorizations that are served at an owner now, newest first.
    pub fn all_of(owner: &Owner, publisher: &Publisher) -> Vec<Self> {
        publisher.persistent(owner).iter().map(|value| Self::of(owner, value)).collect()
    }

    /// One authorization of an owner.
    pub fn of(owner: &Owner, value: &PersistentValue) -> Self {
        Self { name: owner.to_string(), value: PersistentView::of(value) }
    }
}

impl AliasView {
    fn of(own: &OwnAlias) -> Self {
        Self { alias: own.alias.clone(), fulldomain: own.owner.to_string() }
    }
}

impl AddedSubdomain {
    /// A new owner.
    pub fn of(owner: &Owner) -> Self {
        Self { fulldomain: owner.to_string(), subdomain: owner.short().into_owned(), zone: owner.zone.clone() }
    }
}

impl AccountCredentials {
    /// An account and its new key.
    pub fn of(account: &Account, key: &ApiKey) -> Self {
        let owner = account.owners.first();
        Self {
            username: account.username,
            password: RevealedSecret::new(key.reveal()),
            fulldomain: owner.map(ToString::to_string).unwrap_or_default(),
            subdomain: owner.map(|owner| owner.short().into_owned()).unwrap_or_default(),
            allowfrom: account.allow_from.clone(),
            tsig: None,
        }
    }
}

impl AccountView {
    /// The account as it is now.
    pub fn of(account: &Account, publisher: &Publisher) -> Self {
        let owners = account.owners.iter().map(|owner| OwnerView::of(owner, publisher)).collect();
        Self { owners, ..Self::listed(account, publisher) }
    }

    /// The account without its values, for lists.
    pub fn listed(account: &Account, publisher: &Publisher) -> Self {
        let now = publisher.now();
        let former = account.former_key.as_ref().filter(|former| now < former.until);
        let (state, removed_at) = match account.status {
            AccountStatus::Active => (AccountState::Active, None),
            AccountStatus::Disabled => (AccountState::Disabled, None),
            AccountStatus::Deleted { at } => (AccountState::Deleted, Some(at.to_string())),
        };
        Self {
            username: account.username,
            allowfrom: account.allow_from.clone(),
            note: account.note.clone(),
            state,
            created: account.created.to_string(),
            last_update: account.last_update.map(|at| at.to_string()),
            former_key_until: former.map(|former| former.until.to_string()),
            tsig: account.tsig.as_ref().map(|tsig| tsig.algorithm.to_string()),
            removed_at,
            fulldomains: account.owners.iter().map(ToString::to_string).collect(),
            owners: Vec::new(),
            aliases: account.aliases.iter().map(AliasView::of).collect(),
        }
    }
}
