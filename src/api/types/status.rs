//! `/status`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::certificates::api_certificate::ApiCertificateReport;
use crate::model::account::Note;
use crate::model::name::ZoneName;
use crate::notify::report::NotifyReport;
use crate::querylog::verdict::Verdict;
use crate::replication::SecondaryReport;

/// What is running, and how it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The version of the program that answers.
    pub version: String,
    /// How long the daemon has run; `None` if no daemon runs.
    pub uptime_seconds: Option<u64>,
    /// The listeners, like `DNS 0.0.0.0:53 (UDP and TCP)`.
    pub listeners: Vec<String>,
    /// The file of the database.
    pub database: PathBuf,
    /// Why changes cannot be stored: the file is missing, the disk is full, or it is stalled.
    pub database_problem: Option<String>,
    /// What is wrong with the machine's clock, and what to do.
    pub clock_problem: Option<String>,
    /// The zones that are served.
    pub zones: Vec<ZoneStatus>,
    /// The daemon's own certificates; `None` if no daemon runs.
    pub certificates: Option<OwnCertificates>,
    /// Accounts, disabled ones included; `None` if the database cannot be read.
    pub accounts: Option<i64>,
    /// Accounts that have not renewed in their usual time; `None` if the database cannot be read.
    #[serde(default)]
    pub overdue: Option<u64>,
    /// Stored TXT values; `None` if the database cannot be read.
    pub values: Option<i64>,
    /// The last publication; `None` before the first one.
    #[serde(default)]
    pub last_publish: Option<LastPublish>,
    /// The last answer with a published value, which is what a CA's validation asks for; `None` if there was none since the
    /// start.
    #[serde(default)]
    pub last_validation: Option<LastValidation>,
    /// The zones at each address of a secondary that gets NOTIFY messages; empty if no daemon runs.
    #[serde(default)]
    pub secondaries: Vec<SecondaryReport>,
    /// What needs attention, and how the channels are that tell of it; `None` if no daemon runs.
    #[serde(default)]
    pub notifications: Option<NotifyReport>,
    /// What has happened since the start.
    pub counters: Counters,
}

/// The last publication.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastPublish {
    /// When.
    pub at: String,
    /// The whole name.
    pub name: String,
    /// The note of the name's account.
    pub note: Option<Note>,
}

/// The last answer with a published value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastValidation {
    /// When.
    pub at: String,
    /// The whole name.
    pub name: String,
    /// The note of the name's account.
    pub note: Option<Note>,
    /// The address that has asked.
    pub source: String,
    /// What the queries for the newest value in that answer mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// A zone that is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// The zone's name.
    pub name: ZoneName,
    /// The serial of its SOA record.
    pub serial: u32,
    /// Whether the zone is signed.
    #[serde(default)]
    pub signed: bool,
}

/// The certificates that the daemon gets for itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OwnCertificates {
    /// The certificate of the HTTP API; `None` if the configuration names files, or no TLS.
    pub api: Option<ApiCertificateReport>,
}

/// Events since the daemon started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Counters {
    /// Published values.
    pub updates: u64,
    /// Registered accounts.
    pub registrations: u64,
    /// Requests with wrong credentials or without permission.
    pub denials: u64,
    /// Requests refused because the server was busy, or the client too fast.
    pub refusals: u64,
    /// Requests that failed by a fault of the server.
    pub faults: u64,
    /// Changes written to the database.
    pub commits: u64,
    /// DNS messages without a reply.
    pub dns_dropped: u64,
    /// DNS replies that were truncated.
    pub dns_truncated: u64,
}
