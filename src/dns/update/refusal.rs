//! Why an UPDATE is not carried out: each reason has its own response code and explanation.

use hickory_proto::op::ResponseCode;
use tokio::task::JoinError;
use tracing::error;

use crate::delegation::propagation::TooManyWaits;
use crate::publisher::{Abort, AccessError, ValueError};
use crate::store::StoreError;

use super::super::ede::Ede;
use super::super::error_reply::ErrorReply;

/// Why an UPDATE is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateRefusal {
    /// The message does not consist of one zone, prerequisites and updates (RFC 2136 section 2).
    Malformed,
    /// The zone section does not ask for SOA (RFC 2136 section 3.1.1).
    NotSoa,
    /// This server has no such zone (RFC 2136 section 3.1.2).
    NoZone,
    /// A prerequisite or an update is about a name outside the zone (RFC 2136 sections 3.2.1 and 3.4.1.3).
    OutOfZone,
    /// A prerequisite has a form that RFC 2136 section 2.4 does not know.
    PrerequisiteForm,
    /// A prerequisite does not hold; the response code says which kind (RFC 2136 section 3.2).
    Unmet(ResponseCode),
    /// An update has a form that RFC 2136 section 2.5 does not know.
    UpdateForm,
    /// The account does not own the name.
    NotOwner,
    /// The account was disabled after it had signed.
    Disabled,
    /// The type is not TXT.
    NotTxt,
    /// The TXT record is not a value of a challenge.
    NotAValue,
    /// The message has more prerequisites and updates than are carried out at once.
    TooManyRecords,
    /// The apex has enough names of ACME accounts below it.
    TooManyLabels,
    /// So many UPDATEs of the account are in progress that it must wait.
    AccountBusy,
    /// So many UPDATEs of all accounts are in progress that it must wait.
    ServerBusy,
    /// The store cannot take changes for the moment.
    StoreBusy,
    /// The values are published, and not served by every nameserver of the delegation.
    NotServed,
    /// A fault of this program.
    Fault,
}

impl UpdateRefusal {
    /// The response code.
    pub fn rcode(self) -> ResponseCode {
        match self {
            Self::Malformed | Self::NotSoa | Self::PrerequisiteForm | Self::UpdateForm => ResponseCode::FormErr,
            Self::NoZone => ResponseCode::NotAuth,
            Self::OutOfZone => ResponseCode::NotZone,
            Self::Unmet(rcode) => rcode,
            Self::NotOwner
            | Self::Disabled
            | Self::NotTxt
            | Self::NotAValue
            | Self::TooManyRecords
            | Self::TooManyLabels => ResponseCode::Refused,
            Self::AccountBusy | Self::ServerBusy | Self::StoreBusy | Self::NotServed | Self::Fault => {
                ResponseCode::ServFail
            }
        }
    }

    fn ede(self) -> Option<Ede> {
        Some(match self {
            Self::Malformed => Ede::UPDATE_MALFORMED,
            Self::NotSoa => Ede::UPDATE_NOT_SOA,
            Self::NoZone => Ede::NOT_AUTHORITATIVE,
            Self::OutOfZone => Ede::OUT_OF_ZONE,
            Self::PrerequisiteForm => Ede::PREREQUISITE_FORM,
            Self::Unmet(_) => return None,
            Self::UpdateForm => Ede::UPDATE_FORM,
            Self::NotOwner => Ede::NOT_OWNER,
            Self::Disabled => Ede::ACCOUNT_DISABLED,
            Self::NotTxt => Ede::ONLY_TXT,
            Self::NotAValue => Ede::NOT_A_VALUE,
            Self::TooManyRecords => Ede::TOO_MANY_RECORDS,
            Self::TooManyLabels => Ede::TOO_MANY_LABELS,
            Self::AccountBusy => Ede::ACCOUNT_BUSY,
            Self::ServerBusy => Ede::SERVER_BUSY,
            Self::StoreBusy => Ede::STORE_BUSY,
            Self::NotServed => Ede::NOT_SERVED,
            Self::Fault => Ede::FAULT,
        })
    }
}

impl From<UpdateRefusal> for ErrorReply {
    fn from(refusal: UpdateRefusal) -> Self {
        Self { rcode: refusal.rcode(), ede: refusal.ede() }
    }
}

