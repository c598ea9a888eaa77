//! Managed certificates for the operator.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::acme::certificate::CertificateInfo;
use crate::config::certificate::CertificateName;

use super::super::error::CertificateError;
use super::super::missing_record::MissingRecord;
use super::super::progress::NameProgress;
use super::super::renewal::RenewalBasis;
use super::super::renewal_task::Attempts;
use super::hook::HookOutcome;
use super::lacking::LackingName;

/// The condition of a certificate.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ManagedCertificateReport {
    /// The certificate in the files.
    pub shown: Option<CertificateInfo>,
    /// Whether that certificate is revoked. A revoked certificate is not renewed.
    pub revoked: bool,
    /// When the certificate is renewed.
    pub renew_at: Option<String>,
    /// What has set that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_basis: Option<RenewalBasis>,
    /// What the daemon is doing; `None` if nothing.
    pub stage: Option<String>,
    /// Steps of the renewal task that have ended since the daemon started.
    pub ended: u64,
    /// How the last attempts went.
    #[serde(flatten)]
    pub attempts: Attempts,
    /// Names that the certificate lacks because they could not be proven.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<LackingName>,
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
    /// What a request has changed in a certificate that was there before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// The condition.
    #[serde(flatten)]
    pub report: ManagedCertificateReport,
    /// The progress of each name in the order under way, or in the last one; left out of lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<NameProgress>,
}

impl ManagedCertificateView {
    /// What is wrong with the certificate, what to do, and when the next attempt begins.
    pub fn problem(&self) -> Option<String> {
        let attempts = &self.report.attempts;
        match &attempts.problem {
            Some(_) => attempts.explained(),
            None if self.report.lacking.is_empty() => None,
            None => Some(attempts.with_next(&without(&self.report.lacking))),
        }
    }

    /// The condition in a word or a few.
    pub fn condition(&self) -> Condition<'_> {
        let ManagedCertificateReport { stage, attempts, revoked, shown, lacking, .. } = &self.report;
        match stage {
            Some(stage) => Condition::Working(stage),
            None if attempts.problem.is_some() => Condition::Failed(attempts.failures),
            None if *revoked => Condition::Revoked,
            None if shown.is_none() => Condition::Waiting,
            None if !lacking.is_empty() => Condition::Without(lacking.len()),
            None => Condition::Well,
        }
    }

    /// A certificate whose request cannot be read.
    pub fn unreadable(name: &CertificateName, problem: &CertificateError) -> Self {
        let attempts = Attempts { problem: Some(problem.explained()), ..Attempts::default() };
        let report = ManagedCertificateReport { attempts, ..ManagedCertificateReport::default() };
        Self { name: name.to_string(), report, ..Self::default() }
    }
}

/// The condition of a certificate in short. Displays as a word or a few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'a> {
    /// The daemon is at this stage of an order.
    Working(&'a str),
    /// So many attempts have failed.
    Failed(u32),
    Revoked,
    /// There is no certificate yet.
    Waiting,
    /// The certificate lacks so many names.
    Without(usize),
    Well,
}

impl fmt::Display for Condition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Working(stage) => f.write_str(stage),
            Self::Failed(0) => f.write_str("failed"),
            Self::Failed(1) => f.write_str("failed once"),
            Self::Failed(count) => write!(f, "failed {count} times"),
            Self::Revoked => f.write_str("revoked"),
            Self::Waiting => f.write_str("waiting"),
            Self::Without(1) => f.write_str("without 1 name"),
            Self::Without(count) => write!(f, "without {count} names"),
            Self::Well => f.write_str("well"),
        }
    }
}

/// The names that a certificate lacks, and why.
fn without(lacking: &[LackingName]) -> String {
    let lacking: Vec<String> = lacking.iter().map(|one| format!("{}: {}", one.name, one.problem)).collect();
    format!("without {}", lacking.join("; "))
}

/// What has become of the persistent authorizations of a deleted certificate. Each is a record as zone files write it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DeletionReport {
    /// Those that are not served any more.
    pub withdrawn: Vec<String>,
    /// Those in the zones of others, which still grant what they say.
    pub standing: Vec<String>,
}
