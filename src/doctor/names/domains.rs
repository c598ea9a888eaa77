//! The domains of the names that are examined, side by side.

use tokio::task::JoinSet;

use crate::model::identifier::Identifier;
use crate::model::name::Name;

use super::super::findings::{Findings, ScopedFinding};

/// A domain, and the names of certificates that are proven by it.
#[derive(Debug, Clone)]
pub struct Domain {
    /// The domain.
    pub base: Name,
    /// The domain itself or its wildcard, or both.
    pub names: Vec<Identifier>,
}

impl Domain {
    /// Says that a finding concerns this domain alone.
    pub fn scope(&self, finding: ScopedFinding) -> ScopedFinding {
        match self.names.first() {
            Some(name) => finding.for_name(name),
            None => finding,
        }
    }
}

/// The domains of names, in the order in which they are named.
pub fn domains(names: &[Identifier]) -> Vec<Domain> {
    let mut domains: Vec<Domain> = Vec::new();
    for name in names {
        match domains.iter_mut().find(|domain| domain.base == *name.base()) {
            Some(domain) if domain.names.contains(name) => {}
            Some(domain) => domain.names.push(name.clone()),
            None => domains.push(Domain { base: name.base().clone(), names: vec![name.clone()] }),
        }
    }
    domains
}

/// Checks all domains at the same time. Their findings are reported in the order of the domains, each as soon as those
/// before it are there.
pub async fn for_each<F>(domains: Vec<Domain>, findings: &mut Findings, check: impl Fn(Domain) -> F)
where
    F: Future<Output = Vec<ScopedFinding>> + Send + 'static,
{
    let mut results: Vec<Option<Vec<ScopedFinding>>> = domains.iter().map(|_| None).collect();
    let mut checking = JoinSet::new();
    for (place, domain) in domains.into_iter().enumerate() {
        let scope = domain.clone();
        let checked = check(domain);
        checking.spawn(async move {
            let found = checked.await;
            (place, found.into_iter().map(|finding| scope.scope(finding)).collect())
        });
    }
    let mut reported = 0;
    while let Some(ended) = checking.join_next().await {
        let Ok((place, found)) = ended else { continue };
        results[place] = Some(found);
        while let Some(found) = results.get_mut(reported).and_then(Option::take) {
            found.into_iter().for_each(|finding| findings.add(finding));
            reported += 1;
        }
    }
    // Those behind a check that panicked.
    results.into_iter().flatten().flatten().for_each(|finding| findings.add(finding));
}
