//! `/clock/trust`

use serde::{Deserialize, Serialize};

/// The reply to `POST /clock/trust`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrustedClock {
    /// What the machine's clock says.
    pub clock: String,
    /// How far the clock was behind the last change; `None` if it was not.
    pub was_behind_seconds: Option<u64>,
}
