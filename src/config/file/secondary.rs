//! The shape of `[[secondary]]`, and of a zone's `transfer`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[secondaries]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Secondaries {
    pub catalog: Option<String>,
}

/// `[[secondary]]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Secondary {
    pub name: String,
    pub networks: Vec<String>,
    pub notify: Vec<String>,
    pub tsig_key_file: Option<PathBuf>,
    pub tls_only: bool,
    pub zones: Vec<String>,
}

/// Which records of a signed zone are transferred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZoneTransfer {
    /// Those that the server serves. Signatures are made when they are asked for, so a signed zone cannot be transferred.
    #[default]
    AsServed,
    /// All but those that signing adds, for a secondary that signs the zone itself.
    Unsigned,
}
