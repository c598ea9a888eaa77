//! What the nameservers of a delegation are to serve.

use std::time::Duration;

use crate::model::name::{Name, NameError, Owner};
use crate::model::time::RunningTime;
use crate::zone::Zone;

/// TXT values that every nameserver is to serve at an owner.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The owner.
    pub owner: Owner,
    /// Its whole name.
    pub name: Name,
    /// The values. Others may stand beside them.
    pub values: Vec<String>,
    /// When a nameserver serves them.
    pub rules: Rules,
}

/// When the nameservers serve a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// For clients that asked to wait: each address over UDP, and over TCP if that reply is truncated.
    EveryAddress,
    /// For certificates: over both UDP and TCP. An address that cannot be reached from here is left out, because the CA
    /// may well reach it: many machines cannot reach their own public address.
    ReachedFromHere,
}

impl Wanted {
    /// These values at an owner.
    pub fn new(owner: &Owner, values: Vec<String>, rules: Rules) -> Result<Self, NameError> {
        Ok(Self { name: owner.to_string().parse()?, owner: owner.clone(), values, rules })
    }

    /// Whether this process itself serves all of the values, after it has run for this time.
    pub fn is_served_by(&self, zone: &Zone, running: RunningTime) -> bool {
        let state = zone.live.at(self.owner.label.below_apex().as_bytes());
        self.values.iter().all(|wanted| {
            state.iter().any(|state| {
                let mut values = state.values().iter().filter(|value| value.is_live(running));
                let mut persistent = state.persistent().iter().filter(|value| value.is_live(running));
                values.any(|value| value.txt.to_string() == *wanted)
                    || persistent.any(|value| value.value.to_string() == *wanted)
            })
        })
    }
}

/// The pauses between two questions to the same address: short at first, because most secondaries follow at once.
#[derive(Debug, Clone, Copy)]
pub struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(Duration::from_millis(100))
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = (pause * 2).min(Duration::from_secs(1));
        Some(pause)
    }
}
