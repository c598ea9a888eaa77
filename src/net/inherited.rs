//! Sockets that systemd has opened (socket activation): they give access to port 53 without any privilege.

use std::env;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;

use listenfd::ListenFd;

/// The sockets passed by systemd (`LISTEN_FDS`) that no listener has claimed yet.
///
/// A listener finds its socket by the local address, not by a name: the addresses are in the configuration already. A
/// socket unit with another address is a mistake, which [`Inherited::unclaimed`] reports.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Passed>);

#[derive(Debug)]
struct Passed {
    /// From `LISTEN_FDNAMES`: `FileDescriptorName=` of the socket unit.
    name: String,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpListener),
    Unix(UnixListener),
    /// Any other descriptor.
    Other,
}

impl Inherited {
    /// Takes over what the environment announces. To be called once, at the start of the process.
    pub fn from_env() -> Self {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').map(str::to_owned);
        let mut passed = ListenFd::from_env();
        Self(
            (0..passed.len())
                .map(|index| Passed {
                    name: names.next().unwrap_or_default(),
                    socket: take(&mut passed, index).unwrap_or(Socket::Other),
                })
                .collect(),
        )
    }

    /// The UDP socket that is bound to `address`.
    pub fn udp(&mut self, address: SocketAddr) -> Option<UdpSocket> {
        match self.claim(|socket| matches!(socket, Socket::Udp(udp) if is_at(udp.local_addr(), address)))? {
            Socket::Udp(udp) => Some(udp),
            _ => None,
        }
    }

    /// The TCP listener that is bound to `address`.
    pub fn tcp(&mut self, address: SocketAddr) -> Option<TcpListener> {
        match self.claim(|socket| matches!(socket, Socket::Tcp(tcp) if is_at(tcp.local_addr(), address)))? {
            Socket::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }

    /// The Unix stream listener at `path`.
    pub fn unix(&mut self, path: &Path) -> Option<UnixListener> {
        match self.claim(|socket| matches!(socket, Socket::Unix(unix) if is_at_path(unix, path)))? {
            Socket::Unix(unix) => Some(unix),
            _ => None,
        }
    }

    /// Describes the sockets that no listener has claimed. The configuration most likely lacks their addresses.
    pub fn unclaimed(&self) -> Vec<String> {
        self.0.iter().map(Passed::describe).collect()
    }

    fn claim(&mut self, wanted: impl Fn(&Socket) -> bool) -> Option<Socket> {
        let index = self.0.iter().position(|passed| wanted(&passed.socket))?;
        Some(self.0.swap_remove(index).socket)
    }
}

impl Passed {
    fn describe(&self) -> String {
        let what = match &self.socket {
            Socket::Udp(udp) => format!("UDP {}", address_text(udp.local_addr().ok())),
            Socket::Tcp(tcp) => format!("TCP {}", address_text(tcp.local_addr().ok())),
            Socket::Unix(_) => "a Unix socket".to_owned(),
            Socket::Other => "a descriptor that is neither UDP, TCP nor a Unix listener".to_owned(),
        };
        if self.name.is_empty() { what } else { format!("{what} ({})", self.name) }
    }
}

fn address_text(address: Option<SocketAddr>) -> String {
    address.map_or_else(|| "of an unknown address".to_owned(), |address| address.to_string())
}

fn is_at(local: std::io::Result<SocketAddr>, wanted: SocketAddr) -> bool {
    local.is_ok_and(|local| local == wanted)
}

fn is_at_path(unix: &UnixListener, path: &Path) -> bool {
    unix.local_addr().is_ok_and(|local| local.as_pathname() == Some(path))
}

/// Takes a descriptor over. An error means another kind of socket, which stays where it is.
fn take(passed: &mut ListenFd, index: usize) -> Option<Socket> {
    if let Ok(Some(udp)) = passed.take_udp_socket(index) {
        return Some(Socket::Udp(udp));
    }
    if let Ok(Some(tcp)) = passed.take_tcp_listener(index) {
        return Some(Socket::Tcp(tcp));
    }
    passed.take_unix_listener(index).ok().flatten().map(Socket::Unix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_handed_out_once_to_whoever_names_its_address() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let (at_udp, at_tcp) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
        let mut inherited = Inherited(vec![
            Passed { name: "dns".into(), socket: Socket::Udp(udp) },
            Passed { name: String::new(), socket: Socket::Tcp(tcp) },
            Passed { name: "odd".into(), socket: Socket::Other },
        ]);
        assert!(inherited.udp("127.0.0.1:1".parse().unwrap()).is_none());
        assert!(inherited.tcp(at_udp).is_none(), "a UDP socket is not a TCP listener");
        assert_eq!(inherited.unclaimed()[0], format!("UDP {at_udp} (dns)"));
        assert!(inherited.udp(at_udp).is_some() && inherited.udp(at_udp).is_none());
        assert!(inherited.tcp(at_tcp).is_some());
        assert_eq!(inherited.unclaimed().len(), 1);
    }
}
