//! What only a running daemon has.

use crate::certificates::Certificates;

use super::super::error::Failure;

/// The daemon's certificates. The command line alone has none.
pub fn running(certificates: &Option<Certificates>) -> Result<&Certificates, Failure> {
    let missing = "no daemon runs here that could ask the CA; start it with `txtgate serve`";
    certificates.as_ref().ok_or_else(|| Failure::NotFound(missing.into()))
}
