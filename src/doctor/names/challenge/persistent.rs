//! Persistent authorizations in the domain's own zone.

use std::time::SystemTime;

use crate::delegation::finding::{Assessment, Finding};
use crate::delegation::lookups::Lookups;
use crate::delegation::persist::{PersistQuery, PersistRequirement};
use crate::model::time::Timestamp;

use super::super::super::findings::ScopedFinding;
use super::faults;
use super::subject::Subject;

/// The finding about a name without a CNAME: its TXT records may authorize the account.
pub async fn judge(subject: &Subject, requirement: &PersistRequirement) -> ScopedFinding {
    let good = |answer: String| {
        ScopedFinding::good(Finding::new(Assessment::Good, &subject.looked_at, subject.question(), answer))
    };
    if !requirement.knows_issuers() {
        return good("it has no CNAME; the CA names itself in its challenges only".to_owned());
    }
    let query = PersistQuery {
        base: &subject.base,
        looked_at: &subject.looked_at,
        is_wildcard: subject.is_wildcard,
        // After a key rollover the CA still accepts the hash of the former key.
        accepts_former_key: true,
    };
    let now = Timestamp::from_unix(SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()));
    match requirement.check(&Lookups::Iterative(subject.resolver.clone()), query, now).await {
        Ok(check) if check.value.is_some() => ScopedFinding::good(check.finding),
        Ok(check) => {
            let mut found = faults::PERSIST_MISSING.of(check.finding);
            if let Some(needed) = &mut found.finding.needed {
                needed.target = subject.needed.owner.as_ref().map(ToString::to_string);
            }
            found
        }
        Err(error) => good(error.to_string()),
    }
}
