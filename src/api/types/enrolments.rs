//! `/enrolments`

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::model::account::{AllowFrom, Note};
use crate::model::enrolment::{AllowedLabel, EnrolmentId, MAX_USES};
use crate::model::time::Span;

use super::revealed::RevealedSecret;

/// `POST /enrolments`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CreateEnrolment {
    /// How many registrations the token pays for; 1 if absent. 0 makes a token for storage alone.
    #[serde(default, deserialize_with = "uses")]
    pub uses: Option<u32>,
    /// How long the token is valid; 7 days if absent.
    pub lifetime: Option<Span>,
    /// The networks from which the token may be used.
    pub allowfrom: Option<AllowFrom>,
    /// The labels that the token gives or lets choose; random ones if there are none.
    #[serde(default)]
    pub labels: Vec<AllowedLabel>,
    /// A remark.
    pub note: Option<Note>,
}

fn uses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let Some(number) = Option::<i64>::deserialize(deserializer)? else { return Ok(None) };
    let uses = u32::try_from(number).ok().filter(|uses| *uses <= MAX_USES);
    uses.map(Some).ok_or_else(|| de::Error::custom(format!("write a number from 0 to {MAX_USES}")))
}

/// Whether a token still pays for registrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnrolmentState {
    /// The token is valid.
    Valid,
    /// All registrations are used.
    #[serde(rename = "used up")]
    UsedUp,
    /// The token's lifetime has ended.
    Expired,
    /// The operator has revoked the token.
    Revoked,
}

/// A token without its secret, of which only the hash is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrolmentView {
    /// The number by which the token is revoked.
    pub id: EnrolmentId,
    /// The remark.
    pub note: Note,
    /// How many registrations the token pays for.
    pub uses: u32,
    /// How many of them are used.
    pub used: u32,
    /// When the token expires.
    pub expires: String,
    /// The networks from which the token may be used.
    pub allowfrom: AllowFrom,
    /// The labels that the token gives or lets choose.
    pub labels: Vec<AllowedLabel>,
    /// When the token was created.
    pub created: String,
    /// Whether the token is valid.
    pub state: EnrolmentState,
}

/// A new token, shown once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreatedEnrolment {
    /// The token as lists show it.
    #[serde(flatten)]
    pub enrolment: EnrolmentView,
    /// The token's secret.
    pub token: RevealedSecret,
}

/// The reply to `DELETE /enrolments/{id}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevokedEnrolment {
    /// The token's number.
    pub revoked: EnrolmentId,
}
