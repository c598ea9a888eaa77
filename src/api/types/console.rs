//! `/console/links`

use serde::{Deserialize, Serialize};

use crate::model::admin_token::AdminScope;

/// `POST /console/links`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CreateConsoleLink {
    /// What the session may do; everything if absent.
    pub scope: Option<AdminScope>,
}

/// A link that signs one browser in, once.
#[derive(Clone, Serialize, Deserialize)]
pub struct CreatedConsoleLink {
    /// The link, which holds a secret.
    pub url: String,
    /// How long the link may be used.
    pub seconds: u64,
}

impl std::fmt::Debug for CreatedConsoleLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedConsoleLink").field("seconds", &self.seconds).finish_non_exhaustive()
    }
}
