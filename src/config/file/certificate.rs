//! The shape of `[[certificate]]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Method;

/// `[[certificate]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Certificate {
    pub name: Option<String>,
    #[serde(default)]
    pub names: Vec<String>,
    #[serde(default = "certificates")]
    pub directory: PathBuf,
    pub key_type: Option<KeyType>,
    pub challenge: Option<Method>,
    pub profile: Option<String>,
    #[serde(default)]
    pub allow_subset: bool,
    pub owner: Option<String>,
    pub group: Option<String>,
    #[serde(default = "private_mode")]
    pub mode: String,
    #[serde(default)]
    pub pkcs12: bool,
    pub pkcs12_password_file: Option<PathBuf>,
    #[serde(default)]
    pub hook: Vec<String>,
    pub hook_user: Option<String>,
    pub hook_group: Option<String>,
    #[serde(default = "hook_timeout")]
    pub hook_timeout: String,
}

impl Certificate {
    /// A certificate for these names, with the defaults of all other keys.
    pub fn of_names(names: Vec<String>) -> Self {
        Self {
            name: None,
            names,
            directory: certificates(),
            key_type: None,
            challenge: None,
            profile: None,
            allow_subset: false,
            owner: None,
            group: None,
            mode: private_mode(),
            pkcs12: false,
            pkcs12_password_file: None,
            hook: Vec::new(),
            hook_user: None,
            hook_group: None,
            hook_timeout: hook_timeout(),
        }
    }
}

fn certificates() -> PathBuf {
    "certificates".into()
}

fn private_mode() -> String {
    "0600".into()
}

fn hook_timeout() -> String {
    "60s".into()
}

/// The curve of a certificate's ECDSA key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    P256,
    P384,
}
