//! `/certificates`
//!
//! `POST /certificates` takes what a `[[certificate]]` of the configuration holds.

use serde::{Deserialize, Serialize};

use crate::acme::revocation::RevocationReason;

pub use crate::certificates::managed::lacking::LackingName;
pub use crate::certificates::managed::report::{DeletionReport, ManagedCertificateView};
pub use crate::config::file::Certificate as RequestCertificate;

/// `POST /certificates/{name}/revoke`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RevokeCertificate {
    /// The reason; `unspecified` if absent.
    pub reason: Option<RevocationReason>,
}
