//! `/accounts/{who}/delegations`

use serde::{Deserialize, Serialize};

pub use crate::delegation::finding::Assessment;

/// Whether one domain's challenge leads to the account, as the DNS says now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DelegationView {
    /// The domain.
    pub domain: String,
    /// The name at which a CA looks.
    pub looked_at: String,
    /// Whether a CA that looks there comes to the account.
    pub assessment: Assessment,
    /// What was found, in words.
    pub text: String,
    /// Whether the DNS is being asked: the next reply may know more.
    #[serde(default)]
    pub pending: bool,
    /// The records that lead to the account; any of them that is missing has to be added.
    pub records: Vec<String>,
}
