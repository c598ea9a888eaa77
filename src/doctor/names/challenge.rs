//! The record at the name at which a CA looks: at each nameserver, and where it leads.

mod absent;
mod delegated;
mod elsewhere;
mod faults;
mod here;
mod looked_at;
mod persistent;
mod subject;

use crate::delegation::challenge_chain::{ChainEnd, ChallengeChain};
use crate::delegation::finding::{Assessment, Finding};
use crate::delegation::walk::MAX_CHAIN;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::findings::{Findings, ScopedFinding};
use super::domains::{Domain, domains, for_each};
use looked_at::Proof;
use subject::Subject;

pub static CHECK: Check = Check {
    id: "challenge",
    group: Group::Names,
    title: "Records that lead here",
    looks_at: "Asks each nameserver of a name for the CNAME and TXT records at `_acme-challenge` (for certificates of this \
               server with another method: at the label of the ACME account below it, or at `_validation-persist`), follows the CNAMEs, and compares their end with the accounts of this \
               server.",
    after: &["name-zone", "name-dnssec"],
    faults: faults::ALL,
    run: |examination, findings| Box::pin(run(examination, findings)),
};

async fn run(examination: &Examination, findings: &mut Findings) {
    let domains = domains(&examination.names);
    if domains.is_empty() {
        return;
    }
    let template = Subject::of(examination).await;
    for_each(domains, findings, |domain| {
        let template = template.clone();
        async move {
            match template.of_domain(&domain).await {
                Some(subject) => check(&subject).await,
                None => vec![nobody_knows(&domain)],
            }
        }
    })
    .await;
}

fn nobody_knows(domain: &Domain) -> ScopedFinding {
    let answer = "at which name the CA will look depends on the account there, which is not known";
    ScopedFinding::good(Finding::new(Assessment::Good, &domain.base, "", answer))
}

async fn check(subject: &Subject) -> Vec<ScopedFinding> {
    if let Some(found) = here::in_own_zone(subject).await {
        return vec![found];
    }
    let own = subject.own.clone();
    match subject.resolver.challenge_chain(&subject.looked_at, move |name| own.ends_at(name)).await {
        Ok(chain) => judge(subject, &chain).await,
        // That the zone of the name is dead is the matter of another check.
        Err(error) => delegated::unanswered(subject, &error).await.into_iter().collect(),
    }
}

/// The findings about a chain; the first one is the cause of the others.
async fn judge(subject: &Subject, chain: &ChallengeChain) -> Vec<ScopedFinding> {
    let Some(first) = chain.links.first() else { return Vec::new() };
    // Whether anything is wrong is known without a search for the account of the domain.
    if let ChainEnd::Here(target) = &chain.end
        && chain.links.len() <= MAX_CHAIN
        && subject.disorder(first, true).is_empty()
    {
        let end = here::judge(subject, target).await;
        if end.code.is_none() {
            return vec![end];
        }
    }
    let subject = &subject.in_zone(first).await;
    if first.zone.apex == subject.looked_at && !matches!(chain.end, ChainEnd::Here(_)) {
        return vec![delegated::elsewhere(subject, first)];
    }
    if first.targets().is_empty() {
        return match &subject.proof {
            Proof::Persistent(requirement) => vec![persistent::judge(subject, requirement).await],
            _ => vec![absent::judge(subject, first).await],
        };
    }
    let mut found = subject.disorder(first, matches!(chain.end, ChainEnd::Here(_)));
    let end = match &chain.end {
        ChainEnd::Here(target) => here::judge(subject, target).await,
        _ => elsewhere::judge(subject, chain).await,
    };
    let is_sound = end.code.is_none();
    if chain.links.len() > MAX_CHAIN && is_sound {
        let answer = format!("{} CNAMEs in a row", chain.links.len());
        let fault = faults::LONG.found(&subject.looked_at, subject.question(), answer);
        found.push(subject.needed.advise(fault, ""));
    }
    // A wildcard is no harm where it leads to the right place.
    if !is_sound && let Some(wildcard) = absent::wildcard(subject, first).await {
        found.push(wildcard);
    }
    found.push(end);
    found
}
