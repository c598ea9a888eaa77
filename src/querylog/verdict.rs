//! What the queries for a value mean: a code for programs, and plain words for people.
//!
//! [`of_value`] is pure. It sorts the networks by what each of them got (`contact`) and puts the result into words
//! (`words`).

mod code;
mod contact;
mod context;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::network::QueryNetwork;
use crate::model::time::PreciseTimestamp;

use super::evidence::{ChangeGap, LoggedQuery, OwnerEvidence, Phase, ValueEvidence};
use super::vantages::{MIN_NETWORKS, Validation};

use contact::{Contact, NetworkContact};

pub use code::{Verdict, VerdictCode};
pub use context::{AnswerLifetimes, LeadsTo, VerdictContext};

/// How long after another network has got the value more vantage points of a CA may still ask.
const SETTLED: Duration = Duration::from_secs(5);
/// How long after publication it is no surprise that nobody has asked.
const EXPECTED: Duration = Duration::from_secs(10);

/// The verdict on a value of an owner.
pub fn of_value(evidence: &OwnerEvidence, value: &ValueEvidence, context: VerdictContext<'_>) -> Verdict {
    let contacts = contact::of_networks(evidence, value, context);
    let verdict = Case { evidence, value, context, contacts }.verdict();
    match evidence.gap.filter(|gap| value.is_uncertain(*gap)) {
        Some(gap) => despite(gap, verdict, context.now),
        None => verdict,
    }
}

/// The verdict on a value that may have come or gone while changes were missed: what its dates prove is not known.
fn despite(gap: ChangeGap, verdict: Verdict, now: PreciseTimestamp) -> Verdict {
    let depends_on_dates = [
        VerdictCode::AskedTooEarly,
        VerdictCode::AskedTooLate,
        VerdictCode::AnsweredWithoutValue,
        VerdictCode::StaleCache,
    ];
    if depends_on_dates.contains(&verdict.code) {
        let text = format!("unknown: {}", words::not_known(gap.until, now));
        return Verdict { code: VerdictCode::NotRecorded, text, ..verdict };
    }
    Verdict { text: format!("{}; {}", verdict.text, words::not_known(gap.until, now)), ..verdict }
}

/// The verdict on an owner at which nothing is published: whether a CA asks all the same. `None` if nobody has asked for
/// TXT since the last value was retired.
pub fn of_empty_owner(evidence: &OwnerEvidence, now: PreciseTimestamp) -> Option<Verdict> {
    let is_since =
        |query: &LoggedQuery| evidence.values.iter().all(|value| value.phase_of(query) == Phase::AfterRetirement);
    let asked = evidence.queries.iter().filter(|query| contact::is_for_values(query));
    let asked: Vec<_> = asked.filter(|query| is_since(query)).collect();
    let last = asked.last()?;
    let networks: BTreeSet<QueryNetwork> = asked.iter().map(|query| query.network).collect();
    let text = words::nothing_published(&networks, last.until, now);
    let missing = networks.into_iter().collect();
    Some(Verdict { code: VerdictCode::NothingPublished, text, networks: 0, missing })
}

/// A value, its networks, and what they are judged by.
struct Case<'a> {
    evidence: &'a OwnerEvidence,
    value: &'a ValueEvidence,
    context: VerdictContext<'a>,
    contacts: Vec<NetworkContact>,
}

