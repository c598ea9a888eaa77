//! Chains of CNAMEs that do not end here.

use crate::delegation::challenge_chain::{ChainEnd, ChallengeChain};
use crate::delegation::doubled::meant_by;
use crate::model::name::Name;
use crate::model::text::listed;

use super::super::super::fault::Fault;
use super::super::super::findings::ScopedFinding;
use super::super::records::add_zone;
use super::faults;
use super::subject::Subject;

/// The finding about a chain that ends elsewhere, or nowhere.
pub async fn judge(subject: &Subject, chain: &ChallengeChain) -> ScopedFinding {
    let name = &subject.looked_at;
    let names: Vec<&Name> = chain.links.iter().skip(1).map(|link| &link.name).collect();
    let found = |fault: &Fault, answer: String| fault.found(name, subject.question(), answer);
    let end = match &chain.end {
        ChainEnd::Loop(at) => {
            let fault = found(&faults::LOOP, format!("its CNAMEs lead by {} back to {at}", listed(&names)));
            return subject.needed.advise(fault, "");
        }
        ChainEnd::Endless => {
            let fault = found(&faults::ENDLESS, format!("more than {} CNAMEs in a row", names.len()));
            return subject.needed.advise(fault, "");
        }
        ChainEnd::Unanswered(target, _) => target.clone(),
        ChainEnd::Here(_) | ChainEnd::Elsewhere => names.last().copied().cloned().unwrap_or_else(|| name.clone()),
    };
    if let ChainEnd::Unanswered(_, error) = &chain.end
        && let Some(zone) = subject.own.unconfigured_zone(error)
    {
        let answer = format!("it leads to {end}, and NS records lead from there to this server: {error}");
        let fault = found(&faults::TARGET_UNCONFIGURED, answer);
        return subject.needed.advise_or(&add_zone(&zone.apex), fault);
    }
    if let Some(mistake) = mistaken(subject, chain, &end).await {
        return mistake;
    }
    let answer = format!("it leads to {end}");
    let fault = match &chain.end {
        ChainEnd::Unanswered(_, error) => found(&faults::TARGET_DEAD, format!("{answer}: {error}")),
        _ if !chain.links.last().and_then(|link| link.first_seen()).is_some_and(|seen| seen.exists) => {
            found(&faults::TARGET_MISSING, format!("{answer}, which does not exist"))
        }
        _ => found(&faults::TARGET_ELSEWHERE, answer),
    };
    subject.needed.advise(fault, "")
}

/// The finding about a target that differs from a name of this server in a way that people are used to.
async fn mistaken(subject: &Subject, chain: &ChallengeChain, end: &Name) -> Option<ScopedFinding> {
    let answer = format!("it leads to {end}");
    let is_own = |name: &Name| subject.own.zone_at(name).is_some();
    if let Some(meant) = chain.links.iter().find_map(|link| meant_by(end, &link.name, is_own)) {
        let fault = faults::TARGET_DOUBLED.found(&subject.looked_at, subject.question(), &answer);
        let first = format!("write the target with a closing dot, as `{meant}.`");
        let needed = match subject.own.owner_at(&meant) {
            Some(owner) => subject.needed.to(owner),
            None => subject.needed.clone(),
        };
        return Some(needed.advise(fault, &first));
    }
    let owner = subject.own.owner_labelled(end.as_ref().labels().next()?)?;
    let answer = format!("{answer}, and the account with this label is at {owner}");
    let fault = faults::TARGET_ZONE.found(&subject.looked_at, subject.question(), answer);
    Some(subject.needed.to(owner).advise(fault, ""))
}
