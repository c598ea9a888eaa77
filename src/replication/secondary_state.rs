//! How the secondaries are: what they acknowledge, and which serial they have.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::metrics::transfers::SecondaryLabels;
use crate::model::name::ZoneName;
use crate::model::serial::Serial;

/// A zone at an address of a secondary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotifyTarget {
    /// The secondary's name in the configuration.
    pub secondary: String,
    pub address: SocketAddr,
    pub zone: ZoneName,
}

impl NotifyTarget {
    /// The labels of its metrics.
    pub(super) fn labels(&self) -> SecondaryLabels {
        let (address, zone) = (self.address.to_string(), self.zone.to_string());
        SecondaryLabels { secondary: self.secondary.clone(), address, zone }
    }
}

/// A zone at an address of a secondary, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondaryReport {
    /// The secondary's name in the configuration.
    pub secondary: String,
    /// The address that gets the NOTIFY messages.
    pub address: SocketAddr,
    /// The zone.
    pub zone: ZoneName,
    /// The serial of the last NOTIFY that it acknowledged; `null` before the first one.
    pub notified: Option<u32>,
    /// The serial that it answers with; `null` while it does not answer.
    pub serial: Option<u32>,
    /// Whether it has the zone as it is.
    pub current: bool,
    /// What is wrong, and what to do.
    pub problem: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    notified: Option<Serial>,
    serial: Option<Serial>,
    /// Why NOTIFY messages fail.
    notify_problem: Option<String>,
    /// Why its serial is not known.
    serial_problem: Option<String>,
}

/// The states of all secondaries; a cheap handle.
#[derive(Clone, Debug, Default)]
pub struct SecondaryStates(Arc<Mutex<BTreeMap<NotifyTarget, State>>>);

impl SecondaryStates {
    /// Forgets all but these.
    pub(super) fn retain(&self, is_kept: impl Fn(&NotifyTarget) -> bool) {
        self.lock().retain(|target, _| is_kept(target));
    }

    pub(super) fn notified(&self, target: &NotifyTarget, outcome: Result<Serial, String>) {
        let mut states = self.lock();
        let state = states.entry(target.clone()).or_default();
        match outcome {
            Ok(serial) => (state.notified, state.notify_problem) = (Some(serial), None),
            Err(problem) => state.notify_problem = Some(problem),
        }
    }

    pub(super) fn looked(&self, target: &NotifyTarget, outcome: Result<Serial, String>) {
        let mut states = self.lock();
        let state = states.entry(target.clone()).or_default();
        match outcome {
            Ok(serial) => (state.serial, state.serial_problem) = (Some(serial), None),
            Err(problem) => (state.serial, state.serial_problem) = (None, Some(problem)),
        }
    }

    /// All of them, where `serial` is that of a zone here.
    pub fn reports(&self, serial: impl Fn(&ZoneName) -> Option<Serial>) -> Vec<SecondaryReport> {
        let states = self.lock();
        let report = |(target, state): (&NotifyTarget, &State)| SecondaryReport {
            secondary: target.secondary.clone(),
            address: target.address,
            zone: target.zone.clone(),
            notified: state.notified.map(|serial| serial.0),
            serial: state.serial.map(|serial| serial.0),
            current: state.serial.is_some() && state.serial == serial(&target.zone),
            problem: state.notify_problem.clone().or_else(|| state.serial_problem.clone()),
        };
        states.iter().map(report).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NotifyTarget, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
