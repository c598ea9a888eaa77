//! Binds sockets. Errors say which process holds the port, and what to do about it.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use thiserror::Error;

use super::holder;
use super::inherited::Inherited;

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
    #[error("cannot bind {protocol} {address}: {source}")]
    Other { protocol: &'static str, address: SocketAddr, source: io::Error },
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
            let holder = holder::of_port(table, address.port());
            let holder = holder.map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
            BindError::InUse { protocol, address, advice: advice(&holder, address.port()), holder }
        }
        io::ErrorKind::PermissionDenied => BindError::Permission { protocol, address },
        _ => BindError::Other { protocol, address, source: error },
    }
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
    fn a_second_daemon_on_the_same_address_is_told_who_was_first() {
        let (udp, _tcp) = udp_and_tcp(address("127.0.0.1:0"), 2, &mut Inherited::default()).unwrap();
        let error = super::udp(udp.address, 2, &mut Inherited::default()).unwrap_err();
        assert!(matches!(error, BindError::InUse { protocol: "UDP", .. }), "{error}");
        assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
        let error = super::tcp(udp.address, &mut Inherited::default()).unwrap_err();
        assert!(matches!(error, BindError::InUse { protocol: "TCP", .. }), "{error}");
    }

    #[test]
    fn systemd_resolved_is_named_with_its_setting() {
        assert!(advice("systemd-resolve (process 7)", 53).contains("DNSStubListener=no"));
        assert!(advice("systemd (process 1)", 53).contains("socket unit"));
        assert!(advice("a process of user 101", 53).contains("DNSStubListener=no"));
    }

    #[test]
    fn both_families_may_listen_on_all_addresses_of_one_port() {
        let v4 = udp(address("0.0.0.0:0"), 1, &mut Inherited::default()).unwrap();
        match udp(SocketAddr::new(address("[::]:0").ip(), v4.address.port()), 1, &mut Inherited::default()) {
            // A machine without IPv6 has nothing to share.
            Err(BindError::Other { .. }) => {}
            other => assert!(other.is_ok(), "{other:?}"),
        }
    }
}
