//! The last changes of all accounts, in memory: what happened, and who asked for it.
//!
//! The list begins with the daemon, and the oldest changes give way to newer ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::account::{Account, Username};
use crate::model::actor::{Actor, Principal};
use crate::model::name::Owner;
use crate::model::time::{Clock, Timestamp};
use crate::zone::change::{Action, Change, Event, Subject, Subscription};

/// The most changes that are kept.
const MAX_CHANGES: usize = 20_000;
/// The most changes in a list.
const MAX_LISTED: usize = 100;

/// The last changes. A cheap handle.
#[derive(Debug, Clone)]
pub struct RecentChanges(Arc<Mutex<Kept>>);

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentChange {
    /// When.
    pub at: Timestamp,
    /// What was asked for.
    pub action: Action,
    /// On whose request.
    pub actor: Actor,
    /// The name that has changed, if it was one.
    pub name: Option<String>,
    account: Option<Username>,
    owner: Option<Owner>,
}

#[derive(Debug)]
struct Kept {
    changes: VecDeque<RecentChange>,
    complete_since: Timestamp,
}

/// The changes of one account.
#[derive(Debug, Clone)]
pub struct AccountChanges {
    /// From newest to oldest.
    pub changes: Vec<RecentChange>,
    /// Whether there are older ones.
    pub is_truncated: bool,
    /// Since when none is missing but those past the limit.
    pub complete_since: Timestamp,
}

impl RecentChanges {
    /// An empty list, complete from now on.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Kept { changes: VecDeque::new(), complete_since: now })))
    }

    /// Fills the list for as long as the daemon runs.
    pub async fn follow(self, mut changes: Subscription, clock: Clock) {
        while let Some(event) = changes.next().await {
            match event {
                Event::Changes(changes) => self.add(&changes),
                Event::Gap => self.lock().complete_since = clock.now(),
            }
        }
    }

    /// The last changes of an account: those of its own, and those of the names that it has now.
    pub fn of(&self, account: &Account) -> AccountChanges {
        let kept = self.lock();
        let concerns = |change: &&RecentChange| match (change.account, &change.owner) {
            (Some(username), _) => username == account.username,
            (None, Some(owner)) => account.owns(owner),
            (None, None) => false,
        };
        let mut found = kept.changes.iter().rev().filter(concerns);
        let changes = found.by_ref().take(MAX_LISTED).cloned().collect();
        AccountChanges { changes, is_truncated: found.next().is_some(), complete_since: kept.complete_since }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the changes of one commit.
    fn add(&self, commit: &[Change]) {
        let mut kept = self.lock();
        for (place, change) in commit.iter().enumerate() {
            let Some(recent) = recent(change, commit, place) else { continue };
            if kept.changes.len() >= MAX_CHANGES
                && let Some(oldest) = kept.changes.pop_front()
            {
                kept.complete_since = kept.complete_since.max(oldest.at);
            }
            kept.changes.push_back(recent);
        }
    }
}

/// A change as it is kept; `None` for what concerns no account, and for what another change of the commit says as well.
fn recent(change: &Change, commit: &[Change], place: usize) -> Option<RecentChange> {
    let Change { subject, actor, action, at } = change;
    // Another hash of the same key is no change to anybody.
    if *action == Action::Rehash {
        return None;
    }
    let is_of_same_request = |other: &&Change| other.actor == *actor && other.action == *action && other.at == *at;
    let (name, account, owner) = match subject {
        Subject::Owner { owner, .. } => {
            // The change of the account follows that of its name.
            let account = commit[place..].iter().filter(is_of_same_request).find_map(account_of);
            (Some(owner.to_string()), account.or_else(|| acting(actor)), Some(owner.clone()))
        }
        Subject::AliasAdded(alias) | Subject::AliasRemoved(alias) => {
            let account = commit[place..].iter().filter(is_of_same_request).find_map(account_of);
            (Some(alias.to_string()), account.or_else(|| acting(actor)), None)
        }
        Subject::Account(username) => {
            let before = commit[..place].iter().rev().take_while(|other| account_of(other) != Some(*username));
            if before.filter(is_of_same_request).any(|other| account_of(other).is_none()) {
                return None;
            }
            (None, Some(*username), None)
        }
        Subject::Zone { .. } | Subject::Enrolment(_) | Subject::AdminToken(_) => return None,
    };
    Some(RecentChange { at: *at, action: *action, actor: *actor, name, account, owner })
}

fn account_of(change: &Change) -> Option<Username> {
    match change.subject {
        Subject::Account(username) => Some(username),
        _ => None,
    }
}

fn acting(actor: &Actor) -> Option<Username> {
    match actor.who {
        Principal::Account(username) => Some(username),
        Principal::Operator | Principal::Daemon | Principal::Registrant => None,
    }
}
