//! What an owner holds, as DNS answers for it.

use std::sync::Arc;

use crate::model::time::RunningTime;
use crate::model::txt::LiveValue;
use crate::model::txt::persist::PersistentValue;

/// What is known of a registered name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerState {
    /// Its account is disabled: no data, whatever it holds.
    Disabled,
    /// No value.
    Empty,
    /// No value any more: the last one expired then. Known until the next start, for whoever asks what has become of
    /// it.
    Expired(RunningTime),
    /// One value, kept in place: the common case at a million names.
    One(LiveValue),
    /// Several, newest first.
    Many(Arc<[LiveValue]>),
    /// Values of challenges and persistent ones, or the latter alone.
    Persisting(Arc<Persisting>),
}

/// What lives at a name with persistent values, each kind newest first.
#[derive(Debug, PartialEq, Eq)]
pub struct Persisting {
    challenges: OwnerState,
    persistent: Vec<PersistentValue>,
}

impl OwnerState {
    /// A slot of an enabled account's values, newest first.
    pub fn of(values: &[LiveValue]) -> Self {
        match values {
            [] => Self::Empty,
            [one] => Self::One(*one),
            many => Self::Many(many.into()),
        }
    }

    /// The same with persistent values beside them.
    pub fn with(self, persistent: Vec<PersistentValue>) -> Self {
        if persistent.is_empty() || self == Self::Disabled {
            return self;
        }
        Self::Persisting(Arc::new(Persisting { challenges: self, persistent }))
    }

    /// The persistent values, newest first, expired ones included.
    pub fn persistent(&self) -> &[PersistentValue] {
        match self {
            Self::Persisting(both) => &both.persistent,
            _ => &[],
        }
    }

    /// The values of challenges, newest first, expired ones included: whoever serves them looks at the time.
    pub fn values(&self) -> &[LiveValue] {
        match self {
            Self::Disabled | Self::Empty | Self::Expired(_) => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
            Self::Persisting(both) => both.challenges.values(),
        }
    }

    /// The text of each value, expired ones included: those of challenges from newest to oldest, then persistent ones.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let challenges = self.values().iter().map(|value| value.txt.as_bytes().as_slice());
        challenges.chain(self.persistent().iter().map(|value| value.value.as_str().as_bytes()))
    }

    /// When the last value of a challenge expired, or will; `None` where none is known of.
    pub fn last_expiry(&self) -> Option<RunningTime> {
        match self {
            Self::Expired(at) => Some(*at),
            Self::Persisting(both) => both.challenges.last_expiry(),
            other => other.values().iter().map(|value| value.expires).max(),
        }
    }
}
