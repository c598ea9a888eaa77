//! The names that a certificate lacks because they could not be proven (`allow-subset`), and when to look at them again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::acme::certificate::CertificateInfo;
use crate::config::ManagedCertificate;
use crate::model::identifier::Identifier;

use super::super::left_out::LeftOutName;
use super::super::renewal::MAX_SLEEP;

/// The wait before the first look at the records of names that are left out. Each following wait is twice as long.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// How long names are left out that the CA has refused although their records look right. A CA counts failures.
const REFUSED_WAIT: Duration = Duration::from_secs(6 * 3_600);

/// A name that a certificate lacks, for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LackingName {
    /// The name.
    pub name: String,
    /// Why it could not be proven.
    pub problem: String,
}

/// What is known of the names that a certificate lacks.
#[derive(Debug, Default)]
pub struct LackingNames {
    problems: BTreeMap<Identifier, String>,
    refused_until: BTreeMap<Identifier, Instant>,
    looks: u32,
}

/// The names that are asked for and that a certificate does not have.
pub fn lacking(wanted: &ManagedCertificate, info: &CertificateInfo) -> Vec<Identifier> {
    wanted.names.iter().filter(|name| !info.names.contains(&name.to_string())).cloned().collect()
}

impl LackingNames {
    /// Notes why names were left out of an order.
    pub fn note(&mut self, left_out: &[LeftOutName]) {
        for LeftOutName { name, problem, is_refused, .. } in left_out {
            self.problems.insert(name.clone(), problem.clone());
            if *is_refused {
                self.refused_until.insert(name.clone(), Instant::now() + REFUSED_WAIT);
            }
        }
    }

    /// Forgets everything: another certificate was issued.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Those names whose records are worth a look now.
    pub fn to_look_at(&mut self, names: Vec<Identifier>) -> Vec<Identifier> {
        let now = Instant::now();
        self.refused_until.retain(|_, until| *until > now);
        self.looks = self.looks.saturating_add(1);
        names.into_iter().filter(|name| !self.refused_until.contains_key(name)).collect()
    }

    /// How long to wait before the next look.
    pub fn wait(&self) -> Duration {
        let doublings = self.looks.saturating_sub(1).min(10);
        (FIRST_LOOK * 2_u32.pow(doublings)).min(MAX_SLEEP)
    }

    /// The names for the operator.
    pub fn view(&self, names: &[Identifier]) -> Vec<LackingName> {
        let problem = |name| self.problems.get(name).cloned().unwrap_or_else(|| "it has not been looked up yet".into());
        names.iter().map(|name| LackingName { name: name.to_string(), problem: problem(name) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(name: &str, is_refused: bool) -> LeftOutName {
        LeftOutName { name: name.parse().unwrap(), problem: format!("{name} fails"), missing: None, is_refused }
    }

    #[test]
    fn a_name_that_the_ca_refuses_is_not_tried_at_every_look() {
        let names: Vec<Identifier> = ["a.test", "b.test"].map(|name| name.parse().unwrap()).into();
        let mut lacking = LackingNames::default();
        assert_eq!(lacking.view(&names)[0].problem, "it has not been looked up yet");
        lacking.note(&[left_out("a.test", false), left_out("b.test", true)]);
        assert_eq!(lacking.to_look_at(names.clone()), names[..1]);
        assert_eq!(lacking.view(&names)[1].problem, "b.test fails");
        lacking.reset();
        assert_eq!(lacking.to_look_at(names.clone()), names);
    }

    #[test]
    fn looks_become_rarer_and_never_end() {
        let mut lacking = LackingNames::default();
        let mut waits = Vec::new();
        for _ in 0..20 {
            lacking.to_look_at(Vec::new());
            waits.push(lacking.wait().as_secs());
        }
        assert_eq!((waits[..4].to_vec(), waits[19]), (vec![5, 10, 20, 40], 600));
    }
}
