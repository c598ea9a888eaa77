//! Asks the daemon and the parent's servers for what they serve now.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use thiserror::Error;

use crate::config::keyfile::KeyFile;
use crate::config::{Config, Dnssec};
use crate::delegation::ds::DsSet;
use crate::model::name::Name;
use crate::model::time::Clock;
use crate::model::txt::RecordSet;
use crate::net::dns_client::{AskError, BlockingDnsClient, DnsClient, DnsReply, Protocol};
use crate::net::interfaces;
use crate::zone::signing::Signing;

/// How long a running daemon may take to load a changed key file, which it checks every second.
const TAKE_OVER: Duration = Duration::from_secs(5);
const BETWEEN: Duration = Duration::from_millis(250);

/// Why a step is not in effect.
#[derive(Debug, Error)]
pub enum NotServed {
    #[error("no answer from {0}: {1}")]
    NoAnswer(SocketAddr, AskError),
    #[error("{0} does not serve the {1} records of this step")]
    Otherwise(SocketAddr, RecordType),
}

/// Waits until the daemon serves what the key file says. Fails with the reason if it does not, or if none answers.
pub fn wait_until_served(config: &Config, file: &KeyFile, dnssec: &Dnssec) -> Result<(), NotServed> {
    let start = Instant::now();
    loop {
        match is_served(config, file, dnssec) {
            Err(NotServed::Otherwise(..)) if start.elapsed() < TAKE_OVER => std::thread::sleep(BETWEEN),
            outcome => return outcome,
        }
    }
}

/// Checks that the daemon serves what the key file says.
pub fn is_served(config: &Config, file: &KeyFile, dnssec: &Dnssec) -> Result<(), NotServed> {
    // invariant: a configuration has at least one address
    let server = config.dns.listen[0];
    let server = interfaces::reachable(server);
    let signing = Signing::new(file.signing_keys(dnssec), Clock::start(None));
    let wanted: &[RecordSet] = signing.as_ref().map_or(&[], Signing::sets);
    for rtype in [RecordType::DNSKEY, RecordType::CDS, RecordType::CDNSKEY] {
        let reply = ask(server, file.zone.apex(), rtype).map_err(|error| NotServed::NoAnswer(server, error))?;
        let mut found: Vec<_> = reply.rdatas(rtype).into_iter().map(|(_, rdata)| rdata).collect();
        let of_type = wanted.iter().filter(|set| set.rtype == rtype);
        let mut expected: Vec<_> = of_type.flat_map(|set| &set.rdatas).map(|rdata| rdata.to_vec()).collect();
        found.sort_unstable();
        expected.sort_unstable();
        if reply.rcode() != ResponseCode::NoError || found != expected {
            return Err(NotServed::Otherwise(server, rtype));
        }
    }
    Ok(())
}

/// The DS records of a zone, by a server of the parent zone.
pub fn ask_ds(server: SocketAddr, apex: &Name) -> Result<DsSet, String> {
    let client = BlockingDnsClient::new(DnsClient::new(&[])).map_err(|error| error.to_string())?;
    client.run(async |client| DsSet::ask(client, server, apex).await).map_err(|finding| finding.answer)
}

/// Asks over TCP, so that the answer is never truncated.
fn ask(server: SocketAddr, name: &Name, rtype: RecordType) -> Result<DnsReply, AskError> {
    let client = BlockingDnsClient::new(DnsClient::new(&[]))?;
    client.run(async |client| client.ask(server, Protocol::Tcp, name, rtype).await)
}
