//! The DNS around the daemon, from the root down, and a walk through it as a CA's resolver takes it.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::runtime::{Builder, Runtime};

use super::dns::{A, Change, Reply, Udp, ask_tcp, query};
use super::nameserver::{Nameserver, named_in};

/// How long a nameserver gets before the next one is asked.
const PATIENCE: Duration = Duration::from_millis(500);
/// Nameservers asked for one name, aliases and all, before the walk is given up as a circle.
const MOST_STEPS: usize = 40;
/// The address of the root's nameserver.
const ROOT: &str = "198.51.100.1";

/// Nameservers under made-up addresses, since all of them are on the loopback.
pub struct Internet {
    runtime: Runtime,
    routes: HashMap<IpAddr, SocketAddr>,
    nameservers: Vec<Nameserver>,
    /// Which of several nameservers is asked first changes with each walk.
    turn: Cell<usize>,
}

/// Where a walk has ended.
#[derive(Debug)]
pub struct Found {
    /// The records of the name asked for, or of what it is an alias of.
    pub records: Vec<Record>,
    /// NOERROR or NXDOMAIN.
    pub rcode: ResponseCode,
    /// Each name that was asked for, and by which address it was answered or not.
    pub steps: Vec<(String, IpAddr, bool)>,
}

impl Found {
    /// The texts of its TXT records, their strings joined.
    pub fn txts(&self) -> Vec<String> {
        let text = |record: &Record| match &record.data {
            RData::TXT(txt) => txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect(),
            other => panic!("expected a text, found {other:?}"),
        };
        self.records.iter().map(text).collect()
    }

    /// The addresses that were asked, in order.
    pub fn servers(&self) -> Vec<String> {
        self.steps.iter().map(|(_, server, _)| server.to_string()).collect()
    }

    /// Whether a nameserver was asked that did not answer.
    pub fn met_a_dead_one(&self) -> bool {
        self.steps.iter().any(|(_, _, answered)| !answered)
    }
}

impl Internet {
    /// Nothing but the root, which holds these delegations.
    pub fn new(delegations: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut internet = Self { runtime, routes: HashMap::new(), nameservers: Vec::new(), turn: Cell::new(0) };
        internet.serve(ROOT, &[(".", &format!("@ NS a.root-servers.test.\n{delegations}"))]);
        internet
    }

    /// Starts a nameserver with zones: an apex and records, to which a SOA is added.
    pub fn serve(&mut self, address: &str, zones: &[(&str, &str)]) {
        let nameserver = self.runtime.block_on(Nameserver::start(zones));
        self.route(address, nameserver.address);
        self.nameservers.push(nameserver);
    }

    /// Lets an address lead to a nameserver that is there already.
    pub fn route(&mut self, address: &str, to: SocketAddr) {
        self.routes.insert(address.parse().unwrap(), to);
    }

    /// Asks from the root down, following referrals and aliases (RFC 1034 section 5.3.3). Every nameserver must answer
    /// with authority or refer to one further down; letters change their case on the way, as a CA's resolver has them.
    pub fn walk(&self, name: &str, rtype: u16) -> Found {
        self.turn.set(self.turn.get() + 1);
        let mut steps = Vec::new();
        let mut name = Name::from_ascii(name).unwrap();
        name.set_fqdn(true);
        loop {
            assert!(steps.len() < MOST_STEPS, "a circle: {steps:?}");
            let reply = self.descend(&name, rtype, &mut steps);
            let (rcode, records) = (reply.rcode(), reply.message.answers);
            let own = records.iter().filter(|record| record.name == name);
            let (asked, others): (Vec<_>, Vec<_>) = own.partition(|record| u16::from(record.record_type()) == rtype);
            match (asked.is_empty(), others.first().map(|record| &record.data)) {
                // Only the alias itself is believed: what it leads to is for that name's own nameservers to say.
                (true, Some(RData::CNAME(target))) => name = target.0.clone(),
                _ => return Found { records: asked.into_iter().cloned().collect(), rcode, steps },
            }
        }
    }

    /// The answer of the nameserver that is responsible for a name.
    fn descend(&self, name: &Name, rtype: u16, steps: &mut Vec<(String, IpAddr, bool)>) -> Reply {
        let mut servers: Vec<IpAddr> = vec![ROOT.parse().unwrap()];
        let mut zone = Name::root();
        loop {
            let reply = self.ask_one_of(&servers, name, rtype, steps);
            let cut = reply.message.authorities.iter().find(|record| record.record_type() == RecordType::NS);
            match cut.map(|record| record.name.clone()) {
                // A referral: further down, and still above the name.
                Some(below) if reply.answers().is_empty() && below != zone => {
                    assert!(zone.zone_of(&below) && below.zone_of(name), "{below} is not on the way to {name}");
                    servers = self.nameservers(&reply, &below);
                    zone = below;
                }
                _ => {
                    assert!(reply.is_authoritative(), "{name} at {zone}: {reply:?}");
                    return reply;
                }
            }
        }
    }

    /// The addresses of the nameservers that a referral names: those that come with it, or else those that are found by
    /// the names.
    fn nameservers(&self, referral: &Reply, zone: &Name) -> Vec<IpAddr> {
        let of_zone = referral.message.authorities.iter().filter(|record| record.name == *zone);
        let names: Vec<&Name> = of_zone.filter_map(named_in).collect();
        let glue = referral.message.additionals.iter().filter(|record| names.contains(&&record.name));
        let addresses: Vec<IpAddr> = glue.filter_map(|record| record.data.ip_addr()).collect();
        if !addresses.is_empty() {
            return addresses;
        }
        assert!(names.iter().all(|name| !zone.zone_of(name)), "{zone} without the addresses that lie below it");
        let found: Vec<Found> = names.iter().map(|name| self.walk(&name.to_ascii(), A)).collect();
        found.iter().flat_map(|found| &found.records).filter_map(|record| record.data.ip_addr()).collect()
    }

    fn ask_one_of(
        &self,
        servers: &[IpAddr],
        name: &Name,
        rtype: u16,
        steps: &mut Vec<(String, IpAddr, bool)>,
    ) -> Reply {
        let first = self.turn.get() % servers.len();
        for server in servers[first..].iter().chain(&servers[..first]) {
            let reply = self.routes.get(server).and_then(|at| ask(*at, name, rtype));
            steps.push((name.to_ascii(), *server, reply.is_some()));
            if let Some(reply) = reply {
                return reply;
            }
        }
        panic!("no nameserver answers for {name}: {steps:?}")
    }
}

/// Asks over UDP, and over TCP where that is cut short. `None`: no answer, or one that is of no use.
fn ask(server: SocketAddr, name: &Name, rtype: u16) -> Option<Reply> {
    let flip = |(at, c): (usize, char)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c };
    let message = query(&name.to_ascii().chars().enumerate().map(flip).collect::<String>(), rtype).edns(1_232);
    let udp = Udp::to(server);
    udp.send(&message);
    let reply = Reply::of(udp.receive_within(PATIENCE)?);
    let reply = if reply.is_truncated() { ask_tcp(server, &message) } else { reply };
    assert_eq!(reply.bytes[12..][..name.len() + 4], message[12..][..name.len() + 4], "the question comes back");
    matches!(reply.rcode(), ResponseCode::NoError | ResponseCode::NXDomain).then_some(reply)
}
