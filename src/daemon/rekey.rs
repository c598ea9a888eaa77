//! Reloads key files that change while the daemon runs. `txtgate dnssec` writes them, and the daemon uses them within a
//! second.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{error, info};

use crate::config::ZoneSettings;
use crate::model::actor::Actor;
use crate::publisher::{Abort, Publisher};
use crate::zone::Zone;

/// The time between two checks.
const ROUND: Duration = Duration::from_secs(1);

/// Identifies a version of a file: `txtgate dnssec` always writes a new file. `None` if there is no file.
type Stamp = Option<(u64, u64, i64, i64)>;

/// Why zones are not signed with the keys in their files, by zone. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct KeyProblems(Arc<Mutex<BTreeMap<String, String>>>);

impl KeyProblems {
    /// All of them.
    pub fn all(&self) -> Vec<(String, String)> {
        self.lock().iter().map(|(zone, problem)| (zone.clone(), problem.clone())).collect()
    }

    fn set(&self, zone: &Zone, problem: Option<String>) {
        let zone = zone.name.to_string();
        match problem {
            Some(problem) => _ = self.lock().insert(zone, problem),
            None => _ = self.lock().remove(&zone),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The versions of the key files in use.
#[derive(Debug, Default)]
pub struct KeyFiles(HashMap<PathBuf, Stamp>);

impl KeyFiles {
    /// The current versions. Must be called before the files are read, so that a change in between is noticed.
    pub fn of(zones: &[ZoneSettings]) -> Self {
        let keys = zones.iter().filter_map(|zone| zone.dnssec.as_ref());
        Self(keys.map(|dnssec| (dnssec.key.clone(), stamp(&dnssec.key))).collect())
    }

    /// Reloads the key files of the served zones whenever they change, for as long as the daemon runs.
    pub async fn keep_fresh(mut self, publisher: Publisher, problems: KeyProblems) {
        let mut rounds = tokio::time::interval(ROUND);
        loop {
            rounds.tick().await;
            let zones = Arc::clone(&publisher.zones().load());
            for zone in zones.iter() {
                self.check(zone, &publisher, &problems).await;
            }
        }
    }

    async fn check(&mut self, zone: &Zone, publisher: &Publisher, problems: &KeyProblems) {
        let Some(dnssec) = &zone.dnssec else { return };
        let found = stamp(&dnssec.key);
        if self.0.insert(dnssec.key.clone(), found) == Some(found) {
            return;
        }
        let outcome = publisher.rekey(Actor::UPKEEP, &zone.name).await;
        problems.set(zone, outcome.as_ref().err().map(ToString::to_string));
        match outcome {
            Ok(false) => {}
            Ok(true) => info!(zone = %zone.name, "the key file has changed and is in use"),
            // Logged once for each version. The former keys stay in use.
            Err(error) => {
                error!(zone = %zone.name, %error, "the zone is signed with its former keys");
                if matches!(error, Abort::Store(_)) {
                    self.0.remove(&dnssec.key); // the file may be fine: try again
                }
            }
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.mtime(), file.mtime_nsec()))
}
