//! The sockets of a configuration. All are bound before the daemon serves any of them.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tracing::warn;

use crate::config::Config;
use crate::net::bind::{self, BUFFER, BindError, UdpSockets};
use crate::net::inherited::Inherited;

use super::error::DaemonError;

/// Connections to the admin socket that may wait to be accepted.
const BACKLOG: i32 = 16;

/// The addresses that the daemon listens on.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Addresses of DNS over UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// Addresses of DNS over TLS.
    pub dot: Vec<SocketAddr>,
    /// Addresses of DNS over QUIC.
    pub doq: Vec<SocketAddr>,
    /// Addresses of the API.
    pub api: Vec<SocketAddr>,
    /// Whether the API uses TLS.
    pub tls: bool,
    /// Addresses of `/metrics` and `/ready`.
    pub metrics: Vec<SocketAddr>,
    /// The path of the admin socket.
    pub admin: PathBuf,
}

impl Bound {
    /// A line for each address: the service and the address.
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

/// The bound sockets of a configuration, which nothing serves yet.
pub(super) struct Sockets {
    pub dns: Vec<(UdpSockets, TcpListener)>,
    pub dot: Vec<TcpListener>,
    pub doq: Vec<UdpSocket>,
    pub api: Vec<TcpListener>,
    pub metrics: Vec<TcpListener>,
    pub admin: UnixListener,
    /// Removes the file of the admin socket when the daemon ends. `None` if systemd created the socket.
    pub admin_file: Option<AdminFile>,
}

/// The file of an admin socket that the daemon has created. Dropping this removes the file.
#[derive(Debug)]
pub(super) struct AdminFile(PathBuf);

impl Drop for AdminFile {
    fn drop(&mut self) {
        // An error means that the file is gone already.
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
        let dot = bind_tcp(&config.dns.tls_listen, inherited)?;
        let api = bind_tcp(&config.api.listen, inherited)?;
        let metrics = bind_tcp(&config.metrics, inherited)?;
        let inherited_admin = inherited.unix(&config.admin_socket);
        let (admin, admin_file) = match inherited_admin {
            Some(listener) => (listener, None),
            None => (admin_socket(&config.admin_socket)?, Some(AdminFile(config.admin_socket.clone()))),
        };
        for left in inherited.unclaimed() {
            warn!("systemd passed {left}, which no `listen` key of the configuration names");
        }
        Ok(Self { dns, dot, doq, api, metrics, admin, admin_file })
    }

    pub fn bound(&self, config: &Config) -> io::Result<Bound> {
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

fn bind_tcp(addresses: &[SocketAddr], inherited: &mut Inherited) -> Result<Vec<TcpListener>, BindError> {
    addresses.iter().map(|&address| bind::tcp(address, inherited)).collect()
}

fn addresses(listeners: &[TcpListener]) -> io::Result<Vec<SocketAddr>> {
    listeners.iter().map(TcpListener::local_addr).collect()
}

fn warn_of_small_buffers(udp: &UdpSockets) {
    if udp.receive_buffer < BUFFER {
        warn!(
            address = %udp.address, asked = BUFFER, granted = udp.receive_buffer,
            "the kernel limits the receive buffer, so bursts of queries may be lost; raise net.core.rmem_max"
        );
    }
}

/// The admin socket, which only its owner may open. Replaces the file of a daemon that was killed.
fn admin_socket(path: &Path) -> Result<UnixListener, DaemonError> {
    if UnixStream::connect(path).is_ok() {
        return Err(DaemonError::AdminSocketInUse(path.to_owned()));
    }
    let listener = remove_if_present(path).and_then(|()| listen_private(path));
    listener.map_err(|source| DaemonError::AdminSocket { path: path.to_owned(), source })
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Binds with mode 0600 from the start: before a later chmod, others could connect, and the umask concerns the whole
/// process.
fn listen_private(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux gives the file the mode of the socket (unix(7)).
    rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(0o600))?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
