//! The sockets of a configuration. All are bound before the daemon serves any of them.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tracing::warn;

use crate::api::types::server::Listeners;
use crate::config::Config;
use crate::net::bind::{self, BUFFER, BindError, UdpSockets};
use crate::net::inherited::Inherited;

use super::error::DaemonError;

/// A kind of Unix socket: the key that names it, its file's mode, and how many connections may wait to be accepted.
#[derive(Clone, Copy)]
struct UnixSocket {
    key: &'static str,
    mode: u32,
    backlog: i32,
}

/// Whoever can open it is the operator.
const ADMIN_SOCKET: UnixSocket = UnixSocket { key: "admin-socket", mode: 0o600, backlog: 16 };
/// As open as an address of loopback; the folder says who may enter.
const API_SOCKET: UnixSocket = UnixSocket { key: "api.listen", mode: 0o666, backlog: 1_024 };
/// Whoever can open it may say who is signed in, where `user-header` is set: the proxy belongs to the daemon's group.
const CONSOLE_SOCKET: UnixSocket = UnixSocket { key: "console.listen", mode: 0o660, backlog: 1_024 };

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
    /// Unix sockets of the API.
    pub api_sockets: Vec<PathBuf>,
    /// Whether the API uses TLS.
    pub tls: bool,
    /// Addresses of the operator's API over the network.
    pub remote_admin: Vec<SocketAddr>,
    /// Whether that uses TLS.
    pub remote_admin_tls: bool,
    /// Addresses of the web console.
    pub console: Vec<SocketAddr>,
    /// Unix sockets of the web console.
    pub console_sockets: Vec<PathBuf>,
    /// Whether that uses TLS.
    pub console_tls: bool,
    /// Addresses of `/metrics` and `/ready`.
    pub metrics: Vec<SocketAddr>,
    /// The path of the admin socket.
    pub admin: PathBuf,
}

impl Bound {
    /// The addresses of DNS and the API, for clients on this machine.
    pub fn listeners(&self) -> Listeners {
        Listeners {
            dns: self.dns.clone(),
            api: self.api.clone(),
            api_tls: self.tls,
            api_sockets: self.api_sockets.clone(),
        }
    }

    /// The address of the console for browsers; `None`: there is no console. `hosts`: its names in browsers.
    pub fn console_url(&self, hosts: &[String]) -> Option<String> {
        let Some(listen) = self.console.first() else {
            let host = hosts.first().filter(|_| !self.console_sockets.is_empty())?;
            return Some(format!("https://{host}"));
        };
        let scheme = if self.console_tls { "https" } else { "http" };
        Some(match hosts.first() {
            // The names are those of a proxy, or of a certificate.
            Some(host) if self.console_tls => format!("https://{host}:{}", listen.port()),
            Some(host) => format!("https://{host}"),
            None => format!("{scheme}://{listen}"),
        })
    }

    /// A line for each address: the service and the address.
    pub fn lines(&self) -> Vec<String> {
        let scheme = if self.tls { "https" } else { "http" };
        let dns = self.dns.iter().map(|address| format!("dns {address}"));
        let dot = self.dot.iter().map(|address| format!("dns-tls {address}"));
        let doq = self.doq.iter().map(|address| format!("dns-quic {address}"));
        let api = self.api.iter().map(|address| format!("api {scheme}://{address}"));
        let sockets = self.api_sockets.iter().map(|path| format!("api unix:{}", path.display()));
        let admin_scheme = if self.remote_admin_tls { "https" } else { "http" };
        let remote = self.remote_admin.iter().map(|address| format!("admin {admin_scheme}://{address}"));
        let console_scheme = if self.console_tls { "https" } else { "http" };
        let console = self.console.iter().map(|address| format!("console {console_scheme}://{address}"));
        let console_sockets = self.console_sockets.iter().map(|path| format!("console unix:{}", path.display()));
        let metrics = self.metrics.iter().map(|address| format!("metrics http://{address}"));
        let admin = [format!("admin {}", self.admin.display())];
        dns.chain(dot)
            .chain(doq)
            .chain(api)
            .chain(sockets)
            .chain(remote)
            .chain(console)
            .chain(console_sockets)
            .chain(metrics)
            .chain(admin)
            .collect()
    }
}

/// The bound sockets of a configuration, which nothing serves yet.
pub(super) struct Sockets {
    pub dns: Vec<(UdpSockets, TcpListener)>,
    pub dot: Vec<TcpListener>,
    pub doq: Vec<UdpSocket>,
    pub api: Vec<TcpListener>,
    pub remote_admin: Vec<TcpListener>,
    pub console: Vec<TcpListener>,
    pub console_sockets: Vec<UnixListener>,
    pub api_sockets: Vec<UnixListener>,
    pub metrics: Vec<TcpListener>,
    pub admin: UnixListener,
    /// Removes the files of Unix sockets when the daemon ends, unless systemd created them.
    pub files: Vec<SocketFile>,
}

