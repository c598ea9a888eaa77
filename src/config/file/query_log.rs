//! `[querylog]`

use serde::{Deserialize, Serialize};

/// `[querylog]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct QueryLog {
    pub enabled: bool,
    pub per_owner: usize,
    pub memory: String,
    pub privacy: Privacy,
    pub keep_days: u64,
    pub keep_mebibytes: u64,
}

impl Default for QueryLog {
    fn default() -> Self {
        Self {
            enabled: true,
            per_owner: 64,
            memory: "64 MiB".into(),
            privacy: Privacy::None,
            keep_days: 0,
            keep_mebibytes: 1_024,
        }
    }
}

/// How much of a resolver's address is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// All of it.
    None,
    /// Its network: /24 of an IPv4 address, /48 of an IPv6 address.
    Network,
}
