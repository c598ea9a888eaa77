//! `/acme/account`

use serde::{Deserialize, Serialize};

pub use crate::acme::authority::AcmeAccountReport;
pub use crate::acme::rollover::Abandoned;

/// `POST /acme/account/contact`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UpdateContact {
    /// The contacts as URLs, like `mailto:you@example.org`.
    #[serde(default)]
    pub contact: Vec<String>,
}
