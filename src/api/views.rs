//! Accounts and values as replies show them, never with a hash.

use crate::model::account::{Account, AccountStatus, OwnAlias};
use crate::model::name::Owner;
use crate::model::secret::ApiKey;
use crate::model::time::Moment;
use crate::model::txt::LiveValue;
use crate::model::txt::persist::PersistentValue;
use crate::publisher::Publisher;

use super::types::accounts::{AccountCredentials, AccountState, AccountView, AliasView, OwnerView};
use super::types::names::AddedSubdomain;
use super::types::revealed::RevealedSecret;
use super::types::values::{NamedPersistent, NamedValue, PersistentView, ValueView};

impl ValueView {
    /// The value at `now`.
    pub fn of(value: &LiveValue, now: Moment) -> Self {
        Self {
            txt: value.txt,
            published: value.published.to_string(),
            published_at: None,
            expires: now.date_of(value.expires).to_string(),
            seconds_left: value.expires.since(now.running).as_secs(),
            verdict: None,
        }
    }
}

impl PersistentView {
    fn of(value: &PersistentValue, now: Moment) -> Self {
        Self {
            value: value.value.clone(),
            published: value.published.to_string(),
            expires: value.expires.map(|at| now.date_of(at).to_string()),
        }
    }
}

impl OwnerView {
    /// What is served at an owner now.
    pub fn of(owner: &Owner, publisher: &Publisher) -> Self {
        let now = publisher.moment();
        Self {
            fulldomain: owner.to_string(),
            subdomain: owner.short().into_owned(),
            zone: owner.zone.clone(),
            values: publisher.values(owner).iter().map(|value| ValueView::of(value, now)).collect(),
            persistent: publisher.persistent(owner).iter().map(|value| PersistentView::of(value, now)).collect(),
            retired: Vec::new(),
            verdict: None,
        }
    }
}

impl NamedValue {
    /// The values that are served at an owner of an account or of the daemon now, newest first.
    pub fn all_of(owner: &Owner, account: Option<&Account>, publisher: &Publisher) -> Vec<Self> {
        let now = publisher.moment();
        let note = account.map(|account| account.note.clone());
        let of = |value| Self { note: note.clone(), ..Self::of(owner, value, now) };
        publisher.values(owner).iter().map(of).collect()
    }

    /// One value of an owner.
    pub fn of(owner: &Owner, value: &LiveValue, now: Moment) -> Self {
        Self { name: owner.to_string(), note: None, value: ValueView::of(value, now) }
    }
}

impl NamedPersistent {
    /// The authorizations that are served at an owner of an account or of the daemon now, newest first.
    pub fn all_of(owner: &Owner, account: Option<&Account>, publisher: &Publisher) -> Vec<Self> {
        let now = publisher.moment();
        let note = account.map(|account| account.note.clone());
        let of = |value| Self { note: note.clone(), ..Self::of(owner, value, now) };
        publisher.persistent(owner).iter().map(of).collect()
    }

    /// One authorization of an owner.
    pub fn of(owner: &Owner, value: &PersistentValue, now: Moment) -> Self {
        Self { name: owner.to_string(), note: None, value: PersistentView::of(value, now) }
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
        let now = publisher.moment();
        let former = account.former_key.as_ref().filter(|former| now.running < former.until);
        let (state, removed_at) = match account.status {
            AccountStatus::Active => (AccountState::Active, None),
            AccountStatus::Disabled => (AccountState::Disabled, None),
            AccountStatus::Deleted { at } => (AccountState::Deleted, Some(now.date_of(at).to_string())),
        };
        Self {
            username: account.username,
            allowfrom: account.allow_from.clone(),
            note: account.note.clone(),
            state,
            created: account.created.date.to_string(),
            last_update: account.last_update.map(|at| at.to_string()),
            next_renewal: account.cadence.expected().map(|at| now.date_of(at).to_string()),
            overdue: account.status == AccountStatus::Active && account.cadence.is_overdue(now.running),
            former_key_until: former.map(|former| now.date_of(former.until).to_string()),
            tsig: account.tsig.as_ref().map(|tsig| tsig.algorithm.to_string()),
            removed_at,
            fulldomains: account.owners.iter().map(ToString::to_string).collect(),
            owners: Vec::new(),
            newest: None,
            aliases: account.aliases.iter().map(AliasView::of).collect(),
        }
    }
}
