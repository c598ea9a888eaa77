//! `/accounts/{who}/changes`

use serde::{Deserialize, Serialize};

/// The last changes of an account, from newest to oldest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangeList {
    pub items: Vec<ChangeView>,
    /// Whether there are older ones, past the limit of the list.
    pub truncated: bool,
    /// Since when none is missing but those past the limit.
    pub complete_since: String,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeView {
    /// When, by the daemon's clock.
    pub time: String,
    /// What was asked for, like `key rotated`.
    pub action: String,
    /// The name that has changed, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// On whose request.
    pub actor: String,
}