/// Why an UPDATE was not carried out, or not in full.
#[derive(Debug)]
pub enum UpdateFailure {
    /// A rule of the write path, or the store.
    Publishing(Abort<ValueError>),
    /// Too many wait for the nameservers. Nothing was changed.
    TooManyWaits(TooManyWaits),
    /// The values are published, and not served by every nameserver.
    NotServed,
}

impl From<Abort<ValueError>> for UpdateFailure {
    fn from(abort: Abort<ValueError>) -> Self {
        Self::Publishing(abort)
    }
}

impl From<TooManyWaits> for UpdateFailure {
    fn from(error: TooManyWaits) -> Self {
        Self::TooManyWaits(error)
    }
}

impl UpdateRefusal {
    /// The refusal for a failure; `unmet` has the response code of each prerequisite.
    pub fn of_failure(failure: &UpdateFailure, unmet: &[ResponseCode]) -> Self {
        match failure {
            UpdateFailure::Publishing(Abort::Refused(rule)) => Self::of_rule(rule, unmet),
            UpdateFailure::Publishing(Abort::Store(error)) => Self::of_store(error),
            UpdateFailure::TooManyWaits(TooManyWaits::OfAccount) => Self::AccountBusy,
            UpdateFailure::TooManyWaits(TooManyWaits::OfAll) => Self::ServerBusy,
            UpdateFailure::NotServed => Self::NotServed,
        }
    }

    /// The refusal that a rule of the write path asks for; `unmet` has the response code of each prerequisite.
    fn of_rule(error: &ValueError, unmet: &[ResponseCode]) -> Self {
        match error {
            ValueError::Access(AccessError::NotOwner | AccessError::NoAccount) => Self::NotOwner,
            ValueError::Access(AccessError::Disabled) => Self::Disabled,
            ValueError::Access(AccessError::NoZone(_)) => Self::NoZone,
            ValueError::TooManyLabels(_) => Self::TooManyLabels,
            ValueError::Unmet(index) => Self::Unmet(unmet.get(*index).copied().unwrap_or(ResponseCode::NXRRSet)),
        }
    }

    /// The refusal after a panic, or at the end of the runtime.
    pub fn of_panic(error: &JoinError) -> Self {
        error!("an UPDATE failed: {error}");
        Self::Fault
    }

    /// The refusal after a failure of the store, which the log explains.
    fn of_store(error: &StoreError) -> Self {
        error!("an UPDATE failed: {error}");
        if error.reason().is_some() { Self::StoreBusy } else { Self::Fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2136 section 2.2, RFC 8914 section 5.2.
    #[test]
    fn each_refusal_has_its_code_and_no_two_share_an_explanation() {
        use UpdateRefusal::*;
        let table = [
            (Malformed, ResponseCode::FormErr, Some(0)),
            (NotSoa, ResponseCode::FormErr, Some(0)),
            (NoZone, ResponseCode::NotAuth, Some(20)),
            (OutOfZone, ResponseCode::NotZone, Some(0)),
            (PrerequisiteForm, ResponseCode::FormErr, Some(0)),
            (Unmet(ResponseCode::YXRRSet), ResponseCode::YXRRSet, None),
            (UpdateForm, ResponseCode::FormErr, Some(0)),
            (NotOwner, ResponseCode::Refused, Some(18)),
            (Disabled, ResponseCode::Refused, Some(18)),
            (NotTxt, ResponseCode::Refused, Some(0)),
            (NotAValue, ResponseCode::Refused, Some(0)),
            (TooManyRecords, ResponseCode::Refused, Some(0)),
            (TooManyLabels, ResponseCode::Refused, Some(0)),
            (AccountBusy, ResponseCode::ServFail, Some(0)),
            (ServerBusy, ResponseCode::ServFail, Some(0)),
            (StoreBusy, ResponseCode::ServFail, Some(0)),
            (NotServed, ResponseCode::ServFail, Some(0)),
            (Fault, ResponseCode::ServFail, Some(0)),
        ];
        let mut texts = Vec::new();
        for (refusal, rcode, code) in table {
            let ErrorReply { rcode: said, ede } = refusal.into();
            assert_eq!((said, ede.map(|ede| ede.code)), (rcode, code), "{refusal:?}");
            let Some(ede) = ede else { continue };
            // With names of 255 bytes and the largest MAC the reply still fits a datagram of 512 bytes or little more.
            assert!(ede.text.bytes() <= 56, "{refusal:?}: {}", ede.text);
            texts.push(ede.text.to_string());
        }
        texts.sort_unstable();
        let count = texts.len();
        texts.dedup();
        assert_eq!(texts.len(), count);
    }
}
