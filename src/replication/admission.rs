//! Who may transfer which zone.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use crate::config::{Config, SecondarySettings, TransferKey, ZoneSettings, ZoneTransfer};
use crate::metrics::transfers::TransferKind;
use crate::model::name::{Name, NameRef, ZoneName};
use crate::model::serial::Serial;
use crate::zone::{Zone, Zones};

use super::catalog::catalog;
use super::contents::Contents;
use super::held_zone::HeldZone;
use super::secondary_state::{SecondaryReport, SecondaryStates};
use super::transfer::Transfer;

/// Transfers over connections at a time, of all secondaries together. Each holds one message and a part of the zone.
pub const MAX_TRANSFERS: usize = 10;
/// How often a refusal is logged at most.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// A request for a transfer.
#[derive(Clone, Copy, Debug)]
pub struct TransferRequest<'r> {
    pub kind: TransferKind,
    /// The apex of the zone.
    pub zone: NameRef<'r>,
    /// The serial that the client has; `None` for the whole zone.
    pub serial: Option<Serial>,
}

/// Who asks for a transfer, and how.
#[derive(Clone, Copy, Debug)]
pub struct TransferClient<'c> {
    pub address: IpAddr,
    /// The name of the key that the request is signed with, rightly.
    pub key: Option<&'c Name>,
    pub is_encrypted: bool,
}

/// Why a transfer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TransferRefusal {
    #[error("no `[[secondary]]` names its network for this zone")]
    Stranger,
    #[error("the request is not signed with the key of the `[[secondary]]`")]
    Key,
    #[error("the `[[secondary]]` has `tls-only`, and the request came unencrypted")]
    Unencrypted,
    #[error("this server has no such zone")]
    NoZone,
    #[error(
        "the zone is signed when it is asked for, and no secondary could do so; set `transfer = \"unsigned\"` in its \
         [[zone]] for a secondary that signs it itself"
    )]
    Signed,
    #[error("{MAX_TRANSFERS} transfers are in progress; the secondary will try again")]
    Busy,
}

/// Admits secondaries to transfers; a cheap handle.
#[derive(Clone, Debug)]
pub struct Transfers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    zones: Zones,
    settings: ArcSwap<TransferSettings>,
    /// The catalog zone alone.
    catalog: ArcSwapOption<Vec<Zone>>,
    permits: Arc<Semaphore>,
    states: SecondaryStates,
    logged: Mutex<Logged>,
}

/// The configuration's part of this.
#[derive(Debug, Default)]
struct TransferSettings {
    secondaries: Vec<SecondarySettings>,
    /// The signed zones that are transferred without what signing adds.
    unsigned: BTreeSet<ZoneName>,
    /// The zones that are transferred in any way.
    transferable: BTreeSet<ZoneName>,
    catalog: Option<ZoneName>,
}

/// When a refusal was logged, and how many were not since.
#[derive(Debug, Default)]
struct Logged {
    at: Option<Instant>,
    left_out: u64,
}

impl TransferSettings {
    fn of(config: &Config) -> Self {
        let unsigned = config.zones.iter().filter(|zone| zone.transfer == ZoneTransfer::Unsigned);
        let is_transferable = |zone: &&ZoneSettings| zone.dnssec.is_none() || zone.transfer == ZoneTransfer::Unsigned;
        Self {
            secondaries: config.secondaries.clone(),
            unsigned: unsigned.map(|zone| zone.name.clone()).collect(),
            transferable: config.zones.iter().filter(is_transferable).map(|zone| zone.name.clone()).collect(),
            catalog: config.catalog.clone(),
        }
    }

    /// Whether a secondary may have a zone. One that has zones of its own must name the catalog too.
    fn has_zone(secondary: &SecondarySettings, zone: NameRef<'_>) -> bool {
        secondary.zones.is_empty() || secondary.zones.iter().any(|own| own.apex().as_ref() == zone)
    }
}

impl Transfers {
    /// Admits the secondaries of a configuration to transfers of `zones`.
    pub fn new(zones: Zones, config: &Config) -> Self {
        let permits = Arc::new(Semaphore::new(MAX_TRANSFERS));
        let transfers = Self(Arc::new(Shared {
            zones,
            settings: ArcSwap::default(),
            catalog: ArcSwapOption::empty(),
            permits,
            states: SecondaryStates::default(),
            logged: Mutex::default(),
        }));
        transfers.reload(config);
        transfers
    }

    /// Admits those of another configuration from now on. Transfers in progress go on.
    pub fn reload(&self, config: &Config) {
        let settings = TransferSettings::of(config);
        self.0.zones.keep_journals(!settings.secondaries.is_empty());
        let before = self.0.catalog.load_full();
        let zones = self.0.zones.load_full();
        let members: Vec<&Zone> = zones.iter().filter(|zone| settings.transferable.contains(&zone.name)).collect();
        let before = before.as_ref().and_then(|zones| zones.first());
        let made = settings.catalog.as_ref().and_then(|name| catalog(name, &members, before));
        self.0.catalog.store(made.map(|zone| Arc::new(vec![zone])));
        self.0.settings.store(Arc::new(settings));
    }

    /// The zones and secondaries as of now.
    pub fn transferable(&self) -> Arc<Transferable> {
        let settings = self.0.settings.load_full();
        Arc::new(Transferable { settings, zones: self.0.zones.load_full(), catalog: self.0.catalog.load_full() })
    }

    /// How the secondaries are that get NOTIFY messages.
    pub fn reports(&self) -> Vec<SecondaryReport> {
        self.0.states.reports(|zone| Some(self.zone(zone.apex().as_ref())?.serial()))
    }

