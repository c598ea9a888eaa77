//! `/status`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::certificates::api_certificate::ApiCertificateReport;
use crate::model::name::ZoneName;

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
    /// What is wrong with that file.
    pub database_problem: Option<String>,
    /// What is wrong with the machine's clock, and what to do.
    pub clock_problem: Option<String>,
    /// The zones that are served.
    pub zones: Vec<ZoneStatus>,
    /// The daemon's own certificates; `None` if no daemon runs.
    pub certificates: Option<OwnCertificates>,
    /// Accounts, disabled ones included.
    pub accounts: i64,
    /// Stored TXT values.
    pub values: i64,
    /// What has happened since the start.
    pub counters: Counters,
}

/// A zone that is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// The zone's name.
    pub name: ZoneName,
    /// The serial of its SOA record.
    pub serial: u32,
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
