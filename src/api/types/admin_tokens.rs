//! `/admin-tokens`

use serde::{Deserialize, Serialize};

use crate::model::account::{AllowFrom, Note};
use crate::model::admin_token::{AdminScope, AdminTokenId};
use crate::model::time::Span;

use super::revealed::RevealedSecret;

/// `POST /admin-tokens`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateAdminToken {
    /// What the token is good for.
    pub scope: AdminScope,
    /// How long the token is valid; 30 days if absent.
    pub lifetime: Option<Span>,
    /// The networks from which the token may be used.
    pub allowfrom: Option<AllowFrom>,
    /// A remark.
    pub note: Option<Note>,
}

/// Whether a token works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminTokenState {
    /// The token works.
    Valid,
    /// The token's lifetime has ended.
    Expired,
}

/// A token without its secret, of which only the hash is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdminTokenView {
    /// The number by which the token is revoked, and which the log names.
    pub id: AdminTokenId,
    /// What the token is good for.
    pub scope: AdminScope,
    /// When the token expires.
    pub expires: String,
    /// The networks from which the token may be used.
    pub allowfrom: AllowFrom,
    /// The remark.
    pub note: Note,
    /// When the token was created.
    pub created: String,
    /// Whether the token works.
    pub state: AdminTokenState,
}

/// A new token, shown once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreatedAdminToken {
    /// The token as lists show it.
    #[serde(flatten)]
    pub details: AdminTokenView,
    /// The token's secret.
    pub token: RevealedSecret,
}

/// The reply to `DELETE /admin-tokens/{id}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevokedAdminToken {
    /// The token's number.
    pub revoked: AdminTokenId,
}
