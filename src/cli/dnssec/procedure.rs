//! Decides which step comes next and when it is safe. Pure: no file, no network, no clock.

use crate::config::keyfile::KeyFile;
use crate::config::{Dnssec, ZoneSettings};
use crate::model::time::Timestamp;
use crate::zone::signing::phase::Phase;

use std::time::Duration;

/// The procedure of a command, which takes one step each time it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Procedure {
    Init,
    Rollover,
    Remove,
}

impl Procedure {
    /// The command's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Rollover => "rollover",
            Self::Remove => "remove",
        }
    }

    /// The procedure of a zone in this phase; `None` if the zone can stay as it is.
    pub fn of(phase: Phase) -> Option<Self> {
        match phase {
            Phase::Fresh => Some(Self::Init),
            Phase::Offered | Phase::Unsigned => None,
            Phase::Doubled | Phase::Switching | Phase::Switched => Some(Self::Rollover),
            Phase::Withdrawing | Phase::Withdrawn => Some(Self::Remove),
        }
    }

    /// The step after `phase`, or why there is none.
    pub fn next(self, phase: Phase) -> Result<Phase, String> {
        match (self, phase) {
            (Self::Init, Phase::Fresh) | (Self::Rollover, Phase::Switched) => Ok(Phase::Offered),
            (Self::Rollover, Phase::Offered) => Ok(Phase::Doubled),
            (Self::Rollover, Phase::Doubled) => Ok(Phase::Switching),
            (Self::Rollover, Phase::Switching) => Ok(Phase::Switched),
            (Self::Remove, Phase::Fresh | Phase::Offered) => Ok(Phase::Withdrawing),
            (Self::Remove, Phase::Withdrawing) => Ok(Phase::Withdrawn),
            (Self::Remove, Phase::Withdrawn) => Ok(Phase::Unsigned),
            (Self::Init, Phase::Offered) => Err("the zone is signed; `dnssec ds` prints what the parent needs".into()),
            (_, Phase::Unsigned) => Err(
                "the zone is not signed any more; take `dnssec-key` out of the configuration, reload, and delete the \
                     key file"
                    .into(),
            ),
            (_, other) => {
                let procedure = Self::of(other).map_or("status", Self::as_str);
                Err(format!("`dnssec {procedure}` is under way and must come to its end first: {}", other.meaning()))
            }
        }
    }
}

/// The condition of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// None.
    Nothing,
    /// The daemon serves the present step.
    Served,
    /// Caches have forgotten what was served before.
    Until { at: Timestamp, why: String },
    /// The parent has the DS of the last key alone.
    ParentHasLast,
    /// The parent has no DS.
    ParentHasNone,
}

/// The condition for a zone to go from its phase to `next`.
pub fn precondition(file: &KeyFile, next: Phase, settings: &ZoneSettings, dnssec: &Dnssec) -> Precondition {
    let longest = settings.longest_ttl();
    match (file.phase, next) {
        (Phase::Offered, _) | (Phase::Fresh, Phase::Withdrawing) => Precondition::Nothing,
        (Phase::Switching, _) => Precondition::ParentHasLast,
        (Phase::Withdrawing, _) => Precondition::ParentHasNone,
        (Phase::Fresh, _) => after(file.seen, longest, "unsigned answers"),
        (Phase::Doubled, _) => after(file.seen, dnssec.dnskey_ttl, "the key set without the next key"),
        (Phase::Switched, _) => {
            let ds = after(file.seen, file.ds_ttl.unwrap_or(0), "the parent's former DS");
            let data = after(file.doubled, longest, "answers that only the former key has signed");
            later(ds, data)
        }
        (Phase::Withdrawn, _) => after(file.seen, file.ds_ttl.unwrap_or(0), "the parent's former DS"),
        (Phase::Unsigned, _) => Precondition::Nothing,
    }
}

