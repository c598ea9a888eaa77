//! Verdicts on all that an owner has and lately had.

use crate::model::name::Owner;
use crate::model::time::PreciseTimestamp;

use super::evidence::OwnerEvidence;
use super::log::QueryLog;
use super::verdict::{LeadsTo, Verdict, VerdictContext, of_empty_owner, of_value};

/// A value, and the verdict on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueVerdict {
    /// The value: of a challenge, or a persistent authorization.
    pub value: String,
    /// When it was published.
    pub published: PreciseTimestamp,
    /// When it was retired or expired; `None` while it is served.
    pub retired: Option<PreciseTimestamp>,
    /// What the queries for it mean.
    pub verdict: Verdict,
}

/// The verdicts on an owner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnerVerdicts {
    /// The verdicts on its values, from the newest to the oldest.
    pub values: Vec<ValueVerdict>,
    /// The verdict on the owner itself, where nothing is published.
    pub empty: Option<Verdict>,
}

impl OwnerVerdicts {
    /// The verdict on a value.
    pub fn of(&self, value: &str) -> Option<&Verdict> {
        self.values.iter().find(|known| known.value == value).map(|known| &known.verdict)
    }
}

impl QueryLog {
    /// What the queries for an owner mean; no verdicts where the log is off. `leads_to`: where the challenge's name leads,
    /// if that is not this owner.
    pub fn verdicts(&self, owner: &Owner, leads_to: Option<&LeadsTo>) -> OwnerVerdicts {
        if !self.is_enabled() {
            return OwnerVerdicts::default();
        }
        let evidence = self.owner(owner);
        let lifetimes = self.lifetimes(owner);
        let context = VerdictContext { now: PreciseTimestamp::now(), vantages: self.vantages(), lifetimes, leads_to };
        judged(&evidence, context)
    }
}

fn judged(evidence: &OwnerEvidence, context: VerdictContext<'_>) -> OwnerVerdicts {
    let judged = evidence.values.iter().map(|value| ValueVerdict {
        value: value.value.clone(),
        published: value.published,
        retired: value.retired,
        verdict: of_value(evidence, value, context),
    });
    let values: Vec<ValueVerdict> = judged.collect();
    let is_empty = values.iter().all(|value| value.retired.is_some());
    let empty = is_empty.then(|| of_empty_owner(evidence, context.now)).flatten();
    OwnerVerdicts { values, empty }
}
