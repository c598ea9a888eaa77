//! What each address of each nameserver serves.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde::{Deserialize, Serialize};

use crate::model::name::Name;
use crate::model::time::Timestamp;

use super::super::finding::{Assessment, Finding, question_at};

/// What one address of a nameserver has answered last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressEvidence {
    /// The nameserver in the delegation.
    pub nameserver: Name,
    /// The address; `None` if the nameserver's addresses could not be looked up.
    pub address: Option<IpAddr>,
    /// Whether the last question has left: `false` while too many others are under way.
    pub is_asked: bool,
    /// Where that address was asked, if elsewhere.
    pub detour: Option<SocketAddr>,
    /// What the answer means.
    pub state: AddressState,
    /// The answer in words.
    pub answer: String,
    /// When it arrived; `None` if nothing has.
    pub at: Option<Timestamp>,
    /// The time from the question to it.
    pub rtt: Option<Duration>,
    /// The zone's serial there.
    pub serial: Option<u32>,
}

/// Whether an address serves the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressState {
    /// It does.
    Served,
    /// It answers, and not with the values.
    Lacking,
    /// It gives no answer, so nobody here knows.
    Unreachable,
}

impl fmt::Display for AddressState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Served => "served",
            Self::Lacking => "lacking",
            Self::Unreachable => "unreachable",
        })
    }
}

impl AddressEvidence {
    /// Nothing is known of an address yet.
    pub fn of(nameserver: Name, address: Option<IpAddr>, detour: Option<SocketAddr>) -> Self {
        let answer = "no answer yet".into();
        let state = AddressState::Unreachable;
        Self { nameserver, address, is_asked: true, detour, state, answer, at: None, rtt: None, serial: None }
    }

    /// The nameserver and its address.
    pub fn server(&self) -> String {
        match self.address {
            Some(address) => format!("{} ({address})", self.nameserver),
            None => self.nameserver.to_string(),
        }
    }

    /// The same as the result of a check.
    pub fn finding(&self, name: &Name) -> Finding {
        let (assessment, meaning, advice) = match self.state {
            AddressState::Served => (Assessment::Good, "", ""),
            AddressState::Lacking => (
                Assessment::Fault,
                "it does not serve what is published here",
                "compare the delegation in the parent zone with this server's addresses, and look at that nameserver",
            ),
            AddressState::Unreachable => (
                Assessment::Unknown,
                "the nameserver cannot be asked from here",
                "if others cannot reach it either, the CA will refuse; open UDP and TCP port 53",
            ),
        };
        let server = self.server();
        let question = question_at(RecordType::TXT, name, &server);
        Finding::new(assessment, server, question, &self.answer).meaning(meaning).advice(advice)
    }
}

/// What all addresses of a delegation serve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Each address.
    pub addresses: Vec<AddressEvidence>,
    /// What was found about the delegation itself.
    pub notes: Vec<String>,
    /// The time that was waited.
    pub waited: Duration,
}

impl Evidence {
    /// Whether every address serves the values. Without any address nothing is shown.
    pub fn is_served(&self) -> bool {
        !self.addresses.is_empty() && self.lacking().next().is_none()
    }

    /// The addresses that do not serve the values, or cannot be asked.
    pub fn lacking(&self) -> impl Iterator<Item = &AddressEvidence> {
        self.addresses.iter().filter(|address| address.state != AddressState::Served)
    }
}
