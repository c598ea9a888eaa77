//! The write road, and its only writer: register, publish, retire, expire, rotate, disable, delete.
//!
//! Each change is a closure that runs inside the store's transaction, where the rules of ownership are decided on
//! what is durable; once it is committed the zone shows it, and only then does the caller hear of it.

mod accounts;
mod amend;
mod apex;
mod enrolments;
mod import;
mod kept;
mod managed;
mod names;
mod persist;
#[cfg(test)]
mod tests;
mod upkeep;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use thiserror::Error;
use tracing::info;

use crate::config::ValueLimits;
use crate::metrics::Metrics;
use crate::model::account::{Account, AccountStatus, AllowFrom, MAX_ALIASES, MAX_OWNERS, Note, Username};
use crate::model::enrolment::Over;
use crate::model::name::{Alias, Owner, Subdomain, ZoneName};
use crate::model::secret::ApiKeyHash;
use crate::model::time::{Behind, Clock, Timestamp};
use crate::model::txt::{LiveValue, TxtValue};
use crate::store::writer::{Tx, Writer};
use crate::store::{OwnerRow, Store, StoreError, Stored};
use crate::zone::live::OwnerState;
use crate::zone::{Zones, zone_named};

pub use accounts::Edit;
pub use amend::{Amended, Change, Condition, Expected};
pub use apex::MAX_ACME_ACCOUNTS;
pub use enrolments::MAX_ENROLMENTS;
pub use import::Plan;
pub use kept::MAX_KEPT;
pub use names::{Choice, Place};
pub use persist::MAX_PERSISTENT;
pub use upkeep::{LoadError, load};

/// Why a change was refused, or could not be made.
#[derive(Debug, Clone, Error)]
pub enum PublishError {
    #[error("this account does not own that name")]
    NotOwner,
    #[error("the account is disabled")]
    Disabled,
    #[error("there is no such account")]
    NoAccount,
    #[error("this account may only narrow the networks that it can be used from")]
    Wider,
    #[error("this server has no zone {0}")]
    NoZone(ZoneName),
    #[error("{0} is a challenge zone: it has no subdomains, and the server's operator says whose it is")]
    ChallengeZone(ZoneName),
    #[error(
        "this server has challenge zones only, in which nobody registers; its operator must add another `[[zone]]`"
    )]
    NoOrdinaryZone,
    #[error("{0} belongs to an account already; revoke it there first")]
    ApexTaken(ZoneName),
    #[error("{MAX_ACME_ACCOUNTS} ACME accounts hold values below {0} already; retire some, or wait until they expire")]
    TooManyLabels(ZoneName),
    #[error("{0} is there only while it holds values, so no alias can stand for it")]
    PassingOwner(Owner),
    #[error(
        "this server publishes no persistent authorizations; its operator allows them with `persist = true` in [values]"
    )]
    PersistOff,
    #[error(
        "no CA looks for persistent authorizations at {0}: they belong to a subdomain, or to the apex of a \
         `_validation-persist` zone"
    )]
    PersistNowhere(Owner),
    #[error("the server's configuration has records at {0}, which would hide what is published there; take them out")]
    Hidden(Owner),
    #[error("it would be over already: its persistUntil or its lifetime has passed")]
    PersistOver,
    #[error("a name has at most {MAX_PERSISTENT} persistent authorizations; retire one first")]
    TooManyPersistent,
    #[error("the subdomain {0} is taken")]
    LabelTaken(Subdomain),
    #[error("the subdomain {0} cannot be chosen: {1}")]
    LabelReserved(Subdomain, &'static str),
    #[error("an account has at most {MAX_OWNERS} subdomains; remove one, or register another account")]
    TooManyOwners,
    #[error("an account has at most {MAX_ALIASES} aliases; remove one first")]
    TooManyAliases,
    #[error("this is the account's last subdomain; delete the account instead")]
    LastOwner,
    #[error(transparent)]
    Enrolment(#[from] Over),
    #[error("every subdomain that the enrolment token names is taken; choose one that it allows")]
    NoLabelLeft,
    #[error("there are {MAX_ENROLMENTS} enrolment tokens; revoke some")]
    TooManyEnrolments,
    #[error("at most {MAX_KEPT} accounts are kept for one secret; remove some")]
    TooManyKept,
    #[error("{0} lies in a zone of this server; an alias is a name in the zone of somebody else")]
    AliasOfOurs(Alias),
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Result<T> = std::result::Result<T, PublishError>;
/// What a change inside the transaction gives: the store's failure outside, a refusal inside.
type Decided<T> = std::result::Result<Result<T>, StoreError>;

/// Who asks for a change of TXT values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// An account, at its own owners.
    Account(Username),
    /// The operator, anywhere.
    Operator,
}

/// What a registration asks for.
#[derive(Debug, Clone)]
pub struct Registering {
    /// Its first name.
    pub place: Place,
    /// From where the account may be used.
    pub allow_from: AllowFrom,
    /// A remark.
    pub note: Note,
    /// The hash of the key, which the caller shows once.
    pub key: ApiKeyHash,
}

/// Something as it is seen after a change.
#[derive(Debug, Clone)]
enum Shown {
    /// An owner: what [`OwnerState`] it holds, or that there is none.
    Owner(Owner, Option<OwnerState>),
    /// An alias that one account more has.
    Alias(Alias),
    /// An alias that one account less has.
    NoAlias(Alias),
}

/// A handle to the write road. Cheap to clone.
#[derive(Clone)]
pub struct Publisher(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    writer: Writer,
    zones: Zones,
    clock: Clock,
    limits: ValueLimits,
    metrics: Arc<Metrics>,
    changed: Box<dyn Fn(Username, Option<Account>) + Send + Sync>,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("store", &self.0.store.path()).finish_non_exhaustive()
    }
}