impl Case<'_> {
    fn verdict(&self) -> Verdict {
        if let Some(verdict) = self.of_unserved() {
            return verdict;
        }
        if self.count_served() > 0 { self.of_served() } else { self.of_unasked() }
    }

    /// The networks that got the value.
    fn served(&self) -> BTreeSet<QueryNetwork> {
        self.value.networks.iter().map(|network| network.network).collect()
    }

    fn count_served(&self) -> usize {
        self.value.networks.len()
    }

    /// The networks that have asked in vain while the value was there: whatever went wrong, the server saw it happen.
    fn of_unserved(&self) -> Option<Verdict> {
        let withheld = |code| move |contact: &&NetworkContact| contact.contact.code() == Some(code);
        let codes = [
            VerdictCode::RateLimited,
            VerdictCode::TruncatedNoTcp,
            VerdictCode::ServerFailure,
            VerdictCode::AnsweredWithoutValue,
        ];
        let (code, unserved) = codes.into_iter().find_map(|code| {
            let of_code: Vec<_> = self.contacts.iter().filter(withheld(code)).collect();
            (!of_code.is_empty()).then_some((code, of_code))
        })?;
        Some(self.about(code, &unserved, words::unserved(code, &unserved)))
    }

    /// Every network that has asked got the value: have all asked that do?
    fn of_served(&self) -> Verdict {
        let served = self.served();
        let comparable = self.context.vantages.comparable(&served);
        let Some(earlier) = comparable.filter(|earlier| earlier.networks.len() > served.len()) else {
            return self.of_all_served(&served);
        };
        let missing: Vec<QueryNetwork> = earlier.networks.difference(&served).copied().collect();
        let stale = self.stale(&missing);
        if !stale.is_empty() {
            return self.about(VerdictCode::StaleCache, &stale, words::stale(&stale, self.context.now));
        }
        let newest = self.value.networks.iter().map(|network| network.first).max().unwrap_or(self.value.published);
        if self.value.retired.is_none() && self.context.now.since(newest) < SETTLED {
            let text = words::in_progress(served.len(), &earlier, self.context.now);
            return self.verdict_of(VerdictCode::InProgress, text, missing);
        }
        self.of_missing(&earlier, missing)
    }

    fn of_all_served(&self, served: &BTreeSet<QueryNetwork>) -> Verdict {
        let slowest = self.value.networks.iter().map(|network| network.first.since(self.value.published)).max();
        let text = words::served(served, slowest.unwrap_or_default());
        let is_validation = served.len() >= MIN_NETWORKS;
        let code = if is_validation { VerdictCode::ServedEverywhere } else { VerdictCode::Served };
        self.verdict_of(code, text, Vec::new())
    }

    fn of_missing(&self, earlier: &Validation, missing: Vec<QueryNetwork>) -> Verdict {
        let text = words::missing(self.count_served(), earlier, &missing, self.context.now);
        self.verdict_of(VerdictCode::VantageMissing, text, missing)
    }

    /// The networks among `missing` that may keep an answer from before the publication.
    fn stale(&self, missing: &[QueryNetwork]) -> Vec<&NetworkContact> {
        let is_stale = |contact: &&NetworkContact| {
            let Contact::Early(early) = &contact.contact else { return false };
            missing.contains(&contact.network) && early.kept_until > self.value.published
        };
        self.contacts.iter().filter(is_stale).collect()
    }

    /// No network has got the value, and none was refused it.
    fn of_unasked(&self) -> Verdict {
        if let Some(leads_to) = self.context.leads_to {
            let text = words::other_account(leads_to, &self.evidence.owner);
            return self.verdict_of(VerdictCode::OtherAccount, text, Vec::new());
        }
        if let Some(verdict) = self.of_early() {
            return verdict;
        }
        for code in [VerdictCode::AskedTooLate, VerdictCode::AskedTooDeep, VerdictCode::OtherTypesOnly] {
            let found: Vec<_> = self.contacts.iter().filter(|found| found.contact.code() == Some(code)).collect();
            if !found.is_empty() {
                let text = words::missed(code, &found, &self.evidence.owner, self.context.now);
                return self.about(code, &found, text);
            }
        }
        if self.evidence.complete_since > self.value.published {
            let text = words::not_recorded(self.evidence.complete_since, self.context.now);
            return self.verdict_of(VerdictCode::NotRecorded, text, Vec::new());
        }
        let is_new = self.value.retired.is_none() && self.context.now.since(self.value.published) < EXPECTED;
        self.verdict_of(VerdictCode::NobodyAsked, words::nobody_asked(is_new), Vec::new())
    }

    /// Networks that have asked before the value was published, and not since.
    fn of_early(&self) -> Option<Verdict> {
        let early = self.contacts.iter().filter_map(|contact| match &contact.contact {
            Contact::Early(early) => Some((contact, early)),
            _ => None,
        });
        let early: Vec<_> = early.collect();
        let of_kind = |had_values: bool| -> Vec<&NetworkContact> {
            early.iter().filter(|(_, early)| early.had_values == had_values).map(|(contact, _)| *contact).collect()
        };
        let empty = of_kind(false);
        if !empty.is_empty() {
            let text = words::too_early(&empty, self.value, self.context);
            return Some(self.about(VerdictCode::AskedTooEarly, &empty, text));
        }
        let older = of_kind(true);
        let kept = self.stale(&older.iter().map(|contact| contact.network).collect::<Vec<_>>());
        (!kept.is_empty()).then(|| self.about(VerdictCode::StaleCache, &kept, words::stale(&kept, self.context.now)))
    }

    /// A verdict that concerns some networks, and says how many others got the value.
    fn about(&self, code: VerdictCode, contacts: &[&NetworkContact], problem: String) -> Verdict {
        let text = words::beside(self.count_served(), problem);
        self.verdict_of(code, text, contacts.iter().map(|contact| contact.network).collect())
    }

    fn verdict_of(&self, code: VerdictCode, text: String, missing: Vec<QueryNetwork>) -> Verdict {
        Verdict { code, text, networks: self.count_served(), missing }
    }
}
