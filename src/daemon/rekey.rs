//! Key files that change while the daemon runs: `txtgate dnssec` writes them, and each step is served a second later.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info};

use crate::config::ZoneSettings;
use crate::model::actor::Actor;
use crate::publisher::{Abort, Publisher};
use crate::zone::Zone;

/// Between two looks.
const ROUND: Duration = Duration::from_secs(1);

/// What tells one version of a file from another; a new one is always another file. `None`: there is none.
type Stamp = Option<(u64, u64, i64, i64)>;

/// The versions of the key files that are being served.
#[derive(Debug, Default)]
pub struct KeyFiles(HashMap<PathBuf, Stamp>);

impl KeyFiles {
    /// Those of now. To be taken before the files are read: a change in between is then seen as one.
    pub fn of(zones: &[ZoneSettings]) -> Self {
        let keys = zones.iter().filter_map(|zone| zone.dnssec.as_ref());
        Self(keys.map(|dnssec| (dnssec.key.clone(), stamp(&dnssec.key))).collect())
    }

    /// Takes changed files of the zones that are being served over, for as long as the daemon runs.
    pub async fn keep_fresh(mut self, publisher: Publisher) {
        let mut rounds = tokio::time::interval(ROUND);
        loop {
            rounds.tick().await;
            let zones = Arc::clone(&publisher.zones().load());
            for zone in zones.iter() {
                self.look_at(zone, &publisher).await;
            }
        }
    }

    async fn look_at(&mut self, zone: &Zone, publisher: &Publisher) {
        let Some(dnssec) = &zone.dnssec else { return };
        let found = stamp(&dnssec.key);
        if self.0.insert(dnssec.key.clone(), found) == Some(found) {
            return;
        }
        match publisher.rekey(Actor::UPKEEP, &zone.name).await {
            Ok(false) => {}
            Ok(true) => info!(zone = %zone.name, "the key file has changed and is in use"),
            // Said once for each version; what was read before stays in use.
            Err(error) => {
                error!(zone = %zone.name, %error, "the zone is signed with its former keys");
                if matches!(error, Abort::Store(_)) {
                    self.0.remove(&dnssec.key); // not the file's fault: look again
                }
            }
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.mtime(), file.mtime_nsec()))
}