    pub(super) fn states(&self) -> &SecondaryStates {
        &self.0.states
    }

    /// A zone, or the catalog.
    pub fn zone(&self, name: NameRef<'_>) -> Option<HeldZone> {
        let catalog = self.0.catalog.load_full().and_then(|zones| HeldZone::find(zones, name));
        catalog.or_else(|| HeldZone::find(self.0.zones.load_full(), name))
    }

    /// The catalog zone alone, for a question about a name in it from a secondary that may have it. Nobody else learns
    /// which zones there are (RFC 9432 section 7).
    pub fn catalog_for(&self, name: NameRef<'_>, client: TransferClient<'_>) -> Option<Arc<Vec<Zone>>> {
        let zones = self.0.catalog.load();
        let zones = zones.as_ref()?;
        let apex = zones.first()?.name.apex().as_ref();
        name.below(apex)?;
        self.0.settings.load().secondary(apex, client).ok()?;
        Some(zones.clone())
    }

    /// The key of a secondary, by its name.
    pub fn key(&self, name: &Name) -> Option<TransferKey> {
        let settings = self.0.settings.load();
        let mut keys = settings.secondaries.iter().filter_map(|secondary| secondary.key.as_ref());
        keys.find(|key| key.name == *name).cloned()
    }

    /// The transfer that a client asks for, if it may have it.
    pub fn admit(&self, request: TransferRequest<'_>, client: TransferClient<'_>) -> Result<Transfer, TransferRefusal> {
        let admitted = self.decide(request, client);
        if let Err(refusal) = admitted {
            self.log(request, client, refusal);
        }
        admitted
    }

    /// The right to transfer over a connection.
    pub fn permit(&self) -> Result<OwnedSemaphorePermit, TransferRefusal> {
        self.0.permits.clone().try_acquire_owned().map_err(|_| TransferRefusal::Busy)
    }

    fn decide(&self, request: TransferRequest<'_>, client: TransferClient<'_>) -> Result<Transfer, TransferRefusal> {
        let settings = self.0.settings.load();
        let secondary = settings.secondary(request.zone, client)?;
        loop {
            let zone = self.zone(request.zone).ok_or(TransferRefusal::NoZone)?;
            if zone.signing.is_some() && !settings.unsigned.contains(&zone.name) {
                return Err(TransferRefusal::Signed);
            }
            let contents = match (request.kind, request.serial) {
                (TransferKind::Ixfr, Some(serial)) => Contents::since(zone, serial),
                _ => Contents::whole(zone),
            };
            // Records of the configuration belong to the serial only if both were there at the same time.
            if self.zone(request.zone).is_some_and(|zone| zone.is_same(contents.zone())) {
                return Ok(Transfer::new(request.kind, secondary.name.clone(), contents));
            }
        }
    }

    /// Logs a refusal, unless one was logged just before: strangers can ask as often as they like.
    fn log(&self, request: TransferRequest<'_>, client: TransferClient<'_>, refusal: TransferRefusal) {
        let mut logged = self.0.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.at.is_some_and(|at| at.elapsed() < LOG_EVERY) {
            logged.left_out += 1;
            return;
        }
        let left_out = std::mem::take(&mut logged.left_out);
        logged.at = Some(Instant::now());
        warn!(
            zone = %request.zone,
            client = %client.address,
            unlogged = left_out,
            "{} refused: {refusal}",
            request.kind.as_str()
        );
    }
}

impl TransferSettings {
    /// The secondary that a client is. Who matches none hears what it lacks for the one that it is nearest to.
    fn secondary(&self, zone: NameRef<'_>, client: TransferClient<'_>) -> Result<&SecondarySettings, TransferRefusal> {
        let mut refusal = TransferRefusal::Stranger;
        let has_zone = |secondary: &&SecondarySettings| Self::has_zone(secondary, zone);
        for secondary in self.secondaries.iter().filter(has_zone).filter(|found| found.is_at(client.address)) {
            let has_key = secondary.key.as_ref().is_none_or(|key| Some(&key.name) == client.key);
            match (has_key, client.is_encrypted || !secondary.tls_only) {
                (true, true) => return Ok(secondary),
                (false, _) => refusal = TransferRefusal::Key,
                (true, false) => refusal = TransferRefusal::Unencrypted,
            }
        }
        Err(refusal)
    }
}

/// The zones and secondaries of one moment.
#[derive(Debug)]
pub struct Transferable {
    settings: Arc<TransferSettings>,
    zones: Arc<Vec<Zone>>,
    catalog: Option<Arc<Vec<Zone>>>,
}

impl Transferable {
    /// The zones that are transferred, and the catalog.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        let zones = self.zones.iter().filter(|zone| self.settings.transferable.contains(&zone.name));
        zones.chain(self.catalog.iter().flat_map(|zones| zones.iter()))
    }

    pub fn secondaries(&self) -> &[SecondarySettings] {
        &self.settings.secondaries
    }

    /// Whether a secondary may have a zone.
    pub fn has_zone(&self, secondary: &SecondarySettings, zone: &ZoneName) -> bool {
        TransferSettings::has_zone(secondary, zone.apex().as_ref())
    }

    /// Whether a zone is the catalog.
    pub fn is_catalog(&self, zone: &ZoneName) -> bool {
        self.settings.catalog.as_ref() == Some(zone)
    }

    /// Whether nothing has changed in between.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_same_catalog = match (&self.catalog, &other.catalog) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        is_same_catalog && Arc::ptr_eq(&self.settings, &other.settings) && Arc::ptr_eq(&self.zones, &other.zones)
    }
}
