//! What keeps the zones true over time: loading, reloading, expiry, and the removal of what is over.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thiserror::Error;
use tracing::{info, warn};

use crate::config::keyfile::{KeyFile, KeyFileError};
use crate::config::{ValueLimits, ZoneSettings};
use crate::model::name::{OwnerLabel, PERSIST_LABEL, ZoneName};
use crate::model::serial::Serial;
use crate::model::time::{Clock, Timestamp};
use crate::store::writer::Tx;
use crate::store::{Rows, Store, StoreError};
use crate::zone::live::{Live, OwnerState};
use crate::zone::signing::{Dnssec, Signing};
use crate::zone::{Zone, Zones, zone_named};

use super::{PublishError, Publisher, Result};

/// How often expired values and removable accounts are looked for.
const EXPIRY_ROUND: Duration = Duration::from_secs(1);
const REMOVAL_ROUND: Duration = Duration::from_secs(600);
/// Owners or accounts that one transaction clears, so that updates get between.
const BATCH: usize = 500;

/// Why the zones of a configuration cannot be served.
#[derive(Debug, Clone, Error)]
pub enum LoadError {
    #[error(
        "line {line} of the records of {zone} is at or below {label}.{zone}, which an account owns; \
         move the records, or delete the account (`txtgate account show {label}.{zone}`)"
    )]
    Owned { zone: ZoneName, label: String, line: usize },
    #[error(transparent)]
    Key(#[from] KeyFileError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The zones of a configuration, with everything that the store has for them.
pub fn load(
    store: &Store,
    settings: &[ZoneSettings],
    limits: &ValueLimits,
    clock: &Clock,
) -> std::result::Result<Zones, LoadError> {
    let mut zones = Vec::new();
    for settings in settings {
        zones.push(store.read(|rows| Ok(zone(rows, settings, None, limits, clock)))??);
    }
    let zones = Zones::new(zones);
    store.read(|rows| rows.each_alias(|alias| zones.aliases().add(alias)))?;
    Ok(zones)
}

/// One zone; it keeps its names and signatures where it is being served already.
fn zone(
    rows: &Rows<'_>,
    settings: &ZoneSettings,
    served: Option<&Zone>,
    limits: &ValueLimits,
    clock: &Clock,
) -> std::result::Result<Zone, LoadError> {
    let ZoneSettings { name, soa, txt_ttl, statics, dnssec, .. } = settings.clone();
    let signer = served.and_then(|zone| zone.signing.as_ref());
    let signing = dnssec.as_ref().map(|dnssec| signing(&name, dnssec, signer, clock)).transpose()?.flatten();
    let live = served.map(|zone| zone.live.clone());
    // Whoever writes a persistent authorization of the zone's own into the configuration wants that one.
    let taken: Vec<String> = labels_of(settings).filter(|label| label != PERSIST_LABEL).collect();
    if let Some(label) = rows.first_owned(&name, taken.iter().map(String::as_str))? {
        let line = name.apex().child(label).map_or(1, |owner| statics.line_of(&owner));
        return Err(LoadError::Owned { zone: name, label: label.to_owned(), line });
    }
    let live = live.map_or_else(|| stored(rows, &name, limits, clock), Ok)?;
    Ok(Zone { name, soa, txt_ttl, statics, live, dnssec, signing })
}

/// The names and values of a zone that are stored.
fn stored(
    rows: &Rows<'_>,
    zone: &ZoneName,
    limits: &ValueLimits,
    clock: &Clock,
) -> std::result::Result<Arc<Live>, StoreError> {
    // Above the stored one whatever the clock says: what ran last may have raised it in memory alone.
    let live = Live::new(rows.serial(zone)?.unwrap_or(Serial(0)).next(clock.now()));
    rows.each_owner(zone, |label, disabled, values, persistent| {
        let persistent = if limits.persist { persistent } else { Vec::new() };
        let slot = if disabled { OwnerState::Disabled } else { OwnerState::of(values).with(persistent) };
        live.put(OwnerLabel::below_apex_of(label), Some(slot));
    })?;
    Ok(Arc::new(live))
}

/// The signer that a zone's key file says: the present one where that serves these keys already.
fn signing(
    zone: &ZoneName,
    dnssec: &Dnssec,
    present: Option<&Arc<Signing>>,
    clock: &Clock,
) -> std::result::Result<Option<Arc<Signing>>, KeyFileError> {
    let keys = KeyFile::read(&dnssec.key, zone)?.signing_keys(dnssec);
    let same = present.filter(|signing| signing.is_of(&keys));
    Ok(same.cloned().or_else(|| Signing::new(keys, clock.clone()).map(Arc::new)))
}

/// The labels right below the apex that the configuration has records at or below.
fn labels_of(settings: &ZoneSettings) -> impl Iterator<Item = String> {
    let apex = settings.name.apex();
    let below = settings.statics.names().filter_map(move |name| name.as_ref().below(apex.as_ref()));
    below.filter_map(Iterator::last).map(|label| String::from_utf8_lossy(label).into_owned())
}

impl Publisher {
    /// Puts the zones of another configuration in place, whole or not at all. Names of zones that stay keep their
    /// values; zones that are new are loaded.
    pub async fn reload(&self, settings: Vec<ZoneSettings>) -> std::result::Result<(), LoadError> {
        let inner = self.0.clone();
        let change = move |tx: &Tx<'_>| {
            let current = inner.zones.load();
            let mut zones = Vec::new();
            for settings in &settings {
                match zone(tx, settings, zone_named(&current, &settings.name), &inner.limits, &inner.clock) {
                    Ok(zone) => zones.push(zone),
                    Err(LoadError::Store(error)) => return Err(error),
                    Err(refusal) => return Ok(Err(refusal)),
                }
                tx.touch(&settings.name);
            }
            Ok(Ok(zones))
        };
        let inner = self.0.clone();
        self.0.writer.write(change, move |zones| inner.zones.replace(zones.clone())).await??;
        Ok(())
    }

    /// Puts the keys of another reading of a zone's key file in place.
    ///
    /// On the write road, since the zones are replaced there alone, and the serial rises with it. False: they are in
    /// place already, or the zone is not to be signed.
    pub async fn rekey(&self, name: &ZoneName) -> std::result::Result<bool, LoadError> {
        loop {
            let seen = Arc::clone(&self.0.zones.load());
            let Some(zone) = zone_named(&seen, name) else { return Ok(false) };
            let Some(dnssec) = &zone.dnssec else { return Ok(false) };
            let signing = signing(name, dnssec, zone.signing.as_ref(), &self.0.clock)?;
            if signing.as_ref().map(Arc::as_ptr) == zone.signing.as_ref().map(Arc::as_ptr) {
                return Ok(false);
            }
            if self.put_signer(&seen, name, signing).await? {
                return Ok(true);
            }
            // A reload came in between, and may have taken the keys out of the configuration: look again.
        }
    }

    /// Whether the zones were still those that were `seen`; if not, nothing has changed.
    async fn put_signer(
        &self,
        seen: &Arc<Vec<Zone>>,
        name: &ZoneName,
        signing: Option<Arc<Signing>>,
    ) -> std::result::Result<bool, StoreError> {
        let mut zones = Vec::clone(seen);
        zones.iter_mut().filter(|zone| zone.name == *name).for_each(|zone| zone.signing = signing.clone());
        let zone = name.clone();
        let change = move |tx: &Tx<'_>| {
            tx.touch(&zone);
            Ok(Ok::<_, Infallible>(()))
        };
        let (inner, seen) = (self.0.clone(), seen.clone());
        let is_in_place = Arc::new(AtomicBool::new(false));
        let done = is_in_place.clone();
        let visible = move |(): &()| done.store(inner.zones.replace_if(&seen, zones), Ordering::Relaxed);
        let Ok(()) = self.0.writer.write(change, visible).await?;
        Ok(is_in_place.load(Ordering::Relaxed))
    }

    /// Expires values and removes accounts whose time has come, for as long as the daemon runs.
    pub async fn keep_up(self, purge_unused: Option<Duration>) {
        let mut expiry = tokio::time::interval(EXPIRY_ROUND);
        let mut removal = tokio::time::interval(REMOVAL_ROUND);
        for round in [&mut expiry, &mut removal] {
            round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        }
        let mut seen = None;
        loop {
            tokio::select! {
                _ = expiry.tick() => self.expire_round(&mut seen).await,
                _ = removal.tick() => self.removal_round(purge_unused).await,
            }
        }
    }

    /// Clears what has expired. Answers left it out already; this raises the serial and frees the rows. Where the
    /// store cannot, the serial rises in memory alone, once for each moment of expiry.
    async fn expire_round(&self, seen: &mut Option<Timestamp>) {
        // Off the async threads: a disk that stalls must not stall DNS over TCP.
        let store = self.0.store.clone();
        let next = tokio::task::spawn_blocking(move || store.read(|rows| rows.next_expiry())).await;
        let due = match next {
            Ok(Ok(next)) => next.filter(|next| *next <= self.now()),
            Ok(Err(error)) => return warn!(%error, "cannot look for expired values"),
            Err(_) => return, // the runtime ends
        };
        let Some(due) = due else { return };
        loop {
            match self.expire_some().await {
                Ok(cleared) if cleared < BATCH => return,
                Ok(_) => {}
                Err(error) => {
                    if seen.replace(due) != Some(due) {
                        warn!(%error, "values have expired that cannot be cleared from the database yet");
                        self.raise_serials();
                    }
                    return;
                }
            }
        }
    }

    async fn expire_some(&self) -> Result<usize> {
        let inner = self.0.clone();
        let change = move |tx: &Tx<'_>| {
            let mut shown = Vec::new();
            for owner in tx.owners_with_expired(inner.clock.now(), BATCH)? {
                if let Some(row) = tx.owner(&owner)? {
                    shown.push(inner.settle(tx, &row, &owner)?);
                }
            }
            Ok(Ok::<_, PublishError>(shown))
        };
        self.change(change, Clone::clone).await.map(|shown| shown.len())
    }

    fn raise_serials(&self) {
        for zone in self.0.zones.load().iter() {
            zone.live.raise_serial(zone.serial().next(self.now()));
        }
    }

    async fn removal_round(&self, purge_unused: Option<Duration>) {
        let unused_since =
            purge_unused.map(|age| Timestamp::from_unix(self.now().as_unix().saturating_sub(age.as_secs())));
        loop {
            match self.remove_some(unused_since).await {
                Ok(removed) if removed < BATCH => return,
                Ok(removed) => info!(removed, "accounts removed whose time was over"),
                Err(error) => return warn!(%error, "cannot remove accounts whose time is over"),
            }
        }
    }

    async fn remove_some(&self, unused_since: Option<Timestamp>) -> Result<usize> {
        let inner = self.0.clone();
        let change = move |tx: &Tx<'_>| {
            let mut removable = tx.removable(inner.clock.now(), BATCH)?;
            if let (Some(before), true) = (unused_since, removable.is_empty()) {
                removable = tx.unused(before, BATCH)?;
            }
            let mut shown = Vec::new();
            for account in &removable {
                shown.extend(inner.remove(tx, account)?);
            }
            Ok(Ok::<_, PublishError>((removable, shown)))
        };
        let inner = self.0.clone();
        let seen = move |(removed, shown): &(Vec<crate::model::account::Account>, Vec<super::Shown>)| {
            removed.iter().for_each(|account| (inner.changed)(account.username, None));
            shown.clone()
        };
        self.change(change, seen).await.map(|(removed, _)| removed.len())
    }
}
