//! Managed certificates for the operator.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::acme::certificate::CertificateInfo;
use crate::config::certificate::CertificateName;

use super::super::error::CertificateError;
use super::super::keeper::Attempts;
use super::super::missing_record::MissingRecord;
use super::super::progress::NameProgress;
use super::hook::HookOutcome;

/// The condition of a certificate.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ManagedCertificateReport {
    /// The certificate in the files.
    pub shown: Option<CertificateInfo>,
    /// Whether that certificate is revoked. A revoked certificate is not renewed.
    pub revoked: bool,
    /// When the certificate is renewed.
    pub renew_at: Option<String>,
    /// What the daemon is doing; `None` if nothing.
    pub stage: Option<String>,
    /// Turns of the keeper that have ended since the daemon started.
    pub ended: u64,
    /// How the last attempts went.
    #[serde(flatten)]
    pub attempts: Attempts,
    /// Records that somebody has to add to their zones.
    pub missing: Vec<MissingRecord>,
    /// The CAA record that lets this account alone get certificates.
    pub caa: Option<String>,
    /// The outcome of the last run of the deploy hook.
    pub hook: Option<HookOutcome>,
}

/// A certificate: what was asked for, and its condition.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ManagedCertificateView {
    /// What the certificate is called.
    pub name: String,
    /// The names in it.
    pub names: Vec<String>,
    /// Whether the configuration has it; otherwise a command has asked for it.
    pub configured: bool,
    /// The folder of its files.
    pub live: PathBuf,
    /// Whether somebody has asked for another certificate, which has not been issued yet.
    pub asked: bool,
    /// The condition.
    #[serde(flatten)]
    pub report: ManagedCertificateReport,
    /// The progress of each name in the order under way, or in the last one; left out of lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<NameProgress>,
}

impl ManagedCertificateView {
    /// A certificate whose request cannot be read.
    pub fn unreadable(name: &CertificateName, problem: &CertificateError) -> Self {
        let attempts = Attempts { problem: Some(problem.explained()), ..Attempts::default() };
        let report = ManagedCertificateReport { attempts, ..ManagedCertificateReport::default() };
        Self { name: name.to_string(), report, ..Self::default() }
    }
}

/// What has become of the persistent authorizations of a deleted certificate. Each is a record as zone files write it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DeletionReport {
    /// Those that are not served any more.
    pub withdrawn: Vec<String>,
    /// Those in the zones of others, which still grant what they say.
    pub standing: Vec<String>,
}
