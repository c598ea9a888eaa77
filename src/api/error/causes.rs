//! The failures that the errors of the layers below become.

use std::io::{self, ErrorKind};

use crate::api::credentials::Denied;
use crate::certificates::CertificateError;
use crate::crypto::hasher::HasherError;
use crate::file::state::FileError;
use crate::model::secret::{RandomError, SealError};
use crate::publisher::{
    Abort, AccessError, AccountError, AdminTokenError, AliasChangeError, ClientStorageError, EnrolmentError,
    OwnerError, PersistError, ValueError,
};
use crate::store::StoreError;

use super::Failure;

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Forbidden => {
                Self::Forbidden("wrong credentials, or this account may not be used from this address")
            }
            Denied::TooOften { retry_after } => Self::TooOften { retry_after },
            Denied::Busy { retry_after } => Self::Busy { retry_after },
            Denied::Fault(error) => error.into(),
        }
    }
}

impl From<CertificateError> for Failure {
    fn from(error: CertificateError) -> Self {
        let message = error.explained();
        match error {
            CertificateError::NotFound(_) => Self::NotFound(message),
            CertificateError::Configured(_) | CertificateError::Deleting(_) => Self::Conflict(message),
            CertificateError::Replaces { .. } => Self::Replaces(message),
            CertificateError::Invalid(_) | CertificateError::Password(_) => {
                Self::field("bad_certificate", "certificate", message)
            }
            CertificateError::File(FileError::Io { path, source }) if is_no_room(&source) => {
                StoreError::File { path, source }.into()
            }
            CertificateError::Value(Abort::Store(error))
            | CertificateError::Owner(Abort::Store(error))
            | CertificateError::Persist(Abort::Store(error)) => error.into(),
            _ => Self::Authority(message),
        }
    }
}

/// Whether a file could not be written for a reason that passes without a change of the configuration.
fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem)
}

impl<R: std::error::Error + Into<Failure>> From<Abort<R>> for Failure {
    fn from(abort: Abort<R>) -> Self {
        match abort {
            Abort::Store(error) => error.into(),
            Abort::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<ValueError> for Failure {
    fn from(error: ValueError) -> Self {
        match error {
            ValueError::Access(error) => error.into(),
            ValueError::TooManyLabels(_) | ValueError::Unmet(_) => Self::Conflict(error.to_string()),
        }
    }
}

impl From<PersistError> for Failure {
    fn from(error: PersistError) -> Self {
        match error {
            PersistError::Value(error) => error.into(),
            PersistError::Off => Self::NotFound(error.to_string()),
            PersistError::Nowhere(_) => Self::field("bad_subdomain", "subdomain", error),
            PersistError::Over => Self::field("bad_value", "value", error),
            PersistError::Hidden(_) | PersistError::TooMany => Self::Conflict(error.to_string()),
        }
    }
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NoAccount => AccessError::NoAccount.into(),
            AccountError::Wider => Self::Wider,
        }
    }
}

impl From<OwnerError> for Failure {
    fn from(error: OwnerError) -> Self {
        match error {
            OwnerError::Access(error) => error.into(),
            OwnerError::Alias(error) => error.into(),
            OwnerError::Enrolment(over) => Self::Over(over),
            OwnerError::LabelTaken(subdomain) => Self::Taken(subdomain),
            OwnerError::ChallengeZone(_) | OwnerError::NoOrdinaryZone => Self::field("bad_zone", "zone", error),
            OwnerError::LabelReserved(..) | OwnerError::NoLabelLeft => Self::field("bad_subdomain", "subdomain", error),
            OwnerError::TooMany | OwnerError::Last | OwnerError::ApexTaken(_) => Self::Conflict(error.to_string()),
        }
    }
}

impl From<AliasChangeError> for Failure {
    fn from(error: AliasChangeError) -> Self {
        match error {
            AliasChangeError::Access(error) => error.into(),
            AliasChangeError::OwnZone(_) | AliasChangeError::PassingOwner(_) => {
                Self::field("bad_alias", "alias", error)
            }
            AliasChangeError::TooMany => Self::Conflict(error.to_string()),
        }
    }
}

impl From<EnrolmentError> for Failure {
    fn from(error: EnrolmentError) -> Self {
        Self::Conflict(error.to_string())
    }
}

impl From<AdminTokenError> for Failure {
    fn from(error: AdminTokenError) -> Self {
        Self::Conflict(error.to_string())
    }
}

impl From<ClientStorageError> for Failure {
    fn from(error: ClientStorageError) -> Self {
        Self::Conflict(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error.reason() {
            Some(_) => Self::Unavailable(error),
            None => Self::Fault { code: "db_error", reason: error.to_string() },
        }
    }
}

impl From<HasherError> for Failure {
    fn from(error: HasherError) -> Self {
        match error {
            HasherError::Busy { retry_after } => Self::Busy { retry_after },
            HasherError::Hash(error) => Self::Fault { code: "internal_error", reason: error.to_string() },
        }
    }
}

impl From<RandomError> for Failure {
    fn from(error: RandomError) -> Self {
        Self::Fault { code: "internal_error", reason: error.to_string() }
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        Self::Fault { code: "internal_error", reason: format!("a stored account of a client: {error}") }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn a_full_disk_is_no_fault_of_a_certificate_authority() {
        let path = || std::path::Path::new("/var/lib/acme");
        let no_room = FileError::io(path(), ErrorKind::StorageFull.into());
        let denied = FileError::io(path(), ErrorKind::PermissionDenied.into());
        let kind = |error: FileError| Failure::from(CertificateError::File(error)).kind();
        assert_eq!(kind(no_room), (StatusCode::SERVICE_UNAVAILABLE, "db_error"));
        assert_eq!(kind(denied), (StatusCode::BAD_GATEWAY, "acme"));
    }
}
