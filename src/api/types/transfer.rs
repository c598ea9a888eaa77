//! `/transfer/export` and `/transfer/import`: accounts that move between two txtgates, as lines of JSON.
//!
//! The first line is the head, the last one the end, so that a file that was cut off is not taken for a whole one. Times
//! are Unix seconds.

use serde::{Deserialize, Serialize};

use crate::model::account::{AllowFrom, Note, Username};
use crate::model::enrolment::AllowedLabel;
use crate::model::name::{Alias, ZoneName};
use crate::model::time::Timestamp;
use crate::model::tsig::Algorithm;
use crate::model::txt::TxtValue;
use crate::model::txt::persist::PersistValue;

use super::bulk::{BulkRefusal, RowRefusal};
use super::revealed::RevealedSecret;

/// The format that this version writes, and the newest that it reads.
pub const VERSION: u32 = 1;
/// What the head says of the format.
pub const FORMAT: &str = "txtgate transfer";
/// The most lines of a file.
pub const MAX_LINES: usize = 100_000;
/// The most bytes of a file.
pub const MAX_TRANSFER: usize = 64 * 1_024 * 1_024;

/// `POST /transfer/export`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExportAccounts {
    /// The accounts by any of their names; everything if there are none.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// Exports the secrets of TSIG keys too.
    #[serde(default)]
    pub tsig_secrets: bool,
}

/// A line of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransferLine {
    /// The first line.
    Head(TransferHead),
    /// An account with its names and values.
    Account(Box<TransferAccount>),
    /// An enrolment token.
    Enrolment(Box<TransferEnrolment>),
    /// Credentials that a client stores, sealed with a secret that only the client has.
    Stored(TransferStored),
    /// A chosen label of a removed account, which is never given again.
    Removed(TransferRemoved),
    /// The last line: how many lines stand between the head and it.
    End(usize),
}

/// The head of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TransferHead {
    /// [`FORMAT`].
    pub format: String,
    /// The version of the format.
    pub version: u32,
    /// When the file was made.
    pub made: String,
    /// The zones of the server that made it.
    pub zones: Vec<ZoneName>,
}

/// Whether an account works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransferState {
    /// The account works.
    Active,
    /// The operator has stopped the account.
    Disabled,
}

/// An account with everything that belongs to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferAccount {
    /// The account's name in `X-Api-User`.
    pub username: Username,
    /// The hash of the API key.
    pub key_hash: String,
    /// The key before the last rotation.
    pub former_key: Option<TransferFormerKey>,
    /// The TSIG key.
    pub tsig: Option<TransferTsig>,
    /// The networks from which the account may be used.
    pub allowfrom: AllowFrom,
    /// The remark.
    pub note: Note,
    /// Whether the account works.
    pub state: TransferState,
    /// When the account was created.
    pub created: Timestamp,
    /// When the account last published a value.
    pub last_update: Option<Timestamp>,
    /// The names with their values, the first name first.
    pub owners: Vec<TransferOwner>,
    /// The names in other zones that stand for the account's own.
    pub aliases: Vec<TransferAlias>,
}

/// A key in its grace time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferFormerKey {
    /// The hash of the key.
    pub hash: String,
    /// Until when the key works.
    pub until: Timestamp,
}

/// A TSIG key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferTsig {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The secret in base64, if the operator has asked for it.
    pub secret: Option<RevealedSecret>,
}

/// A name and its values, each kind newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferOwner {
    /// The zone.
    pub zone: ZoneName,
    /// The label below the zone's apex; `@` is the apex.
    pub label: String,
    /// The values of challenges.
    pub values: Vec<TransferValue>,
    /// Persistent authorizations.
    pub persistent: Vec<TransferPersistent>,
}

/// A value of a challenge.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferValue {
    /// The value.
    pub txt: TxtValue,
    /// When it was published, or published again.
    pub published: Timestamp,
    /// When it is retired.
    pub expires: Timestamp,
}

/// A persistent authorization.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferPersistent {
    /// The persistent authorization.
    pub value: PersistValue,
    /// When it was published, or published again.
    pub published: Timestamp,
    /// When it is retired; `None`: when somebody asks for that.
    pub expires: Option<Timestamp>,
}

/// An alias, and the name that it stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferAlias {
    /// The name in another zone.
    pub alias: Alias,
    /// The zone of the account's name.
    pub zone: ZoneName,
    /// The label of the account's name.
    pub label: String,
}

/// An enrolment token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferEnrolment {
    /// The hash of the token.
    pub hash: String,
    /// How many registrations the token pays for.
    pub uses: u32,
    /// How many of them are used.
    pub used: u32,
    /// When the token expires.
    pub expires: Timestamp,
    /// The networks from which the token may be used.
    pub allowfrom: AllowFrom,
    /// The labels that the token gives or lets choose.
    pub labels: Vec<AllowedLabel>,
    /// The remark.
    pub note: Note,
    /// When the token was created.
    pub created: Timestamp,
}

/// Stored credentials.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferStored {
    /// The hash of the secret that opens them.
    pub holder: String,
    /// The domain.
    pub domain: String,
    /// The sealed text in base64.
    pub sealed: String,
}

/// A label that is never given again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferRemoved {
    /// The zone.
    pub zone: ZoneName,
    /// The label.
    pub label: String,
    /// When the account was removed.
    pub removed: Timestamp,
}

/// The reply to `POST /transfer/import`: one line, which may take its time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportReply {
    /// Everything that is counted is here.
    Done(ImportCounts),
    /// Nothing has changed.
    Refused(BulkRefusal),
}

/// What an import has done, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// Accounts that are new here.
    pub accounts: usize,
    /// Accounts, tokens and stored credentials that are here already.
    pub known: usize,
    /// Values that are new here.
    pub values: usize,
    /// Enrolment tokens that are new here.
    pub enrolments: usize,
    /// Stored credentials that are new here.
    pub stored: usize,
    /// What stays behind, by line.
    pub left: Vec<RowRefusal>,
}