impl Publisher {
    /// The handle. `changed` is called with each account that a change concerns, as it is stored then (`None`: no more),
    /// before the change is acknowledged: nothing that is kept of it elsewhere outlives it.
    pub fn new(
        store: Arc<Store>,
        writer: Writer,
        zones: Zones,
        clock: Clock,
        limits: ValueLimits,
        metrics: Arc<Metrics>,
        changed: impl Fn(Username, Option<Account>) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner { store, writer, zones, clock, limits, metrics, changed: Box::new(changed) }))
    }

    /// The zones.
    pub fn zones(&self) -> &Zones {
        &self.0.zones
    }

    /// The daemon's time.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Whether the machine's clock can be believed, as signing asks it to be.
    pub fn machine_clock(&self) -> std::result::Result<Timestamp, Behind> {
        self.0.clock.wall()
    }

    /// Takes the operator's word that the machine's clock is right, and was ahead when the last change was stored: from
    /// now on it is believed, also after the next start. Returns how far it was behind, if it was.
    pub async fn trust_clock(&self) -> Result<Option<Behind>> {
        let Err(behind) = self.machine_clock() else { return Ok(None) };
        let clock = self.0.clock.clone();
        let trust = move |_: &Tx<'_>| {
            // The commit itself is dated after this, and with it what is stored.
            clock.committed(behind.clock);
            Ok(Ok(()))
        };
        let trusted = self.change(trust, |()| Vec::new()).await;
        if trusted.is_err() {
            self.0.clock.committed(behind.last_commit);
        }
        trusted.map(|()| Some(behind))
    }

    /// The store, to read from.
    pub fn store(&self) -> &Arc<Store> {
        &self.0.store
    }

    /// Creates an account with one owner. The name exists in DNS from then on, without a value.
    pub async fn register(&self, wanted: Registering) -> Result<Account> {
        let (inner, enrolment) = (self.0.clone(), wanted.place.enrolment());
        let account = self
            .change(
                move |tx| inner.insert(tx, &wanted),
                |account| vec![Shown::Owner(account.owners[0].clone(), Some(OwnerState::Empty))],
            )
            .await?;
        self.0.metrics.registrations.one();
        let enrolment = enrolment.map(|id| id.0);
        info!(username = %account.username, owner = %account.owners[0], enrolment, "registered");
        Ok(account)
    }

    /// Publishes a value at an owner, as its newest. One that is live already is renewed and evicts nothing.
    pub async fn publish(&self, by: Author, owner: Owner, txt: TxtValue) -> Result<LiveValue> {
        let started = Instant::now();
        let inner = self.0.clone();
        let change = move |tx: &Tx<'_>| {
            let row = match inner.row_to_fill(tx, by, &owner)? {
                Ok(row) => row,
                Err(refusal) => return Ok(Err(refusal)),
            };
            Ok(Ok((inner.put(tx, &row, txt)?, inner.settle(tx, &row, &owner)?)))
        };
        let (value, _) = self.change(change, |(_, shown)| vec![shown.clone()]).await?;
        self.0.metrics.updates.one();
        self.0.metrics.update_times.took(started.elapsed());
        Ok(value)
    }

    /// Takes one value away from an owner, or all of them; returns how many there were.
    pub async fn retire(&self, by: Author, owner: Owner, which: Option<TxtValue>) -> Result<usize> {
        let started = Instant::now();
        let inner = self.0.clone();
        let change = move |tx: &Tx<'_>| {
            let row = match inner.row_for(tx, by, &owner)? {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(Ok((0, Vec::new()))),
                Err(refusal) => return Ok(Err(refusal)),
            };
            Ok(Ok((inner.take(tx, &row, which)?, vec![inner.settle(tx, &row, &owner)?])))
        };
        let (gone, _) = self.change(change, |(_, shown)| shown.clone()).await?;
        self.0.metrics.update_times.took(started.elapsed());
        Ok(gone)
    }

    /// The values that are served at an owner now, newest first; from memory.
    pub fn values(&self, owner: &Owner) -> Vec<LiveValue> {
        let (zones, now) = (self.0.zones.load(), self.now());
        let slot = zone_named(&zones, &owner.zone).and_then(|zone| zone.live.at(owner.label.below_apex().as_bytes()));
        let live = |slot: OwnerState| slot.values().iter().copied().filter(|value| value.is_live(now)).collect();
        slot.map(live).unwrap_or_default()
    }

    /// Runs a change on the write road; `shown` says what DNS sees of it.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnMut(&Tx<'_>) -> Decided<T> + Send + 'static,
        shown: impl FnOnce(&T) -> Vec<Shown> + Send + 'static,
    ) -> Result<T> {
        let inner = self.0.clone();
        self.0.writer.write(change, move |value| inner.show(shown(value))).await?
    }
}

