//! Failures as replies show them.

use serde::Deserialize;

/// The body of a reply that refuses a request. The API writes it by hand, with the spaces of acme-dns.
#[derive(Debug, Clone, Deserialize)]
pub struct FailureReply {
    /// The code: acme-dns's, or one of our own.
    pub error: String,
    /// What is wrong and what to do, in a sentence.
    pub message: Option<String>,
}
