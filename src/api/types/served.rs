//! What the nameservers serve, in replies to requests that wait for them.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::delegation::propagation::evidence::{AddressEvidence, AddressState, Evidence};

/// The most addresses that a message names.
const NAMED: usize = 4;

/// What each address of each nameserver of the delegation serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedView {
    /// Whether every one of them serves the value.
    pub served: bool,
    /// How long the request has waited, in milliseconds.
    pub waited_ms: u64,
    /// The addresses, in the order of the delegation.
    pub addresses: Vec<ServedAddress>,
    /// What was found about the delegation.
    pub notes: Vec<String>,
}

/// What one address serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedAddress {
    /// The nameserver's name.
    pub nameserver: String,
    /// The address in the delegation; `None` if it could not be looked up.
    pub address: Option<IpAddr>,
    /// Where the address was asked instead, by `detours` of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detour: Option<String>,
    /// Whether it serves the value.
    pub state: AddressState,
    /// What came back last.
    pub answer: String,
    /// When that came back.
    pub at: Option<String>,
    /// The time from the question to it, in microseconds.
    pub rtt_us: Option<u64>,
    /// The zone's serial there.
    pub serial: Option<u32>,
}

impl From<&AddressEvidence> for ServedAddress {
    fn from(evidence: &AddressEvidence) -> Self {
        Self {
            nameserver: evidence.nameserver.to_string(),
            address: evidence.address,
            detour: evidence.detour.map(|detour| detour.to_string()),
            state: evidence.state,
            answer: evidence.answer.clone(),
            at: evidence.at.map(|at| at.to_string()),
            rtt_us: evidence.rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
            serial: evidence.serial,
        }
    }
}

impl From<&Evidence> for ServedView {
    fn from(evidence: &Evidence) -> Self {
        Self {
            served: evidence.is_served(),
            waited_ms: u64::try_from(evidence.waited.as_millis()).unwrap_or(u64::MAX),
            addresses: evidence.addresses.iter().map(ServedAddress::from).collect(),
            notes: evidence.notes.clone(),
        }
    }
}

impl ServedAddress {
    /// The nameserver and its address.
    pub fn server(&self) -> String {
        self.address.map_or_else(|| self.nameserver.clone(), |address| format!("{} ({address})", self.nameserver))
    }
}

impl ServedView {
    /// What keeps the value from being served everywhere, and what to do about it.
    pub fn problem(&self) -> String {
        let lacking: Vec<&ServedAddress> =
            self.addresses.iter().filter(|address| address.state != AddressState::Served).collect();
        let waited = Duration::from_millis(self.waited_ms).as_secs_f32();
        let mut text = format!("the value is published here and stays, but after {waited:.1} s ");
        if self.addresses.is_empty() {
            text += &format!("no nameserver of the delegation is known: {}", self.notes.join("; "));
            return text + "; check `resolvers` in the configuration, and the NS records in the parent zone";
        }
        text += &format!("{} of {} addresses of nameservers do not serve it: ", lacking.len(), self.addresses.len());
        let named = lacking.iter().take(NAMED).map(|address| format!("{}: {}", address.server(), address.answer));
        text += &named.collect::<Vec<_>>().join("; ");
        if lacking.len() > NAMED {
            text += &format!("; and {} more", lacking.len() - NAMED);
        }
        if lacking.iter().any(|address| address.state == AddressState::Lacking) {
            text += "; check that this nameserver follows this server, or take it out of the delegation";
        } else {
            text += "; open UDP port 53 there, or set `detours` in the configuration to an address at which this server can reach it";
        }
        text
    }
}

/// What has been published, with what the nameservers serve if the request has waited for them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WithServed<T> {
    /// What has been published.
    #[serde(flatten)]
    pub published: T,
    /// What the nameservers serve.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub served: Option<ServedView>,
}
