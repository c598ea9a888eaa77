//! Asks one address again and again, until it serves what is wanted.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::time::{Instant, sleep};

use crate::model::time::Clock;
use crate::net::dns_client::{AskError, DNS_PORT, DnsClient, DnsReply, Protocol};
use crate::net::interfaces;
use crate::zone::{Zones, zone_named};

use super::super::parent::Nameserver;
use super::evidence::{AddressEvidence, AddressState};
use super::wanted::{Pauses, Rules, Wanted};

/// What looking needs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Looker {
    /// Asks the nameservers.
    pub client: DnsClient,
    /// What this process serves.
    pub zones: Zones,
    /// The time.
    pub clock: Clock,
    /// Where this process listens for DNS.
    pub listeners: Arc<Mutex<Vec<SocketAddr>>>,
}

/// What an address has answered last, for whoever stops waiting for more.
pub type LastAnswer = Arc<Mutex<AddressEvidence>>;

impl Looker {
    /// Looks until the address serves what is wanted. Does not end by itself before that, unless the address cannot be
    /// reached and the rules leave it out then.
    pub async fn keep_looking(self, server: Nameserver, wanted: Arc<Wanted>, last: LastAnswer) {
        let mut pauses = Pauses::default();
        loop {
            let found = self.look(&server, &wanted).await;
            let is_settled = is_settled(&found, wanted.rules);
            *last.lock().unwrap_or_else(PoisonError::into_inner) = found;
            if is_settled {
                return;
            }
            sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    /// Asks once.
    async fn look(&self, server: &Nameserver, wanted: &Wanted) -> AddressEvidence {
        let at = SocketAddr::new(server.address, DNS_PORT);
        let mut found = match wanted.rules {
            Rules::EveryAddress => self.ask(server, Protocol::UdpThenTcp, wanted).await,
            Rules::ReachedFromHere => {
                let (udp, tcp) =
                    tokio::join!(self.ask(server, Protocol::Udp, wanted), self.ask(server, Protocol::Tcp, wanted));
                worse_of(udp, tcp)
            }
        };
        if found.state == AddressState::Unreachable && self.is_own(at) && self.serves(wanted) {
            found.state = AddressState::Served;
            found.answer = format!("this node's own address, asked in memory ({})", found.answer);
            found.at = Some(self.clock.now());
        }
        if found.at.is_some() && found.serial.is_none() {
            let soa = self.client.ask(at, Protocol::Udp, wanted.owner.zone.apex(), RecordType::SOA).await;
            found.serial = soa.ok().and_then(|reply| reply.serial());
        }
        found
    }

    async fn ask(&self, server: &Nameserver, protocol: Protocol, wanted: &Wanted) -> AddressEvidence {
        let at = SocketAddr::new(server.address, DNS_PORT);
        let detour = Some(self.client.way_to(at)).filter(|way| *way != at);
        let mut found = AddressEvidence::of(server.name.clone(), Some(server.address), detour);
        let started = Instant::now();
        match self.client.ask(at, protocol, &wanted.name, RecordType::TXT).await {
            Ok(reply) => {
                found.rtt = Some(started.elapsed());
                found.at = Some(self.clock.now());
                let wrong = wrong_answer(&reply, protocol, &wanted.values);
                found.state = if wrong.is_some() { AddressState::Lacking } else { AddressState::Served };
                found.answer = wrong.unwrap_or_else(|| format!("{} TXT records", reply.answer_count()));
            }
            Err(AskError::Busy) => {
                found.is_asked = false;
                found.answer = "not asked: too many other questions are under way".into();
            }
            Err(error) => found.answer = error.to_string(),
        }
        if found.state != AddressState::Served && protocol != Protocol::UdpThenTcp {
            found.answer = format!("over {protocol}: {}", found.answer);
        }
        found
    }

    /// Whether an address is of this machine, and this process listens there.
    fn is_own(&self, at: SocketAddr) -> bool {
        let at = self.client.way_to(at);
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let is_bound = |listener: &SocketAddr| {
            let is_any = listener.ip().is_unspecified() && listener.is_ipv4() == at.is_ipv4();
            listener.port() == at.port() && (listener.ip() == at.ip() || is_any)
        };
        listeners.iter().any(is_bound) && interfaces::has(at.ip())
    }

    fn serves(&self, wanted: &Wanted) -> bool {
        let zones = self.zones.load();
        zone_named(&zones, &wanted.owner.zone).is_some_and(|zone| wanted.is_served_by(zone, self.clock.running()))
    }
}

/// Whether the address need not be asked again.
fn is_settled(found: &AddressEvidence, rules: Rules) -> bool {
    match found.state {
        AddressState::Served => true,
        AddressState::Lacking => false,
        AddressState::Unreachable => found.is_asked && rules == Rules::ReachedFromHere,
    }
}

/// Of the answers over two transports the one that decides: a wrong one, else one that is still to come, else a good one.
fn worse_of(udp: AddressEvidence, tcp: AddressEvidence) -> AddressEvidence {
    use AddressState::{Lacking, Served};
    match (udp.state, tcp.state) {
        (Lacking, _) => udp,
        (_, Lacking) => tcp,
        _ if !udp.is_asked => udp,
        _ if !tcp.is_asked => tcp,
        (Served, _) => udp,
        (_, Served) => tcp,
        _ => udp,
    }
}

/// What a reply shows instead of the values; `None` if it has them all.
fn wrong_answer(reply: &DnsReply, protocol: Protocol, values: &[String]) -> Option<String> {
    if reply.is_truncated() && protocol == Protocol::Udp {
        return None; // The complete answer comes over TCP.
    }
    match reply.rcode() {
        ResponseCode::NoError if reply.is_authoritative() => {}
        ResponseCode::NoError => return Some("does not serve the zone: its answer is not authoritative".into()),
        rcode => return Some(format!("answers {rcode}")),
    }
    let shown = reply.txt_values();
    let absent = values.iter().find(|value| !shown.iter().any(|text| text == value.as_bytes()))?;
    Some(format!("shows {} TXT records without {absent}", reply.answer_count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(state: AddressState, is_asked: bool) -> AddressEvidence {
        let nothing = AddressEvidence::of("ns1.auth.example.org".parse().unwrap(), None, None);
        AddressEvidence { state, is_asked, ..nothing }
    }

    /// A flood of other questions must not let a certificate go on without a nameserver that could have been asked.
    #[test]
    fn an_address_that_was_not_asked_for_want_of_room_is_asked_again() {
        let silent = evidence(AddressState::Unreachable, true);
        let unasked = evidence(AddressState::Unreachable, false);
        let served = evidence(AddressState::Served, true);
        assert!(is_settled(&silent, Rules::ReachedFromHere) && !is_settled(&silent, Rules::EveryAddress));
        assert!(!is_settled(&unasked, Rules::ReachedFromHere));
        for (udp, tcp) in [(&silent, &unasked), (&unasked, &silent), (&served, &unasked), (&unasked, &served)] {
            assert!(!is_settled(&worse_of(udp.clone(), tcp.clone()), Rules::ReachedFromHere), "{udp:?}, {tcp:?}");
        }
        assert!(is_settled(&worse_of(served, silent), Rules::ReachedFromHere));
    }
}