/// The file of a Unix socket that the daemon has created. Dropping this removes the file.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // An error means that the file is gone already.
        _ = std::fs::remove_file(&self.0);
    }
}

impl Sockets {
    pub fn bind(config: &Config, inherited: &mut Inherited) -> Result<Self, DaemonError> {
        let threads = config.dns.threads;
        let dns = bind::each(&config.dns.listen, |address| bind::udp_and_tcp(address, threads, inherited));
        let dns: Vec<_> = dns.into_iter().collect::<Result<_, _>>()?;
        let quic = bind::each(&config.dns.quic_listen, |address| bind::udp(address, 1, inherited));
        let quic: Vec<_> = quic.into_iter().collect::<Result<_, _>>()?;
        dns.iter().map(|(udp, _)| udp).chain(&quic).for_each(warn_of_small_buffers);
        let doq = quic.into_iter().flat_map(|udp| udp.sockets).collect();
        let dot = bind_tcp(&config.dns.tls_listen, inherited)?;
        let api = bind_tcp(&config.api.listen, inherited)?;
        let remote_admin = bind_tcp(&config.admin.listen, inherited)?;
        let console = bind_tcp(&config.console.listen, inherited)?;
        let metrics = bind_tcp(&config.metrics, inherited)?;
        let mut files = Vec::new();
        let mut api_sockets = Vec::new();
        for path in &config.api.sockets {
            api_sockets.push(unix(path, API_SOCKET, inherited, &mut files)?);
        }
        let mut console_sockets = Vec::new();
        for path in &config.console.sockets {
            console_sockets.push(unix(path, CONSOLE_SOCKET, inherited, &mut files)?);
        }
        let admin = unix(&config.admin_socket, ADMIN_SOCKET, inherited, &mut files)?;
        for left in inherited.unclaimed() {
            warn!("systemd passed {left}, which no `listen` key of the configuration names");
        }
        Ok(Self { dns, dot, doq, api, api_sockets, remote_admin, console, console_sockets, metrics, admin, files })
    }

    pub fn bound(&self, config: &Config) -> io::Result<Bound> {
        Ok(Bound {
            dns: self.dns.iter().map(|(udp, _)| udp.address).collect(),
            dot: addresses(&self.dot)?,
            doq: self.doq.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?,
            api: addresses(&self.api)?,
            api_sockets: config.api.sockets.clone(),
            tls: config.api.tls.is_some(),
            remote_admin: addresses(&self.remote_admin)?,
            remote_admin_tls: config.admin.tls.is_some(),
            console: addresses(&self.console)?,
            console_sockets: config.console.sockets.clone(),
            console_tls: config.console.tls.is_some(),
            metrics: addresses(&self.metrics)?,
            admin: config.admin_socket.clone(),
        })
    }
}

fn bind_tcp(addresses: &[SocketAddr], inherited: &mut Inherited) -> Result<Vec<TcpListener>, BindError> {
    bind::each(addresses, |address| bind::tcp(address, inherited)).into_iter().collect()
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

/// Takes over a Unix socket from systemd, or creates it. Replaces the file of a daemon that was killed, and no other file.
fn unix(
    path: &Path,
    kind: UnixSocket,
    inherited: &mut Inherited,
    files: &mut Vec<SocketFile>,
) -> Result<UnixListener, DaemonError> {
    if let Some(listener) = inherited.unix(path) {
        return Ok(listener);
    }
    let (key, path) = (kind.key, path.to_owned());
    if UnixStream::connect(&path).is_ok() {
        return Err(DaemonError::SocketInUse { key, path });
    }
    if path.symlink_metadata().is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(DaemonError::NoSocket { key, path });
    }
    match remove_if_present(&path).and_then(|()| listen(&path, kind)) {
        Ok(listener) => {
            files.push(SocketFile(path));
            Ok(listener)
        }
        Err(source) => Err(DaemonError::Socket { key, path, source }),
    }
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Binds with the mode from the start: before a later chmod, others could connect, and the umask concerns the whole
/// process.
fn listen(path: &Path, kind: UnixSocket) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux gives the file the mode of the socket, less the umask (unix(7)).
    rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(kind.mode))?;
    socket.bind(&SockAddr::unix(path)?)?;
    if kind.mode & 0o077 != 0 {
        rustix::fs::chmod(path, rustix::fs::Mode::from_raw_mode(kind.mode))?;
    }
    socket.listen(kind.backlog)?;
    Ok(socket.into())
}
