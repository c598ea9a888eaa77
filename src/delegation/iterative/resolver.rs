//! The resolver, the zones that it remembers, and its questions to the nameservers of one zone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::model::name::Name;
use crate::net::dns_client::{AskError, DnsClient, DnsReply};

use super::super::parent::Nameserver;
use super::super::roots::Roots;
use super::error::IterativeError;
use super::failure::usable;
use super::zone_cut::ZoneCut;

/// The most zones that are remembered while the resolver lives.
const MAX_KNOWN: usize = 4_096;
/// The most addresses of one zone that are asked for one answer.
const MAX_ASKED: usize = 8;
/// The most addresses of one zone that are compared.
const MAX_COMPARED: usize = 16;
/// How long a walk waits for another one that asks the same of the root or a top-level domain.
const TURN: Duration = Duration::from_secs(3);
/// How long a nameserver gets before the next one is asked as well.
const STAGGER: Duration = Duration::from_millis(250);

/// What one nameserver has answered, or why it gave no answer.
pub type ServerReply = (Nameserver, Result<DnsReply, AskError>);

/// Looks names up from the root down. Cheap to clone; all clones remember the same zones, for the time of one
/// examination. Records are not remembered.
#[derive(Debug, Clone)]
pub struct IterativeResolver {
    client: DnsClient,
    roots: Roots,
    known: Arc<Mutex<HashMap<Name, Arc<ZoneCut>>>>,
    turns: Arc<Mutex<HashMap<Name, Turn>>>,
}

/// Held by the one walk that asks where a name below the root or a top-level domain is delegated.
type Turn = Arc<tokio::sync::Mutex<()>>;

impl IterativeResolver {
    /// A resolver that begins at these roots.
    pub fn new(client: DnsClient, roots: Roots) -> Self {
        let root = Arc::new(ZoneCut::root(&roots));
        let known = HashMap::from([(root.apex.clone(), root)]);
        Self { client, roots, known: Arc::new(Mutex::new(known)), turns: Arc::default() }
    }

    /// Waits until no other walk asks the root or a top-level domain about the same name: the next one finds the zone among
    /// those that are known. Two walks that need each other's nameservers do not wait for ever.
    pub(super) async fn turn(&self, zone: &ZoneCut, name: &Name) -> Option<OwnedMutexGuard<()>> {
        if zone.apex.as_ref().labels().count() > 1 {
            return None;
        }
        let mut below = name.clone();
        while let Some(above) = below.parent().filter(|above| *above != zone.apex) {
            below = above;
        }
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            if turns.len() >= MAX_KNOWN {
                turns.clear();
            }
            turns.entry(below).or_default().clone()
        };
        timeout(TURN, turn.lock_owned()).await.ok()
    }

    /// Asks every nameserver of a zone, at most 16 addresses, all at the same time. The replies have the order of the
    /// nameservers, and come with their signatures.
    pub async fn ask_all(&self, zone: &ZoneCut, name: &Name, rtype: RecordType) -> Vec<ServerReply> {
        let mut asking = JoinSet::new();
        for (place, server) in zone.servers.iter().take(MAX_COMPARED).cloned().enumerate() {
            let question = self.question(&server, name, rtype);
            asking.spawn(async move { (place, server, question.await) });
        }
        let mut replies = asking.join_all().await;
        replies.sort_unstable_by_key(|(place, ..)| *place);
        replies.into_iter().map(|(_, server, reply)| (server, reply)).collect()
    }

    /// The first usable answer of a zone's nameservers. The next one is asked when one is slow.
    pub(super) async fn ask_zone(
        &self,
        zone: &Arc<ZoneCut>,
        name: &Name,
        rtype: RecordType,
    ) -> Result<DnsReply, IterativeError> {
        let mut asking = JoinSet::new();
        for (place, server) in (0..).zip(zone.servers.iter().take(MAX_ASKED).cloned()) {
            let question = self.question(&server, name, rtype);
            asking.spawn(async move {
                sleep(STAGGER * place).await;
                (server, question.await)
            });
        }
        let mut failures = Vec::new();
        while let Some(asked) = asking.join_next().await {
            let Ok((server, reply)) = asked else { continue };
            match usable(reply, &zone.apex, name) {
                Ok(reply) => return Ok(reply),
                Err(failure) => failures.push((server, failure)),
            }
        }
        Err(IterativeError::Unanswered { zone: zone.clone(), failures })
    }

    fn question(
        &self,
        server: &Nameserver,
        name: &Name,
        rtype: RecordType,
    ) -> impl Future<Output = Result<DnsReply, AskError>> + use<> {
        let at = SocketAddr::new(server.address, self.roots.port());
        let (client, name) = (self.client.clone(), name.clone());
        async move { client.ask_with_signatures(at, &name, rtype).await }
    }

    /// The zone closest above a name that is known already. The DS records of a zone are its parent's.
    pub(super) fn closest_known(&self, name: &Name, rtype: RecordType) -> Option<Arc<ZoneCut>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = if rtype == RecordType::DS { name.parent() } else { Some(name.clone()) };
        while let Some(name) = at {
            if let Some(zone) = known.get(&name) {
                return Some(zone.clone());
            }
            at = name.parent();
        }
        None
    }

    pub(super) fn remember(&self, zone: &Arc<ZoneCut>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_KNOWN {
            known.insert(zone.apex.clone(), zone.clone());
        }
    }
}
