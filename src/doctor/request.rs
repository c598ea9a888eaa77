//! What an examination is asked for, and what it tells on the way.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::model::identifier::Identifier;
use crate::net::dns_client::Upstream;

use super::report::Report;

/// The most names of one examination.
pub const MAX_NAMES: usize = 50;
/// The most hints, and the most resolvers, of one examination.
pub const MAX_SERVERS: usize = 16;

/// What to examine beside the server itself, and with which means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExaminationRequest {
    /// The names of certificates; none: those that the server knows.
    #[serde(default)]
    pub names: Vec<Identifier>,
    /// The servers of another root, on one port, which then is the port of every nameserver below; none: the public root.
    #[serde(default)]
    pub hints: Vec<SocketAddr>,
    /// Recursive resolvers to ask beside those of the configuration.
    #[serde(default)]
    pub resolvers: Vec<Upstream>,
}

/// News of an examination under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// So many checks run.
    Started(usize),
    /// The check with this title has ended.
    Ended(String),
}

/// A line of the reply.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExaminationLine {
    /// What happens now.
    Progress(Progress),
    /// The last line.
    Report(Box<Report>),
}