impl Inner {
    fn insert(&self, tx: &Tx<'_>, wanted: &Registering) -> Decided<Account> {
        let owner = match self.free_owner(tx, &wanted.place)? {
            Ok(owner) => owner,
            Err(refusal) => return Ok(Err(refusal)),
        };
        tx.touch(&owner.zone);
        let account = Account {
            username: Username::random(),
            key: wanted.key.clone(),
            former_key: None,
            tsig: None,
            allow_from: wanted.allow_from.clone(),
            note: wanted.note.clone(),
            owners: vec![owner],
            aliases: Vec::new(),
            created: self.clock.now(),
            last_update: None,
            status: AccountStatus::Active,
        };
        tx.insert_account(&account)?;
        Ok(Ok(account))
    }

    /// The row of an owner at which `by` may publish; `None` for one that is made when it is first used.
    fn row_for(&self, tx: &Tx<'_>, by: Author, owner: &Owner) -> Decided<Option<OwnerRow>> {
        // A zone that the configuration no longer has is not answered for, so nothing can be published in it.
        if zone_named(&self.zones.load(), &owner.zone).is_none() {
            return Ok(Err(PublishError::NoZone(owner.zone.clone())));
        }
        if let Some(row) = tx.owner(owner)? {
            return Ok(may_publish(by, &row).map(|()| Some(row)));
        }
        let above = owner.above().map(|apex| tx.owner(&apex)).transpose()?.flatten();
        Ok(match above {
            Some(apex) => may_publish(by, &apex).map(|()| None),
            None if by == Author::Operator && owner.is_daemons() => Ok(None),
            None => Err(PublishError::NotOwner),
        })
    }

