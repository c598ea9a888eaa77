//! Why the publisher refuses an operation: one enum for each family of operations.
//!
//! An operation returns [`Abort`]: a refusal, or the store's failure.

use thiserror::Error;

use crate::model::account::{MAX_ALIASES, MAX_OWNERS};
use crate::model::enrolment::Over;
use crate::model::name::{Alias, Owner, Subdomain, ZoneName};
use crate::store::writer::Abort;

use super::limits::{MAX_ACME_ACCOUNTS, MAX_ADMIN_TOKENS, MAX_ENROLMENTS, MAX_PERSISTENT, MAX_STORED};

/// The actor may not work there. Part of several families.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AccessError {
    #[error("this account does not own that name")]
    NotOwner,
    #[error("the account is disabled")]
    Disabled,
    #[error("there is no such account")]
    NoAccount,
    #[error("this server has no zone {0}")]
    NoZone(ZoneName),
}

/// Publishing and retiring TXT values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ValueError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("{MAX_ACME_ACCOUNTS} ACME accounts hold values below {0} already; retire some, or wait until they expire")]
    TooManyLabels(ZoneName),
    /// By the condition's index.
    #[error("condition {0} does not hold, so nothing was changed")]
    Unmet(usize),
}

/// Publishing persistent authorizations (dns-persist-01).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PersistError {
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(
        "this server publishes no persistent authorizations; its operator allows them with `persist = true` in [values]"
    )]
    Off,
    #[error(
        "no CA looks for persistent authorizations at {0}: they belong to a subdomain, or to the apex of a \
         `_validation-persist` zone"
    )]
    Nowhere(Owner),
    #[error("the server's configuration has records at {0}, which would hide what is published there; take them out")]
    Hidden(Owner),
    #[error("the authorization would be over already: its persistUntil or its lifetime has passed")]
    Over,
    #[error("a name has at most {MAX_PERSISTENT} persistent authorizations; retire one first")]
    TooMany,
}

/// Changing an account itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AccountError {
    #[error("there is no such account")]
    NoAccount,
    #[error("an account may only narrow the networks that it can be used from; ask the operator to widen them")]
    Wider,
}

/// Giving and taking names: registration, further subdomains, challenge zones.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OwnerError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("{0} is a challenge zone: it has no subdomains, and the server's operator says whose it is")]
    ChallengeZone(ZoneName),
    #[error(
        "this server has challenge zones only, in which nobody registers; its operator must add another `[[zone]]`"
    )]
    NoOrdinaryZone,
    #[error("{0} belongs to an account already; revoke it there first")]
    ApexTaken(ZoneName),
    #[error("the subdomain {0} is taken")]
    LabelTaken(Subdomain),
    #[error("the subdomain {0} cannot be chosen: {1}")]
    LabelReserved(Subdomain, &'static str),
    #[error("an account has at most {MAX_OWNERS} subdomains; remove one, or register another account")]
    TooMany,
    #[error("this is the account's last subdomain; delete the account instead")]
    Last,
    #[error(transparent)]
    Enrolment(#[from] Over),
    #[error("every subdomain that the enrolment token names is taken; choose one that it allows")]
    NoLabelLeft,
    /// Of the alias that a registration asks for.
    #[error(transparent)]
    Alias(#[from] AliasChangeError),
}

/// Registering many accounts at once.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BulkError {
    /// The first refused rows, by their index.
    #[error("{} rows are refused", .0.len())]
    Rows(Vec<(usize, OwnerError)>),
    /// All rows would be accepted. Undoes a rehearsal.
    #[error("this was a rehearsal")]
    Rehearsed,
}

/// Changing the aliases of an account.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AliasChangeError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("{0} is there only while it holds values, so no alias can stand for it")]
    PassingOwner(Owner),
    #[error("{0} lies in a zone of this server; an alias is a name in the zone of somebody else")]
    OwnZone(Alias),
    #[error("an account has at most {MAX_ALIASES} aliases; remove one first")]
    TooMany,
}

/// Creating enrolment tokens.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnrolmentError {
    #[error("there are {MAX_ENROLMENTS} enrolment tokens; revoke some")]
    TooMany,
}

/// Creating tokens of the admin API over the network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AdminTokenError {
    #[error("there are {MAX_ADMIN_TOKENS} admin tokens; revoke some")]
    TooMany,
}

/// Storing clients' sealed credentials.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientStorageError {
    #[error("one secret stores at most {MAX_STORED} accounts; delete some")]
    TooMany,
}

/// Lets `?` turn a refusal into the abort of an operation.
macro_rules! abort_from {
    ($($refusal:ty => $family:ty),* $(,)?) => {
        $(impl From<$refusal> for Abort<$family> {
            fn from(refusal: $refusal) -> Self {
                Self::Refused(refusal.into())
            }
        })*
    };
}

abort_from! {
    AccessError => AccessError,
    ValueError => ValueError,
    AccessError => ValueError,
    PersistError => PersistError,
    AccountError => AccountError,
    OwnerError => OwnerError,
    AccessError => OwnerError,
    Over => OwnerError,
    AliasChangeError => AliasChangeError,
    AccessError => AliasChangeError,
    EnrolmentError => EnrolmentError,
    AdminTokenError => AdminTokenError,
    ClientStorageError => ClientStorageError,
}

impl From<Abort<AliasChangeError>> for Abort<OwnerError> {
    fn from(abort: Abort<AliasChangeError>) -> Self {
        match abort {
            Abort::Store(error) => Self::Store(error),
            Abort::Refused(refusal) => Self::Refused(refusal.into()),
        }
    }
}

impl From<Abort<ValueError>> for Abort<PersistError> {
    fn from(abort: Abort<ValueError>) -> Self {
        match abort {
            Abort::Store(error) => Self::Store(error),
            Abort::Refused(refusal) => Self::Refused(refusal.into()),
        }
    }
}
