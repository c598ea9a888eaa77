//! Binds sockets. Errors say which process holds the port, and what to do about it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use thiserror::Error;
use tracing::warn;

use crate::file::in_words;

use super::holder;
use super::inherited::Inherited;
use super::interfaces;

/// The requested size of each UDP socket's buffers, in bytes: enough for a burst of about 10,000 queries.
pub const BUFFER: usize = 4 << 20;
/// The most connections that wait to be accepted.
const BACKLOG: i32 = 1_024;
/// The most attempts to find a port that is free for both UDP and TCP.
const PORT_TRIES: usize = 16;

/// Why a socket could not be bound, and what to do about it.
#[derive(Debug, Error)]
pub enum BindError {
    #[error("{protocol} {address} is in use by {holder}; {advice}")]
    InUse { protocol: &'static str, address: SocketAddr, holder: String, advice: &'static str },
    #[error(
        "no permission to bind {protocol} {address}: ports below 1024 need CAP_NET_BIND_SERVICE; start the daemon with \
         its systemd unit (AmbientCapabilities=CAP_NET_BIND_SERVICE) or by socket activation, or run \
         `setcap cap_net_bind_service=+ep` on the binary"
    )]
    Permission { protocol: &'static str, address: SocketAddr },
    #[error("this kernel has no {family}, so {protocol} {address} cannot be bound; write {instead}")]
    NoFamily { protocol: &'static str, address: SocketAddr, family: &'static str, instead: String },
    #[error(
        "no interface of this machine has the address {}, so {protocol} {address} cannot be bound{there}; behind a 1:1 NAT, \
         as in many clouds, the machine has a private address only; write that one, or {instead} for all addresses",
        address.ip()
    )]
    NoSuchAddress { protocol: &'static str, address: SocketAddr, there: String, instead: SocketAddr },
    #[error(
        "{protocol} {address} cannot be bound: it stands twice among the addresses to listen on; remove one of the two"
    )]
    Twice { protocol: &'static str, address: SocketAddr },
    #[error("cannot bind {protocol} {address}: {}", in_words(source))]
    Other { protocol: &'static str, address: SocketAddr, source: io::Error },
}

/// Binds each address of a list. A wildcard of a family that the kernel does not have is not an error while the list's
/// wildcard of the other family is bound: `["0.0.0.0:53", "[::]:53"]` is right on every machine.
pub fn each<T>(
    addresses: &[SocketAddr],
    mut bind: impl FnMut(SocketAddr) -> Result<T, BindError>,
) -> Vec<Result<T, BindError>> {
    let tried: Vec<_> = addresses.iter().map(|&address| (address, bind(address))).collect();
    let is_wildcard = |address: &SocketAddr| address.ip().is_unspecified();
    let bound: Vec<SocketAddr> = tried.iter().filter(|(_, tried)| tried.is_ok()).map(|(address, _)| *address).collect();
    let has_other =
        |address: SocketAddr| bound.iter().any(|other| is_wildcard(other) && other.port() == address.port());
    let is_needless = |address: &SocketAddr, tried: &Result<T, BindError>| {
        matches!(tried, Err(BindError::NoFamily { .. })) && is_wildcard(address) && has_other(*address)
    };
    let (needless, needed): (Vec<_>, Vec<_>) =
        tried.into_iter().partition(|(address, tried)| is_needless(address, tried));
    for (address, _) in needless {
        warn!("this kernel has no {}, so nothing listens on {address}", family(address));
    }
    needed.into_iter().map(|(_, tried)| tried).collect()
}

/// UDP sockets that share one address; the kernel spreads the queries over them.
#[derive(Debug)]
pub struct UdpSockets {
    /// One blocking socket for each thread.
    pub sockets: Vec<UdpSocket>,
    /// The local address, with the real port.
    pub address: SocketAddr,
    /// The size of the receive buffer that the kernel has granted, in bytes: less than [`BUFFER`] if `net.core.rmem_max`
    /// is lower.
    pub receive_buffer: usize,
    /// The size of the send buffer that the kernel has granted, in bytes (`net.core.wmem_max`).
    pub send_buffer: usize,
}

/// Takes over the UDP socket of `address` from systemd, or binds one for each thread (at least one).
pub fn udp(address: SocketAddr, threads: usize, inherited: &mut Inherited) -> Result<UdpSockets, BindError> {
    let sockets = match inherited.udp(address) {
        Some(socket) => shared(socket, threads),
        None => bind_udp(address, threads),
    };
    sockets.and_then(prepare).map_err(|error| explain("UDP", address, error))
}

/// Takes over the TCP listener of `address` from systemd, or binds one. The listener is non-blocking, as tokio requires.
pub fn tcp(address: SocketAddr, inherited: &mut Inherited) -> Result<TcpListener, BindError> {
    let listener = match inherited.tcp(address) {
        Some(listener) => Ok(listener),
        None => bind_tcp(address),
    };
    listener
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|error| explain("TCP", address, error))
}

