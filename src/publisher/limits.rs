//! How much of each thing the store holds: nothing that a client can ask for grows without bound.

/// ACME accounts that hold values below one apex at a time. The account that owns the apex chooses their names, so
/// without a limit it could store without bound.
pub const MAX_ACME_ACCOUNTS: usize = 16;

/// Persistent authorizations of one owner: enough for a few CAs and ACME accounts.
pub const MAX_PERSISTENT: usize = 16;

/// The most tokens that are stored. Tokens that are used up or expired count until they are revoked.
pub const MAX_ENROLMENTS: i64 = 10_000;

/// The most tokens of the admin API that are stored, expired ones included.
pub const MAX_ADMIN_TOKENS: i64 = 1_000;

/// The most domains for which one holder stores credentials.
pub const MAX_STORED: i64 = 1_000;
