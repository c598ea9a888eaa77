//! Refusals in the operator's words.

use crate::publisher::AccessError;

use super::super::error::Failure;

/// A refusal for the operator, whose requests have no credentials that could be wrong.
pub fn refused(error: impl Into<Failure>) -> Failure {
    match error.into() {
        Failure::Access(AccessError::NotOwner) => {
            Failure::NotFound("that name belongs to nobody, or to another account".into())
        }
        Failure::NotOwn(name) => {
            Failure::NotFound(format!("the account has no name {name}; `txtgate account show` lists those it has"))
        }
        Failure::Access(AccessError::Disabled) => Failure::Conflict("the account is disabled; enable it first".into()),
        other => other,
    }
}
