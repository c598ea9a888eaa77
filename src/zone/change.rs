//! Committed changes, and the stream in which every subscriber sees them.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::model::account::Username;
use crate::model::actor::Actor;
use crate::model::admin_token::AdminTokenId;
use crate::model::enrolment::EnrolmentId;
use crate::model::name::{Alias, Owner, ZoneName};
use crate::model::serial::Serial;
use crate::model::time::{PreciseTimestamp, Timestamp};

use super::owner_state::OwnerState;

/// Commits that a subscriber may fall behind; one more and it finds a gap.
const BACKLOG: usize = 1_024;
/// Changes of one commit that the stream carries; a larger commit, like an import, is a gap for all subscribers.
const MAX_CHANGES: usize = 4_096;

/// One change of one thing, as a transaction has committed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What has changed, and what it is now.
    pub subject: Subject,
    /// On whose request.
    pub actor: Actor,
    /// What was asked for.
    pub action: Action,
    /// When, by the daemon's clock.
    pub at: Timestamp,
}

/// What a change concerns. The state is absolute: to apply a change twice is to apply it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An owner of a zone.
    Owner {
        /// The owner, with its zone.
        owner: Owner,
        /// The zone's serial after the commit, the same for all changes of one commit (RFC 1982).
        serial: Serial,
        /// What the owner holds; `None`: the name exists no more.
        state: Option<OwnerState>,
    },
    /// The configured records or the keys of a zone.
    Zone {
        /// The zone.
        zone: ZoneName,
        /// Its serial after the commit.
        serial: Serial,
    },
    /// One account more has this alias.
    AliasAdded(Alias),
    /// One account less has this alias.
    AliasRemoved(Alias),
    /// What is stored of an account itself: its key, networks, note or status.
    Account(Username),
    /// An enrolment token.
    Enrolment(EnrolmentId),
    /// A token of the admin API over the network.
    AdminToken(AdminTokenId),
}

/// What an actor has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Register,
    AddOwner,
    RemoveOwner,
    AddAlias,
    RemoveAlias,
    Publish,
    Retire,
    Persist,
    RetirePersistent,
    /// Values whose lifetime has ended are removed.
    Expire,
    EditAccount,
    RotateKey,
    /// The hash of an unchanged key is replaced.
    Rehash,
    SetTsig,
    DisableAccount,
    EnableAccount,
    /// An account is disabled, and removed for good later.
    DeleteAccount,
    RemoveAccount,
    Import,
    CreateEnrolment,
    /// A registration counts against an enrolment token.
    UseEnrolment,
    RevokeEnrolment,
    CreateAdminToken,
    RevokeAdminToken,
    /// Another reading of the configuration.
    Reload,
    /// Another reading of a zone's key file.
    ReloadKeys,
}

impl Subject {
    /// The zone whose serial the change has raised, and that serial.
    pub fn zone(&self) -> Option<(&ZoneName, Serial)> {
        match self {
            Self::Owner { owner, serial, .. } => Some((&owner.zone, *serial)),
            Self::Zone { zone, serial } => Some((zone, *serial)),
            _ => None,
        }
    }
}

/// The sending end of the stream of changes, which the store's writer holds. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChangeStream(broadcast::Sender<Option<Commit>>);

/// One subscriber's end of the stream.
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<Option<Commit>>);

/// The changes of one commit, in their order. The zone has applied them already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// When the zone had applied them: answers after this moment are by the new state.
    pub served: PreciseTimestamp,
    changes: Arc<[Change]>,
}

impl Deref for Commit {
    type Target = [Change];

    fn deref(&self) -> &[Change] {
        &self.changes
    }
}

/// What a subscriber sees next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A commit.
    Changes(Commit),
    /// Commits were left out: this subscriber fell behind by 1,024 of them, or one was too large for the stream. Their
    /// result is in the store. A subscriber that must see everything reads it from there, and goes on; no commit after
    /// that reading is missing from what follows.
    Gap,
}

