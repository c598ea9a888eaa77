//! `/watch`

use serde::{Deserialize, Serialize};

/// A DNS message, and what was sent in reply. The stream has one line of JSON for each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedMessage {
    /// When the reply was written.
    pub time: String,
    /// The address of the sender.
    pub source: String,
    /// The transport, like `udp`.
    pub transport: String,
    /// The opcode, like `QUERY`.
    pub opcode: String,
    /// The name of the question in lower case; `None` if no question could be read.
    pub name: Option<String>,
    /// The name with the letters as sent.
    pub name_as_sent: Option<String>,
    /// The type of the question.
    #[serde(rename = "type")]
    pub rtype: Option<String>,
    /// The UDP size that the message offers; `None` without EDNS.
    pub edns_size: Option<u16>,
    /// Whether the message asks for DNSSEC records.
    pub dnssec_ok: bool,
    /// The state of the DNS cookie.
    pub cookie: String,
    /// The name of the TSIG key.
    pub key: Option<String>,
    /// Why the signature was rejected.
    pub key_error: Option<String>,
    /// The names that an UPDATE changes.
    pub updated: Vec<String>,
    /// What became of the reply: `sent`, `slipped`, `dropped` or `unanswered`.
    pub outcome: String,
    /// Whether the rate limit decided that.
    pub limited: bool,
    /// The response code, as dig prints it.
    pub rcode: String,
    /// The extended error.
    pub ede: Option<WatchedEde>,
    /// Whether the reply was truncated.
    pub truncated: bool,
    /// Bytes of the reply.
    pub size: usize,
    /// The TXT values in the reply.
    pub values: Vec<String>,
}

/// An extended DNS error (RFC 8914).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedEde {
    /// The code.
    pub code: u16,
    /// The text.
    pub text: String,
}
