//! What needs attention.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::time::Timestamp;

/// What a matter is about. Receivers see the names as `certificate-expires` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatterKind {
    /// A certificate of the daemon cannot be issued or renewed.
    RenewalFailed,
    /// A certificate that is in use expires soon.
    CertificateExpires,
    /// The delegation of a zone is broken.
    Delegation,
    /// The disk of the database is nearly full.
    DiskNearlyFull,
    /// Changes cannot be stored.
    Database,
    /// The machine's clock is not trustworthy.
    Clock,
    /// A zone is not signed with the keys that its file has.
    SigningKeys,
    /// Somebody seems to validate a name for which nobody has published a value.
    UnexpectedValidation,
    /// A CA seems to have validated a value of an account that was unused for long.
    UnusedAccount,
    /// An account has not renewed in its usual time.
    AccountOverdue,
}

impl MatterKind {
    pub const ALL: [Self; 10] = [
        Self::RenewalFailed,
        Self::CertificateExpires,
        Self::Delegation,
        Self::DiskNearlyFull,
        Self::Database,
        Self::Clock,
        Self::SigningKeys,
        Self::UnexpectedValidation,
        Self::UnusedAccount,
        Self::AccountOverdue,
    ];

    /// The name as receivers see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RenewalFailed => "renewal-failed",
            Self::CertificateExpires => "certificate-expires",
            Self::Delegation => "delegation",
            Self::DiskNearlyFull => "disk-nearly-full",
            Self::Database => "database",
            Self::Clock => "clock",
            Self::SigningKeys => "signing-keys",
            Self::UnexpectedValidation => "unexpected-validation",
            Self::UnusedAccount => "unused-account",
            Self::AccountOverdue => "account-overdue",
        }
    }

    /// Whether such a matter may come and go by itself. Its end is reported only when it has lasted as long as its beginning
    /// had to. The others end by an event, like a new certificate.
    pub(super) fn may_flap(self) -> bool {
        matches!(self, Self::Delegation | Self::DiskNearlyFull | Self::Database | Self::Clock)
    }

    /// Whether whoever reports such a matter has made sure of it already.
    pub(super) fn is_certain(self) -> bool {
        matches!(self, Self::UnexpectedValidation | Self::UnusedAccount)
    }
}

impl std::fmt::Display for MatterKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The most bytes of a text in a message.
const MAX_TEXT: usize = 4_096;

/// One thing that needs attention. Two with the same kind and subject are the same matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matter {
    pub kind: MatterKind,
    /// The certificate, zone, name, account or path.
    pub subject: String,
    /// One sentence without a full stop.
    pub summary: String,
    /// What was found, what was expected and what to do.
    pub details: String,
}

impl Matter {
    /// A matter, with its texts cut to what a message holds.
    pub fn new(kind: MatterKind, subject: &str, summary: &str, details: &str) -> Self {
        Self { kind, subject: bounded(subject), summary: bounded(summary), details: bounded(details) }
    }
}

/// A matter, and since when it has been seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenMatter {
    /// The same in all messages about it.
    pub id: String,
    pub since: Timestamp,
    pub matter: Matter,
}

impl OpenMatter {
    /// A matter that is seen for the first time.
    pub fn new(matter: Matter, since: Timestamp) -> Self {
        Self { id: new_id(), since, matter }
    }
}

/// What a message says of its matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventType {
    #[serde(rename = "matter.begun")]
    Begun,
    #[serde(rename = "matter.over")]
    Over,
    /// The matter lasts.
    #[serde(rename = "matter.reminder")]
    Reminder,
    /// The operator tests the channels.
    #[serde(rename = "test")]
    Test,
}

/// A new id, of a message or a matter.
pub fn new_id() -> String {
    Uuid::new_v4().hyphenated().to_string()
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_kinds_are_the_same_everywhere() {
        for kind in MatterKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn texts_are_bounded_at_a_character() {
        let matter = Matter::new(MatterKind::Clock, "clock", "x", &"\u{e9}".repeat(5_000));
        assert_eq!(matter.details.len(), MAX_TEXT);
        assert_eq!(bounded(&format!("x{}", "\u{e9}".repeat(5_000))).len(), MAX_TEXT - 1);
    }
}
