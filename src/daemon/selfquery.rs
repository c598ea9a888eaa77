//! A query to ourselves now and then: a loop that goes round but no longer answers shows in the log.
//!
//! It only warns. A flood loses this query like any other, and being restarted for that would finish what the flood
//! began.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{interval, timeout};
use tracing::warn;

use crate::zone::Zones;

/// Between two queries.
const ROUND: Duration = Duration::from_secs(10);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// QTYPE SOA, QCLASS IN.
const SOA_IN: [u8; 4] = [0, 6, 0, 1];

/// Asks `address` for a SOA every 10 seconds, for as long as the daemon runs.
pub async fn keep_asking(address: SocketAddr, zones: Zones) {
    let address = SocketAddr::new(reachable(address.ip()), address.port());
    let mut rounds = interval(ROUND);
    for id in (0..=u16::MAX).cycle() {
        rounds.tick().await;
        match timeout(PATIENCE, ask(address, &zones, id)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => warn!(%address, "our own query got an answer that is not ours"),
            Ok(Err(error)) => warn!(%address, %error, "our own query could not be sent"),
            Err(_) => warn!(%address, "our own query got no answer within {} s", PATIENCE.as_secs()),
        }
    }
}

async fn ask(address: SocketAddr, zones: &Zones, id: u16) -> io::Result<bool> {
    let mut query = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query[..2].copy_from_slice(&id.to_be_bytes());
    // invariant: a configuration has at least one zone
    query.extend_from_slice(zones.load()[0].name.apex().as_wire());
    query.extend_from_slice(&SOA_IN);
    let socket = UdpSocket::bind(SocketAddr::new(any(address.ip()), 0)).await?;
    socket.connect(address).await?;
    socket.send(&query).await?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).await?;
    Ok(is_of_ours(&answer[..length], id))
}

/// Whether the answer has our id, no error, and one record; or says TC instead, which is what a network over its limit
/// gets, be it our own.
fn is_of_ours(answer: &[u8], id: u16) -> bool {
    let Some(&[id0, id1, flags, rcode, _, _, count0, count1, ..]) = answer.first_chunk::<12>() else {
        return false;
    };
    let is_truncated = flags & 0x02 != 0;
    [id0, id1] == id.to_be_bytes() && rcode & 0x0f == 0 && ([count0, count1] == [0, 1] || is_truncated)
}

/// All addresses are reached by loopback.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

fn any(ip: IpAddr) -> IpAddr {
    if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_over_the_limit_of_our_own_network_is_no_wrong_one() {
        let answer = |flags, rcode, count| [7, 8, flags, rcode, 0, 1, 0, count, 0, 0, 0, 0];
        assert!(is_of_ours(&answer(0x84, 0, 1), 0x0708) && is_of_ours(&answer(0x82, 0, 0), 0x0708));
        for wrong in [answer(0x84, 0, 0), answer(0x84, 2, 0), answer(0x86, 5, 0), answer(0x84, 0, 2)] {
            assert!(!is_of_ours(&wrong, 0x0708), "{wrong:?}");
        }
        assert!(!is_of_ours(&answer(0x84, 0, 1), 0x0709) && !is_of_ours(&answer(0x84, 0, 1)[..11], 0x0708));
    }
}