impl Default for ChangeStream {
    fn default() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }
}

impl ChangeStream {
    /// A subscription to all commits from now on.
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.0.subscribe())
    }

    /// Sends the changes of one commit to all subscribers. Never waits for them.
    pub fn send(&self, changes: Vec<Change>) {
        if changes.is_empty() || self.0.receiver_count() == 0 {
            return;
        }
        let commit =
            (changes.len() <= MAX_CHANGES).then(|| Commit { served: PreciseTimestamp::now(), changes: changes.into() });
        // The last subscriber may have gone since; then nobody needs it.
        _ = self.0.send(commit);
    }
}

impl Subscription {
    /// Another subscription, to all commits from now on.
    pub fn from_now(&self) -> Self {
        Self(self.0.resubscribe())
    }

    /// The next commit, or the gap before it; `None` once the writer has ended.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(Some(changes)) => Some(Event::Changes(changes)),
            Ok(None) => Some(Event::Gap),
            Err(RecvError::Lagged(_)) => Some(self.skip()),
            Err(RecvError::Closed) => None,
        }
    }

    /// What [`next`](Self::next) would return, if it is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        match self.0.try_recv() {
            Ok(Some(changes)) => Some(Event::Changes(changes)),
            Ok(None) => Some(Event::Gap),
            Err(TryRecvError::Lagged(_)) => Some(self.skip()),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }

    /// Drops what the backlog still holds: the store is at least as new, and older states must not follow its reading.
    fn skip(&mut self) -> Event {
        self.0 = self.0.resubscribe();
        Event::Gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::Subdomain;

    fn changes(serial: u32, count: usize) -> Vec<Change> {
        let owner = Owner::subdomain("auth.test".parse().unwrap(), Subdomain::random());
        let subject = Subject::Owner { owner, serial: Serial(serial), state: None };
        let change = Change { subject, actor: Actor::UPKEEP, action: Action::Expire, at: Timestamp::from_unix(1) };
        vec![change; count]
    }

    fn serial(event: Option<Event>) -> Option<Serial> {
        let Some(Event::Changes(changes)) = event else { return None };
        changes[0].subject.zone().map(|(_, serial)| serial)
    }

    #[tokio::test]
    async fn every_subscriber_sees_every_commit_in_order() {
        let stream = ChangeStream::default();
        stream.send(changes(1, 1));
        let (mut first, mut second) = (stream.subscribe(), stream.subscribe());
        for number in 2..5 {
            stream.send(changes(number, 1));
        }
        for subscription in [&mut first, &mut second] {
            for number in 2..5 {
                assert_eq!(serial(subscription.next().await), Some(Serial(number)));
            }
            assert_eq!(subscription.try_next(), None);
        }
        drop(stream);
        assert_eq!(first.next().await, None);
    }

    #[tokio::test]
    async fn who_falls_behind_finds_one_gap_and_then_only_what_is_newer_than_it() {
        let stream = ChangeStream::default();
        let mut slow = stream.subscribe();
        for number in 0..=BACKLOG as u32 {
            stream.send(changes(number, 1));
        }
        assert_eq!(slow.next().await, Some(Event::Gap));
        assert_eq!(slow.try_next(), None, "the backlog is older than what the store holds");
        stream.send(changes(9_999, 1));
        assert_eq!(serial(slow.next().await), Some(Serial(9_999)));
    }

    #[tokio::test]
    async fn a_commit_that_is_too_large_is_a_gap() {
        let stream = ChangeStream::default();
        let mut subscription = stream.subscribe();
        stream.send(changes(1, MAX_CHANGES));
        stream.send(changes(2, MAX_CHANGES + 1));
        assert_eq!(serial(subscription.next().await), Some(Serial(1)));
        assert_eq!(subscription.next().await, Some(Event::Gap));
    }
}