/// Binds UDP and TCP on one port (RFC 7766 section 5). Port 0 stands for a port that is free for both.
pub fn udp_and_tcp(
    address: SocketAddr,
    threads: usize,
    inherited: &mut Inherited,
) -> Result<(UdpSockets, TcpListener), BindError> {
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        let sockets = udp(address, threads, inherited)?;
        match tcp(sockets.address, inherited) {
            Ok(listener) => return Ok((sockets, listener)),
            Err(error) if tries <= 1 => return Err(error),
            Err(_) => tries -= 1,
        }
    }
}

/// Binds the first socket without SO_REUSEPORT and sets the option afterwards. So a second daemon on the same address
/// fails at its start. With the option set first, both would start, and each would get half of the queries. Nor is there
/// a moment between finding the port free and holding it.
fn bind_udp(address: SocketAddr, threads: usize) -> io::Result<Vec<UdpSocket>> {
    let first = open(address, Type::DGRAM)?;
    first.bind(&address.into())?;
    first.set_reuse_port(true)?;
    let first = UdpSocket::from(first);
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    while sockets.len() < threads {
        let next = open(address, Type::DGRAM)?;
        next.set_reuse_port(true)?;
        next.bind(&address.into())?;
        sockets.push(next.into());
    }
    Ok(sockets)
}

/// One socket from systemd serves all threads: no second one can be bound beside it.
fn shared(socket: UdpSocket, threads: usize) -> io::Result<Vec<UdpSocket>> {
    let mut sockets = (1..threads).map(|_| socket.try_clone()).collect::<io::Result<Vec<_>>>()?;
    sockets.push(socket);
    Ok(sockets)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address, Type::STREAM)?;
    // Connections of the previous daemon that are still in TIME_WAIT must not delay a restart.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn open(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let protocol = if kind == Type::DGRAM { Protocol::UDP } else { Protocol::TCP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // Allows both `[::]` and `0.0.0.0` in the configuration, whatever net.ipv6.bindv6only says.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn prepare(sockets: Vec<UdpSocket>) -> io::Result<UdpSockets> {
    let first = sockets.first().ok_or(io::ErrorKind::InvalidInput)?;
    let address = first.local_addr()?;
    for socket in &sockets {
        socket.set_nonblocking(false)?;
        let options = SockRef::from(socket);
        // A buffer that systemd made larger than this process may stays as it is. The kernel reports twice what it granted.
        if options.recv_buffer_size()? / 2 < BUFFER {
            options.set_recv_buffer_size(BUFFER)?;
        }
        if options.send_buffer_size()? / 2 < BUFFER {
            options.set_send_buffer_size(BUFFER)?;
        }
        never_fragment(socket, address)?;
        if address.ip().is_unspecified() {
            tell_destination(socket, address)?;
        }
    }
    let options = SockRef::from(first);
    // The kernel reports twice what it granted, to include its own bookkeeping (socket(7)).
    let receive_buffer = options.recv_buffer_size()? / 2;
    let send_buffer = options.send_buffer_size()? / 2;
    Ok(UdpSockets { address, receive_buffer, send_buffer, sockets })
}

/// Ignores path MTUs. Anybody can forge one by ICMP, to have answers cut into fragments that can be replaced (RFC 9715
/// section 3.1). The answers of this server fit every path anyway.
fn never_fragment(socket: &UdpSocket, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::OMIT)?,
        SocketAddr::V6(_) => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::OMIT)?,
    }
    Ok(())
}

/// Has the kernel tell which address a query was sent to: a socket on all addresses has to answer from that one.
fn tell_destination(socket: &UdpSocket, address: SocketAddr) -> io::Result<()> {
    match address.ip() {
        IpAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        IpAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}

fn explain(protocol: &'static str, address: SocketAddr, error: io::Error) -> BindError {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let table = if protocol == "UDP" { "udp" } else { "tcp" };
            let holder = holder::of_address(table, address);
            if holder.as_ref().is_some_and(|holder| holder.is_this_process()) {
                return BindError::Twice { protocol, address };
            }
            let holder = holder.map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
            BindError::InUse { protocol, address, advice: advice(&holder, address.port()), holder }
        }
        io::ErrorKind::PermissionDenied => BindError::Permission { protocol, address },
        _ if is_without_family(address, &error) => {
            let instead = match address {
                SocketAddr::V4(_) => format!("an IPv6 address, like [::]:{}", address.port()),
                SocketAddr::V6(_) => format!("an IPv4 address, like 0.0.0.0:{}", address.port()),
            };
            BindError::NoFamily { protocol, address, family: family(address), instead }
        }
        io::ErrorKind::AddrNotAvailable => {
            let any: IpAddr =
                if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let instead = SocketAddr::new(any, address.port());
            BindError::NoSuchAddress { protocol, address, there: interfaces::listed(address.is_ipv4()), instead }
        }
        _ => BindError::Other { protocol, address, source: error },
    }
}

