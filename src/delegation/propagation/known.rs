//! The delegations that have been found, so that the updates of a fleet do not each begin with the parent zone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::name::{Name, ZoneName};
use crate::net::dns_client::DnsClient;
use crate::zone::Zone;

use super::super::finding::Finding;
use super::super::nameservers::Delegation;

/// How long a delegation is used without asking the parent zone again.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// How long it is still used while the parent zone is being asked in the background.
const USABLE: Duration = Duration::from_secs(60 * 60);
/// How long it is still used if the parent zone cannot be asked.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// The pause before the parent zone is asked again, if it could not be asked or a nameserver's address is unknown.
const RETRY: Duration = Duration::from_secs(5);

/// A delegation and what was found on the way.
#[derive(Debug, Clone)]
pub struct KnownDelegation {
    /// The nameservers; `None` if the parent has no delegation.
    pub delegation: Option<Delegation>,
    /// What was found on the way.
    pub findings: Vec<Finding>,
    /// The nameservers of the configuration at that time. A reload may change them.
    configured: Vec<Name>,
    /// When the parent zone told the nameservers.
    told: Option<Instant>,
    /// When the parent zone is asked again.
    stale: Instant,
}

impl KnownDelegation {
    async fn find(zone: &Zone, client: &DnsClient, former: Option<&Self>) -> Self {
        let (found, mut findings) = Delegation::find(zone, client).await;
        let configured = zone.nameservers();
        let now = Instant::now();
        let is_told = found.as_ref().is_some_and(|delegation| delegation.is_of_parent);
        let is_complete = is_told && found.as_ref().is_some_and(|delegation| delegation.unresolved.is_empty());
        let usable = former.filter(|former| {
            former.configured == configured && former.told.is_some_and(|told| now.duration_since(told) < KEPT)
        });
        let stale = now + if is_complete { FRESH } else { RETRY };
        match (found, usable) {
            (Some(found), Some(former)) if !found.is_of_parent => {
                // The first says why the parent zone cannot be asked, the others are about the configuration.
                findings.truncate(1);
                for finding in &mut findings {
                    finding.meaning = "the nameservers that it named before are asked".into();
                }
                Self { delegation: former.delegation.clone(), findings, configured, told: former.told, stale }
            }
            (found, _) => Self { delegation: found, findings, configured, told: is_told.then_some(now), stale },
        }
    }

    fn is_of(&self, zone: &Zone) -> bool {
        self.configured == zone.nameservers()
    }
}

/// The delegation of one zone, looked up once at a time.
#[derive(Debug, Default)]
struct Entry {
    known: Mutex<Option<Arc<KnownDelegation>>>,
    walk: Arc<tokio::sync::Mutex<()>>,
}

impl Entry {
    fn known(&self, zone: &Zone) -> Option<Arc<KnownDelegation>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.filter(|known| known.is_of(zone))
    }

    /// Asks the parent zone, and keeps what it says. The caller holds the lock of walks.
    async fn walk(&self, zone: &Zone, client: &DnsClient) -> Arc<KnownDelegation> {
        let former = self.known(zone);
        let found = Arc::new(KnownDelegation::find(zone, client, former.as_deref()).await);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        found
    }
}

/// The delegations of all zones. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct KnownDelegations(Arc<Mutex<HashMap<ZoneName, Arc<Entry>>>>);

impl KnownDelegations {
    /// The delegation of a zone. Walks of the same zone follow each other, and the later ones find what the first has
    /// found. After five minutes the delegation is looked up again, in the background.
    pub async fn of(&self, zone: &Zone, client: &DnsClient) -> Arc<KnownDelegation> {
        let entry = self.entry(zone);
        let now = Instant::now();
        if let Some(known) = entry.known(zone) {
            if now < known.stale {
                return known;
            }
            let is_usable = known.told.is_some_and(|told| now.duration_since(told) < USABLE);
            if is_usable && let Ok(walking) = entry.walk.clone().try_lock_owned() {
                let (entry, zone, client) = (entry.clone(), zone.clone(), client.clone());
                tokio::spawn(async move {
                    entry.walk(&zone, &client).await;
                    drop(walking);
                });
            }
            if is_usable {
                return known;
            }
        }
        let _walking = entry.walk.lock().await;
        match entry.known(zone).filter(|known| Instant::now() < known.stale) {
            Some(known) => known,
            None => entry.walk(zone, client).await,
        }
    }

    /// Asks the parent zone now, whatever is known.
    pub async fn walk(&self, zone: &Zone, client: &DnsClient) -> Arc<KnownDelegation> {
        let entry = self.entry(zone);
        let _walking = entry.walk.lock().await;
        entry.walk(zone, client).await
    }

    fn entry(&self, zone: &Zone) -> Arc<Entry> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.entry(zone.name.clone()).or_default().clone()
    }
}