fn after(seen: Option<Timestamp>, ttl: u32, what: &str) -> Precondition {
    let Some(seen) = seen else { return Precondition::Served };
    // One more second, because TTLs and our times are whole seconds.
    let at = seen.plus(Duration::from_secs(u64::from(ttl) + 1));
    Precondition::Until { at, why: format!("caches may still hold {what} (TTL {ttl} s)") }
}

fn later(one: Precondition, other: Precondition) -> Precondition {
    match (&one, &other) {
        (Precondition::Until { at: first, .. }, Precondition::Until { at: second, .. }) if second > first => other,
        (Precondition::Until { .. }, Precondition::Until { .. }) | (Precondition::Served, _) => one,
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    const CONFIG: &str = "[[zone]]\nname = \"auth.example.org\"\nns = [\"ns1.example.org\"]\n\
        contact = \"a@example.org\"\ndnssec-key = \"k\"\ndnskey-ttl = 60\nrecords = \"www 7200 A 192.0.2.1\"\n";

    fn wait(phase: Phase, next: Phase, seen: Option<u64>, doubled: Option<u64>) -> Precondition {
        let config = Config::parse(Path::new("c.toml"), CONFIG).unwrap();
        let settings = &config.zones[0];
        let time = |at: Option<u64>| at.map(Timestamp::from_unix);
        let (path, zone) = ("k".into(), settings.name.clone());
        let (seen, doubled, ds_ttl) = (time(seen), time(doubled), Some(300));
        let file = KeyFile { path, zone, phase, seen, doubled, ds_ttl, keys: Vec::new() };
        precondition(&file, next, settings, settings.dnssec.as_ref().unwrap())
    }

    #[test]
    fn every_way_comes_to_its_end() {
        for (procedure, start, steps, end) in [
            (Procedure::Init, Phase::Fresh, 1, Phase::Offered),
            (Procedure::Rollover, Phase::Offered, 4, Phase::Offered),
            (Procedure::Remove, Phase::Offered, 3, Phase::Unsigned),
            (Procedure::Remove, Phase::Fresh, 3, Phase::Unsigned),
        ] {
            let reached = (0..steps).fold(start, |phase, _| procedure.next(phase).unwrap());
            assert_eq!(reached, end, "{procedure:?}");
        }
        assert!(Procedure::Rollover.next(Phase::Fresh).is_err() && Procedure::Remove.next(Phase::Doubled).is_err());
        assert!(Procedure::Init.next(Phase::Unsigned).is_err());
    }

    #[test]
    fn a_step_is_safe_when_caches_have_forgotten_the_one_before() {
        let at = |precondition| match precondition {
            Precondition::Until { at, .. } => Some(at.as_unix()),
            _ => None,
        };
        assert_eq!(wait(Phase::Fresh, Phase::Offered, None, None), Precondition::Served);
        assert_eq!(at(wait(Phase::Fresh, Phase::Offered, Some(1_000), None)), Some(8_201));
        assert_eq!(at(wait(Phase::Doubled, Phase::Switching, Some(1_000), None)), Some(1_061));
        assert_eq!(wait(Phase::Switching, Phase::Switched, Some(1), Some(1)), Precondition::ParentHasLast);
        assert_eq!(at(wait(Phase::Switched, Phase::Offered, Some(9_000), Some(1_000))), Some(9_301));
        assert_eq!(at(wait(Phase::Switched, Phase::Offered, Some(1_100), Some(1_000))), Some(8_201));
        assert_eq!(wait(Phase::Switched, Phase::Offered, Some(1_100), None), Precondition::Served);
        assert_eq!(wait(Phase::Withdrawing, Phase::Withdrawn, None, None), Precondition::ParentHasNone);
        assert_eq!(at(wait(Phase::Withdrawn, Phase::Unsigned, Some(1_000), None)), Some(1_301));
        assert_eq!(wait(Phase::Offered, Phase::Doubled, None, None), Precondition::Nothing);
    }
}
