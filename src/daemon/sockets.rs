//! The sockets of a configuration: all bound before any is served.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tracing::warn;

use crate::config::Config;
use crate::net::bind::{self, BUFFER, UdpSockets};
use crate::net::inherited::Inherited;

use super::error::DaemonError;

/// Operators that wait to be accepted.
const BACKLOG: i32 = 16;

/// What the daemon listens on, once all of it is bound.
#[derive(Debug, Clone)]
pub struct Bound {
    /// DNS, over UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// DNS over TLS.
    pub dot: Vec<SocketAddr>,
    /// DNS over QUIC.
    pub doq: Vec<SocketAddr>,
    /// The API.
    pub api: Vec<SocketAddr>,
    /// Whether the API speaks TLS.
    pub tls: bool,
    /// `/metrics` and `/ready`.
    pub metrics: Vec<SocketAddr>,
    /// The operator's socket.
    pub admin: PathBuf,
}

impl Bound {
    /// A line for each: what it is and where.
    pub fn lines(&self) -> Vec<String> {
        let scheme = if self.tls { "https" } else { "http" };
        let dns = self.dns.iter().map(|address| format!("dns {address}"));
        let dot = self.dot.iter().map(|address| format!("dns-tls {address}"));
        let doq = self.doq.iter().map(|address| format!("dns-quic {address}"));
        let api = self.api.iter().map(|address| format!("api {scheme}://{address}"));
        let metrics = self.metrics.iter().map(|address| format!("metrics http://{address}"));
        let admin = [format!("admin {}", self.admin.display())];
        dns.chain(dot).chain(doq).chain(api).chain(metrics).chain(admin).collect()
    }
}

/// The sockets of a configuration, all bound and none served yet.
pub(super) struct Sockets {
    pub dns: Vec<(UdpSockets, TcpListener)>,
    pub dot: Vec<TcpListener>,
    pub doq: Vec<UdpSocket>,
    pub api: Vec<TcpListener>,
    pub metrics: Vec<TcpListener>,
    pub admin: UnixListener,
    /// Removes the socket's file with the daemon, however it ends, unless systemd made it.
    pub admin_file: Option<AdminFile>,
}

/// The file of a socket of our own.
#[derive(Debug)]
pub(super) struct AdminFile(PathBuf);

impl Drop for AdminFile {
    fn drop(&mut self) {
        // Gone already is as good.
        _ = std::fs::remove_file(&self.0);
    }
}

impl Sockets {
    pub fn bind(config: &Config, inherited: &mut Inherited) -> Result<Self, DaemonError> {
        let mut dns = Vec::new();
        for &address in &config.dns.listen {
            let (udp, tcp) = bind::udp_and_tcp(address, config.dns.threads, inherited)?;
            warn_of_small_buffers(&udp);
            dns.push((udp, tcp));
        }
        let mut doq = Vec::new();
        for &address in &config.dns.quic_listen {
            let udp = bind::udp(address, 1, inherited)?;
            warn_of_small_buffers(&udp);
            doq.extend(udp.sockets);
        }
        let mut tcp = |addresses: &[SocketAddr]| {
            addresses.iter().map(|&address| bind::tcp(address, inherited)).collect::<Result<Vec<_>, _>>()
        };
        let (dot, api, metrics) = (tcp(&config.dns.tls_listen)?, tcp(&config.api.listen)?, tcp(&config.metrics)?);
        let inherited_admin = inherited.unix(&config.admin_socket);
        let (admin, admin_file) = match inherited_admin {
            Some(listener) => (listener, None),
            None => (admin_socket(&config.admin_socket)?, Some(AdminFile(config.admin_socket.clone()))),
        };
        for left in inherited.unclaimed() {
            warn!("systemd passed {left}, which the configuration does not listen on");
        }
        Ok(Self { dns, dot, doq, api, metrics, admin, admin_file })
    }

    pub fn bound(&self, config: &Config) -> io::Result<Bound> {
        let addresses = |listeners: &[TcpListener]| -> io::Result<Vec<SocketAddr>> {
            listeners.iter().map(TcpListener::local_addr).collect()
        };
        Ok(Bound {
            dns: self.dns.iter().map(|(udp, _)| udp.address).collect(),
            dot: addresses(&self.dot)?,
            doq: self.doq.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?,
            api: addresses(&self.api)?,
            tls: config.api.tls.is_some(),
            metrics: addresses(&self.metrics)?,
            admin: config.admin_socket.clone(),
        })
    }
}

fn warn_of_small_buffers(udp: &UdpSockets) {
    if udp.receive_buffer < BUFFER {
        warn!(
            address = %udp.address, asked = BUFFER, granted = udp.receive_buffer,
            "the kernel limits the receive buffer: bursts of queries may be lost; raise net.core.rmem_max"
        );
    }
}

/// The operator's socket, which only its owner may open. One left behind by a daemon that was killed is replaced.
fn admin_socket(path: &Path) -> Result<UnixListener, DaemonError> {
    let failed = |source| DaemonError::AdminSocket { path: path.to_owned(), source };
    if UnixStream::connect(path).is_ok() {
        return Err(DaemonError::AdminSocketInUse(path.to_owned()));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    listen_private(path).map_err(failed)
}

/// Binds with mode 0600 from the first moment: chmod afterwards would leave one in which others may connect, and the
/// umask is the whole process's.
fn listen_private(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux gives the socket's file the mode of the socket itself (unix(7)).
    rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(0o600))?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
