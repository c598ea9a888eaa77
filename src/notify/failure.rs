//! Why a message is not delivered.

use std::time::Duration;

/// Why an attempt has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was found, and what to do.
    pub problem: String,
    /// Whether the receiver has refused the message itself: other attempts will hardly do better.
    pub is_refusal: bool,
    /// How long the receiver asks to wait.
    pub retry_after: Option<Duration>,
}
