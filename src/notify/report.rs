//! Open matters and channels for the operator.

use serde::{Deserialize, Serialize};

use super::matter::{Matter, MatterKind, OpenMatter};

/// The state of the notifications.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyReport {
    /// What needs attention.
    pub matters: Vec<MatterView>,
    /// The channels of the configuration.
    pub channels: Vec<ChannelReport>,
}

/// One open matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatterView {
    /// The same in all messages about it.
    pub id: String,
    /// What it is about.
    pub kind: MatterKind,
    /// The certificate, zone, name, account or path.
    pub subject: String,
    /// One sentence.
    pub summary: String,
    /// What was found and what to do.
    pub details: String,
    /// When it was first seen.
    pub since: String,
    /// Whether it was reported; false within the grace time.
    pub reported: bool,
}

impl MatterView {
    pub fn of(open: &OpenMatter, reported: bool) -> Self {
        let OpenMatter { id, since, matter: Matter { kind, subject, summary, details } } = open.clone();
        Self { id, kind, subject, summary, details, since: since.to_string(), reported }
    }
}

/// One channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelReport {
    /// `webhook`, `command` or `mail`.
    pub channel: String,
    /// Where it leads, without secrets.
    pub target: String,
    /// Messages that are not delivered yet.
    pub waiting: usize,
    /// Attempts that have failed since the last success.
    pub failures: u32,
    /// Why the last attempt has failed; `None` after a success.
    pub problem: Option<String>,
    /// When the last message was delivered since the start.
    pub last_delivery: Option<String>,
}

/// What has become of a test message on one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    /// `webhook`, `command` or `mail`.
    pub channel: String,
    /// Where it leads, without secrets.
    pub target: String,
    /// How long the attempt took.
    pub milliseconds: u64,
    /// Why it has failed; `None` if the message was delivered.
    pub problem: Option<String>,
}
