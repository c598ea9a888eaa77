//! A certificate that is to be issued: its names, its settings, and where its state is stored.

use std::path::Path;

use crate::acme::retry_after::RetryAfterGate;
use crate::config;
use crate::delegation::challenge_target::ProvenTargets;
use crate::model::identifier::Identifier;

use super::progress::OrderProgress;

/// A certificate that is to be issued.
#[derive(Debug, Clone)]
pub struct IssueRequest<'a> {
    /// The names; at least one.
    pub names: &'a [Identifier],
    /// Method, key type, profile and preferred root.
    pub settings: &'a config::Acme,
    /// Whether a certificate for some of the names is better than none.
    pub allows_subset: bool,
    /// The names in the certificate that is used. An order for the same ones is of no use: only names that it lacks are
    /// the reason for another one.
    pub unless_for: Option<&'a [String]>,
    /// Whether there is a certificate that is used until the new one is issued.
    pub is_renewal: bool,
    /// The certificate that the new one replaces, as the CA knows it.
    pub replaces: Option<String>,
    /// Where the names led when the last certificate was issued. A name that cannot be looked up is assumed to lead there
    /// still.
    pub proven_before: ProvenTargets,
    /// Whether CAA records are checked before the order. The API's names lie in zones of this server.
    pub checks_caa: bool,
    /// The file that holds the order and its key until the certificate is stored. The next request for the same names
    /// resumes the order, so that a crash wastes no order and loses no certificate.
    pub pending: &'a Path,
    /// The file that lists the persistent authorizations that the certificate relies on.
    pub grants: &'a Path,
    /// Shows how far each name is.
    pub progress: &'a OrderProgress,
    /// Closed while the CA wants no request for this certificate.
    pub gate: &'a RetryAfterGate,
}
