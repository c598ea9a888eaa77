//! `[dnstap]`: copies of DNS messages.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[dnstap]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Dnstap {
    pub socket: Option<PathBuf>,
    pub file: Option<PathBuf>,
    pub file_mebibytes: u64,
    pub identity: String,
}

impl Default for Dnstap {
    fn default() -> Self {
        Self { socket: None, file: None, file_mebibytes: 256, identity: String::new() }
    }
}
