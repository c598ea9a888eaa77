//! Failures as replies show them.

use serde::Deserialize;

use super::bulk::RowRefusal;
use super::served::ServedView;

/// The code for a request that would take something from a certificate that is there.
pub const REPLACES: &str = "certificate_exists";

/// The body of a reply that refuses a request. The API writes it by hand, with the spaces of acme-dns.
#[derive(Debug, Clone, Deserialize)]
pub struct FailureReply {
    /// The code: acme-dns's, or one of our own.
    pub error: String,
    /// What is wrong and what to do, in a sentence.
    pub message: Option<String>,
    /// The rows that are wrong, of a request with many.
    #[serde(default)]
    pub rows: Vec<RowRefusal>,
    /// What the nameservers serve, if not every one of them serves the value.
    pub served: Option<ServedView>,
}