/// Whether the kernel lacks the address's family altogether. Without a family no socket of it can be made; with the
/// family switched off on all interfaces, no address can be bound, not even all of them.
fn is_without_family(address: SocketAddr, error: &io::Error) -> bool {
    let is_unsupported = error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32);
    is_unsupported || (error.kind() == io::ErrorKind::AddrNotAvailable && address.ip().is_unspecified())
}

fn family(address: SocketAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

fn advice(holder: &str, port: u16) -> &'static str {
    match holder {
        name if name.starts_with("systemd-resolve") => {
            "set DNSStubListener=no in /etc/systemd/resolved.conf and restart systemd-resolved, or listen on the \
             machine's own address in place of all addresses"
        }
        name if name.starts_with("txtgate") => "another txtgate is running already: stop it first",
        name if name.starts_with("systemd ") => {
            "a socket unit holds it: start the daemon by that unit, or disable the unit"
        }
        _ if port == 53 => {
            "stop it, or listen on an address that it leaves free; if it is systemd-resolved, set DNSStubListener=no"
        }
        _ => "stop it, or choose another address or port",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn several_sockets_share_a_port_that_tcp_has_too() {
        let (udp, tcp) = udp_and_tcp(address("127.0.0.1:0"), 3, &mut Inherited::default()).unwrap();
        assert_ne!(udp.address.port(), 0);
        assert_eq!(tcp.local_addr().unwrap(), udp.address);
        assert_eq!(udp.sockets.len(), 3);
        assert!(udp.sockets.iter().all(|socket| socket.local_addr().unwrap() == udp.address));
        assert!(udp.receive_buffer > 0 && udp.receive_buffer <= BUFFER);
    }

    #[test]
    fn every_shared_socket_gets_some_of_the_queries() {
        let bound = udp(address("127.0.0.1:0"), 2, &mut Inherited::default()).unwrap();
        for _ in 0..64 {
            UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", bound.address).unwrap();
        }
        for socket in &bound.sockets {
            socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
            socket.recv_from(&mut [0; 8]).expect("this socket hears something");
        }
    }

    #[test]
    fn an_address_that_stands_twice_is_named() {
        let (udp, _tcp) = udp_and_tcp(address("127.0.0.1:0"), 2, &mut Inherited::default()).unwrap();
        let error = super::udp(udp.address, 2, &mut Inherited::default()).unwrap_err();
        assert!(matches!(error, BindError::Twice { protocol: "UDP", .. }), "{error}");
        let error = super::tcp(udp.address, &mut Inherited::default()).unwrap_err();
        assert!(matches!(error, BindError::Twice { protocol: "TCP", .. }), "{error}");
    }

    #[test]
    fn systemd_resolved_is_named_with_its_setting() {
        assert!(advice("systemd-resolve (process 7)", 53).contains("DNSStubListener=no"));
        assert!(advice("systemd (process 1)", 53).contains("socket unit"));
        assert!(advice("a process of user 101", 53).contains("DNSStubListener=no"));
    }

    #[test]
    fn an_address_that_no_interface_has_is_explained() {
        let error = super::udp(address("203.0.113.7:53"), 1, &mut Inherited::default()).unwrap_err().to_string();
        for part in ["203.0.113.7", "127.0.0.1", "1:1 NAT", "0.0.0.0:53"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_wildcard_that_the_kernel_cannot_do_is_needed_only_where_it_stands_alone() {
        let both = [address("[::]:53"), address("0.0.0.0:53")];
        let without = |missing: fn(&SocketAddr) -> bool| {
            move |address: SocketAddr| match missing(&address) {
                true => Err(explain("UDP", address, Errno::EAFNOSUPPORT.into())),
                false => Ok(address),
            }
        };
        for missing in [SocketAddr::is_ipv6, SocketAddr::is_ipv4] {
            let bound = each(&both, without(missing));
            assert!(bound.len() == 1 && bound[0].is_ok(), "{bound:?}");
        }
        let alone = each(&both[..1], without(SocketAddr::is_ipv6));
        assert!(matches!(&alone[0], Err(error) if error.to_string().contains("0.0.0.0:53")), "{alone:?}");
        let other_port = [address("[::]:53"), address("0.0.0.0:54")];
        assert!(each(&other_port, without(SocketAddr::is_ipv6))[0].is_err());
        let both = each(&both, without(|_| true));
        assert!(both.len() == 2 && both.iter().all(Result::is_err), "{both:?}");
    }

    #[test]
    fn both_families_may_listen_on_all_addresses_of_one_port() {
        let v4 = udp(address("0.0.0.0:0"), 1, &mut Inherited::default()).unwrap();
        match udp(SocketAddr::new(address("[::]:0").ip(), v4.address.port()), 1, &mut Inherited::default()) {
            // A machine without IPv6 has nothing to share.
            Err(BindError::NoFamily { .. }) => {}
            other => assert!(other.is_ok(), "{other:?}"),
        }
    }
}
