//! The zones of the configuration: loaded at the start, and replaced when the configuration or a key file changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;

use crate::config::keyfile::{KeyFile, KeyFileError};
use crate::config::{ValueLimits, ZoneSettings};
use crate::model::actor::Actor;
use crate::model::name::{OwnerLabel, PERSIST_LABEL, ZoneName};
use crate::model::serial::Serial;
use crate::model::time::Clock;
use crate::store::writer::Tx;
use crate::store::{Rows, Store, StoreError};
use crate::zone::change::Action;
use crate::zone::live::Live;
use crate::zone::owner_state::OwnerState;
use crate::zone::signing::{Dnssec, Signing};
use crate::zone::{Zone, Zones, zone_named};

use super::{Abort, Inner, Publisher};

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
}

impl From<LoadError> for Abort<LoadError> {
    fn from(error: LoadError) -> Self {
        Self::Refused(error)
    }
}

impl From<KeyFileError> for Abort<LoadError> {
    fn from(error: KeyFileError) -> Self {
        Self::Refused(error.into())
    }
}

/// The zones of a configuration, with everything that the store has for them. Blocks.
pub fn load(
    store: &Store,
    settings: &[ZoneSettings],
    limits: &ValueLimits,
    clock: &Clock,
) -> Result<Zones, Abort<LoadError>> {
    let mut zones = Vec::new();
    for settings in settings {
        let signing = signer(settings, None, clock)?;
        if let Some(error) = store.read(|rows| owned_below_records(rows, settings))? {
            return Err(error.into());
        }
        let live = store.read(|rows| stored_names(rows, &settings.name, limits, clock))?;
        zones.push(zone(settings, live, signing));
    }
    let zones = Zones::new(zones);
    store.read(|rows| rows.each_alias(|alias| zones.aliases().add(alias)))?;
    Ok(zones)
}

/// A zone of another configuration, prepared before its transaction.
pub(super) struct Prepared {
    settings: ZoneSettings,
    zone: Zone,
    /// The stored serial that the zone's names were read at; `None` where the zone is served and keeps its names.
    read_at: Option<Serial>,
}

impl Publisher {
    /// Puts the zones of another configuration in place, whole or not at all. Zones that stay keep their names and
    /// values in memory. New zones and key files are read before the transaction, which updates wait for.
    pub async fn reload(&self, actor: Actor, settings: Vec<ZoneSettings>) -> Result<(), Abort<LoadError>> {
        let settings = Arc::new(settings);
        loop {
            let seen = Arc::clone(&self.0.zones.load());
            let prepared = self.prepare(settings.clone(), seen.clone()).await?;
            if self.replace_zones(actor, seen, prepared).await? {
                return Ok(());
            }
            // Another reload, or new keys, came in between: prepare again, from what is served now.
        }
    }

    /// Replaces the keys of a zone by those of another reading of its key file, and raises the serial. False: the zone
    /// is signed with these keys already, or it is not to be signed.
    pub async fn rekey(&self, actor: Actor, name: &ZoneName) -> Result<bool, Abort<LoadError>> {
        loop {
            let seen = Arc::clone(&self.0.zones.load());
            let Some(zone) = zone_named(&seen, name).cloned() else { return Ok(false) };
            let Some(dnssec) = zone.dnssec.clone() else { return Ok(false) };
            let present = zone.signing.clone();
            let clock = self.0.clock.clone();
            let signing =
                off_thread(move || Ok(read_signer(&zone.name, &dnssec, zone.signing.as_ref(), &clock)?)).await?;
            if signing.as_ref().map(Arc::as_ptr) == present.as_ref().map(Arc::as_ptr) {
                return Ok(false);
            }
            if self.replace_signer(actor, seen, name, signing).await? {
                return Ok(true);
            }
            // A reload came in between, and may have removed the keys from the configuration: look again.
        }
    }

    pub(super) async fn prepare(
        &self,
        settings: Arc<Vec<ZoneSettings>>,
        seen: Arc<Vec<Zone>>,
    ) -> Result<Vec<Prepared>, Abort<LoadError>> {
        let inner = self.0.clone();
        off_thread(move || settings.iter().map(|settings| inner.prepare(settings, &seen)).collect()).await
    }

    /// Whether the served zones were still those that were `seen`; if not, they stay as they are.
    pub(super) async fn replace_zones(
        &self,
        actor: Actor,
        seen: Arc<Vec<Zone>>,
        prepared: Vec<Prepared>,
    ) -> Result<bool, Abort<LoadError>> {
        let inner = self.0.clone();
        let operation =
            move |tx: &Tx<'_>| prepared.iter().map(|prepared| inner.admit(tx, prepared)).collect::<Result<Vec<_>, _>>();
        let replacement = Replacement::new(self.0.zones.clone(), seen);
        let replaced = replacement.done.clone();
        self.0.writer.write_then(actor, operation, move |zones: &Vec<Zone>| replacement.put(zones.clone())).await?;
        Ok(replaced.load(Ordering::Relaxed))
    }

    /// Whether the served zones were still those that were `seen`; if not, they stay as they are.
    pub(super) async fn replace_signer(
        &self,
        actor: Actor,
        seen: Arc<Vec<Zone>>,
        name: &ZoneName,
        signing: Option<Arc<Signing>>,
    ) -> Result<bool, StoreError> {
        let mut zones = Vec::clone(&seen);
        for zone in zones.iter_mut().filter(|zone| zone.name == *name) {
            zone.signing = signing.clone();
        }
        let name = name.clone();
        let operation = move |tx: &Tx<'_>| Ok::<_, Abort<Infallible>>(tx.record_zone(Action::ReloadKeys, &name)?);
        let replacement = Replacement::new(self.0.zones.clone(), seen);
        let replaced = replacement.done.clone();
        self.0.writer.write_then(actor, operation, move |()| replacement.put(zones)).await?;
        Ok(replaced.load(Ordering::Relaxed))
    }
}

