//! The names of an order: those that can be proven, and those that a certificate may do without.

use crate::delegation::challenge_target::ChallengeTarget;
use crate::model::identifier::Identifier;

use super::error::{CertificateError, Result};
use super::left_out::LeftOutName;

/// The names of an order.
#[derive(Debug)]
pub struct ProvableNames {
    /// Those that can be proven, and where.
    pub targets: Vec<ChallengeTarget>,
    /// Those that are left out.
    pub left_out: Vec<LeftOutName>,
    /// Whether a certificate for some of the names is better than none.
    allows_subset: bool,
}

impl ProvableNames {
    /// Names that can be proven, as far as is known.
    pub fn new(targets: Vec<ChallengeTarget>, allows_subset: bool) -> Self {
        Self { targets, left_out: Vec::new(), allows_subset }
    }

    /// Goes on without names. Fails with `error` if the certificate needs all its names, or would have none.
    pub fn leave_out(&mut self, names: Vec<LeftOutName>, error: CertificateError) -> Result<()> {
        let is_left_out = |target: &ChallengeTarget| names.iter().any(|left_out| left_out.name == target.name);
        if names.is_empty() || !self.allows_subset || self.targets.iter().all(is_left_out) {
            return Err(error);
        }
        self.targets.retain(|target| !is_left_out(target));
        self.left_out.extend(names);
        Ok(())
    }

    /// The names that can be proven.
    pub fn identifiers(&self) -> Vec<Identifier> {
        self.targets.iter().map(|target| target.name.clone()).collect()
    }
}