    /// The same, made where it is to be.
    fn row_to_fill(&self, tx: &Tx<'_>, by: Author, owner: &Owner) -> Decided<OwnerRow> {
        match self.row_for(tx, by, owner)? {
            Ok(Some(row)) => Ok(Ok(row)),
            Ok(None) => self.make_row(tx, owner),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Makes the row of an owner that nobody registers: one of the daemon's own, or the label of an ACME account, which is
    /// that of the account that owns the apex above it.
    fn make_row(&self, tx: &Tx<'_>, owner: &Owner) -> Decided<OwnerRow> {
        match owner.above() {
            Some(apex) => self.row_below(tx, owner, &apex),
            None => Ok(Ok(OwnerRow { id: tx.insert_owner(owner, None)?, account: None })),
        }
    }

    /// Puts an owner's values in order after a change: the two newest live longer, expired and surplus ones go.
    /// Says what DNS sees then.
    fn settle(&self, tx: &Tx<'_>, row: &OwnerRow, owner: &Owner) -> std::result::Result<Shown, StoreError> {
        let stored = tx.values(row.id)?;
        let challenges = self.settle_challenges(tx, stored.challenges)?;
        let persistent = self.settle_persistent(tx, stored.persistent)?;
        tx.touch(&owner.zone);
        let slot = if row.is_served() { challenges.with(persistent) } else { OwnerState::Disabled };
        let is_left = self.is_left(tx, row, owner)?;
        Ok(Shown::Owner(owner.clone(), (!is_left).then_some(slot)))
    }

    /// The values of challenges: those that are left, and else when the last of them expired.
    fn settle_challenges(
        &self,
        tx: &Tx<'_>,
        stored: Vec<Stored<LiveValue>>,
    ) -> std::result::Result<OwnerState, StoreError> {
        let (now, limits) = (self.clock.now(), &self.limits);
        let mut live = Vec::new();
        let mut last_expiry = None;
        for stored in stored {
            let mut value = stored.value;
            let lifetime = if live.len() < 2 { limits.newest_lifetime.max(limits.lifetime) } else { limits.lifetime };
            value.expires = value.published.plus(lifetime);
            last_expiry = last_expiry.max(Some(value.expires));
            if live.len() >= limits.max || !value.is_live(now) {
                tx.remove_value(stored.id)?;
                continue;
            }
            if value.expires != stored.value.expires {
                tx.set_expiry(stored.id, value.expires)?;
            }
            live.push(value);
        }
        Ok(match last_expiry {
            Some(at) if live.is_empty() => OwnerState::Expired(at),
            _ => OwnerState::of(&live),
        })
    }

    fn show(&self, shown: Vec<Shown>) {
        let zones = self.zones.load();
        for shown in shown {
            match shown {
                // An owner of a zone that the configuration no longer has is not answered for.
                Shown::Owner(owner, slot) => {
                    if let Some(zone) = zone_named(&zones, &owner.zone) {
                        zone.live.put(owner.label.below_apex(), slot);
                    }
                }
                Shown::Alias(alias) => self.zones.aliases().add(&alias),
                Shown::NoAlias(alias) => self.zones.aliases().remove(&alias),
            }
        }
    }
}

/// Whether `by` may change the values at a row.
fn may_publish(by: Author, row: &OwnerRow) -> Result<()> {
    match (&row.account, by) {
        (Some((_, status)), _) if *status != AccountStatus::Active => Err(PublishError::Disabled),
        (Some((username, _)), Author::Account(by)) if *username == by => Ok(()),
        (_, Author::Operator) => Ok(()),
        _ => Err(PublishError::NotOwner),
    }
}