/// The replacement of the served zones after a commit, if they are still those that it was prepared for.
struct Replacement {
    zones: Zones,
    seen: Arc<Vec<Zone>>,
    done: Arc<AtomicBool>,
}

impl Replacement {
    fn new(zones: Zones, seen: Arc<Vec<Zone>>) -> Self {
        Self { zones, seen, done: Arc::default() }
    }

    fn put(self, zones: Vec<Zone>) {
        self.done.store(self.zones.replace_if(&self.seen, zones), Ordering::Relaxed);
    }
}

impl Inner {
    /// Reads what a zone of another configuration needs, before the transaction.
    fn prepare(&self, settings: &ZoneSettings, seen: &[Zone]) -> Result<Prepared, Abort<LoadError>> {
        let served = zone_named(seen, &settings.name);
        let signing = signer(settings, served, &self.clock)?;
        if let Some(served) = served {
            let zone = zone(settings, served.live.clone(), signing);
            return Ok(Prepared { settings: settings.clone(), zone, read_at: None });
        }
        let (serial, live) = self.store.read(|rows| {
            let serial = rows.serial(&settings.name)?.unwrap_or(Serial(0));
            Ok((serial, stored_names(rows, &settings.name, &self.limits, &self.clock)?))
        })?;
        Ok(Prepared { settings: settings.clone(), zone: zone(settings, live, signing), read_at: Some(serial) })
    }

    /// The zone as the transaction finds it. What was read before it is read again where a change has come in between,
    /// like the removal of an account: each one raises the stored serial.
    fn admit(&self, tx: &Tx<'_>, prepared: &Prepared) -> Result<Zone, Abort<LoadError>> {
        if let Some(error) = owned_below_records(tx, &prepared.settings)? {
            return Err(error.into());
        }
        let mut zone = prepared.zone.clone();
        if let Some(read_at) = prepared.read_at
            && tx.serial(&zone.name)?.unwrap_or(Serial(0)) != read_at
        {
            zone.live = stored_names(tx, &zone.name, &self.limits, &self.clock)?;
        }
        tx.record_zone(Action::Reload, &zone.name)?;
        Ok(zone)
    }
}

/// Runs blocking work off the async threads.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Abort<LoadError>> + Send + 'static,
) -> Result<T, Abort<LoadError>> {
    // An error says that the runtime ends.
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Stopped.into()))
}

fn zone(settings: &ZoneSettings, live: Arc<Live>, signing: Option<Arc<Signing>>) -> Zone {
    let ZoneSettings { name, soa, txt_ttl, statics, dnssec, .. } = settings.clone();
    Zone { name, soa, txt_ttl, statics, live, dnssec, signing }
}

/// The first configured record at or below a name that an account owns.
fn owned_below_records(rows: &Rows<'_>, settings: &ZoneSettings) -> Result<Option<LoadError>, StoreError> {
    // A persistent authorization in the configuration is meant to replace a published one.
    let labels: Vec<String> = configured_labels(settings).filter(|label| label != PERSIST_LABEL).collect();
    let owned = rows.first_owned(&settings.name, labels.iter().map(String::as_str))?;
    Ok(owned.map(|label| {
        let line = settings.name.apex().child(label).map_or(1, |owner| settings.statics.line_of(&owner));
        LoadError::Owned { zone: settings.name.clone(), label: label.to_owned(), line }
    }))
}

/// The labels right below the apex that the configuration has records at or below.
fn configured_labels(settings: &ZoneSettings) -> impl Iterator<Item = String> {
    let apex = settings.name.apex();
    let below = settings.statics.names().filter_map(move |name| name.as_ref().below(apex.as_ref()));
    below.filter_map(Iterator::last).map(|label| String::from_utf8_lossy(label).into_owned())
}

/// The stored names and values of a zone.
fn stored_names(
    rows: &Rows<'_>,
    zone: &ZoneName,
    limits: &ValueLimits,
    clock: &Clock,
) -> Result<Arc<Live>, StoreError> {
    // Higher than the stored serial whatever the clock says: the last run may have raised it in memory alone.
    let live = Live::new(rows.serial(zone)?.unwrap_or(Serial(0)).next(clock.now()));
    rows.each_owner(zone, |label, disabled, values, persistent| {
        let persistent = if limits.persist { persistent } else { Vec::new() };
        let state = if disabled { OwnerState::Disabled } else { OwnerState::of(values).with(persistent) };
        live.put(OwnerLabel::below_apex_of(label), Some(state));
    })?;
    Ok(Arc::new(live))
}

/// The signer that a zone's settings ask for; the served one where it has the same keys.
fn signer(settings: &ZoneSettings, served: Option<&Zone>, clock: &Clock) -> Result<Option<Arc<Signing>>, KeyFileError> {
    let Some(dnssec) = &settings.dnssec else { return Ok(None) };
    read_signer(&settings.name, dnssec, served.and_then(|zone| zone.signing.as_ref()), clock)
}

fn read_signer(
    zone: &ZoneName,
    dnssec: &Dnssec,
    present: Option<&Arc<Signing>>,
    clock: &Clock,
) -> Result<Option<Arc<Signing>>, KeyFileError> {
    let keys = KeyFile::read(&dnssec.key, zone)?.signing_keys(dnssec);
    let same = present.filter(|signing| signing.is_of(&keys));
    Ok(same.cloned().or_else(|| Signing::new(keys, clock.clone()).map(Arc::new)))
}
