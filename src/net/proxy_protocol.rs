//! The PROXY protocol, version 2: how a load balancer tells the address of the client whose connection it forwards
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).
//!
//! A listener reads headers from named proxies only, and requires one from each of them. Without either rule a client
//! could claim any address: by its own header, or through a proxy that adds none.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::{debug, warn};

/// The bytes with which each header of version 2 begins (section 2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The bytes with which each header of version 1 begins (section 2.1).
const VERSION_1: [u8; 6] = *b"PROXY ";
/// The most bytes that may follow the fixed part of a header: addresses and TLVs. Proxies send some dozens, or a few
/// hundred where they name a TLS certificate.
const MAX_VARIABLE: usize = 4_096;
/// How long a proxy may take to send its header. Proxies send it first, in one segment.
const PATIENCE: Duration = Duration::from_secs(5);
/// The least time between two log lines of one kind.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The address of clients that a proxy knows nothing about. Only networks that hold all of IPv4 contain it, so accounts
/// that are limited to networks are refused.
const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// On whose behalf a proxy has opened a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxiedClient {
    /// A client with this address and port.
    At(SocketAddr),
    /// A client whose address the proxy does not tell, such as one on a Unix socket.
    Unknown,
    /// The proxy itself, for a health check (the command LOCAL).
    Proxy,
}

/// Why a connection of a proxy is closed.
#[derive(Debug, Error)]
pub enum ProxyProtocolError {
    #[error(
        "found a header of PROXY protocol version 1; txtgate reads version 2 only: write `send-proxy-v2` in place of \
         `send-proxy` in HAProxy, or choose version 2 in your load balancer"
    )]
    Version1,
    #[error("found version {0} of the PROXY protocol, expected 2")]
    Version(u8),
    #[error(
        "no PROXY protocol header at its start; let the proxy send one (HAProxy: `send-proxy-v2`), or set `proxy-protocol \
         = false`"
    )]
    Missing,
    #[error("command {0} of a PROXY protocol header is neither LOCAL (0) nor PROXY (1)")]
    Command(u8),
    #[error("address family and transport {0:#04x} of a PROXY protocol header are not defined")]
    Family(u8),
    #[error("a PROXY protocol header has {found} bytes of addresses, expected at least {expected}")]
    Short { found: usize, expected: usize },
    #[error("a PROXY protocol header has {0} bytes of addresses and TLVs, expected at most {MAX_VARIABLE}")]
    Long(usize),
    #[error("no whole PROXY protocol header within {} s", PATIENCE.as_secs())]
    Slow,
    #[error("the connection failed before its PROXY protocol header: {0}")]
    Io(#[from] io::Error),
}

/// The proxies whose headers a listener reads, if any; a cheap handle.
#[derive(Clone, Default)]
pub struct ProxyProtocol {
    proxies: Arc<[IpNet]>,
    logged: Arc<LastLogged>,
}

/// When each kind of line was last logged.
#[derive(Default)]
struct LastLogged {
    unasked: Mutex<Option<Instant>>,
    invalid: Mutex<Option<Instant>>,
}

impl fmt::Debug for ProxyProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyProtocol").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}

impl ProxyProtocol {
    /// Reads headers from `proxies` and from nobody else.
    pub fn from_proxies(proxies: &[IpNet]) -> Self {
        Self { proxies: proxies.into(), logged: Arc::default() }
    }

    /// Reads no headers.
    pub fn off() -> Self {
        Self::default()
    }

    /// Whether a connection from `peer` begins with a header.
    pub fn is_proxy(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.proxies.iter().any(|proxies| proxies.contains(&peer))
    }

    /// The address of the client behind a connection that has just been accepted from `peer`. Reads the header if `peer`
    /// is a proxy, and nothing otherwise. `None` if there is no valid header, which the log says for the listener `what`
    /// at most once a minute; the connection must be closed then.
    pub async fn client_of<S: AsyncRead + Unpin>(
        &self,
        what: &str,
        stream: &mut S,
        peer: SocketAddr,
    ) -> Option<SocketAddr> {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if !self.is_proxy(peer.ip()) {
            return Some(peer);
        }
        match read_header(stream).await {
            Ok(ProxiedClient::At(client)) => Some(client),
            Ok(ProxiedClient::Unknown) => Some(UNKNOWN),
            Ok(ProxiedClient::Proxy) => Some(peer),
            // A health check that only connects is none of the operator's concern.
            Err(ProxyProtocolError::Io(error)) => {
                debug!(%peer, "{what}: the connection failed before its PROXY protocol header: {error}");
                None
            }
            Err(error) => {
                if is_due(&self.logged.invalid) {
                    warn!(%peer, "{what}: a connection from a trusted proxy was closed: {error}");
                }
                None
            }
        }
    }

    /// Logs that a PROXY header has arrived on the listener `what` from a peer that is not to send one; at most once a
    /// minute.
    pub fn warn_of_unasked(&self, what: &str, peer: IpAddr) {
        if is_due(&self.logged.unasked) {
            warn!(
                peer = %peer.to_canonical(),
                "{what}: a PROXY protocol header arrived unasked, and the connection was closed; if the peer is your \
                 proxy, name it in `trusted-proxies` of [api] and set `proxy-protocol = true` for this listener; \
                 otherwise let the proxy send none"
            );
        }
    }
}

fn is_due(logged: &Mutex<Option<Instant>>) -> bool {
    let mut logged = logged.lock().unwrap_or_else(PoisonError::into_inner);
    let is_due = logged.is_none_or(|then| then.elapsed() >= LOG_EVERY);
    if is_due {
        *logged = Some(Instant::now());
    }
    is_due
}

/// Whether a connection begins with a PROXY header, of version 1 or 2. A header that has arrived only in part is not
/// recognised.
pub fn is_header(start: &[u8]) -> bool {
    start.starts_with(&SIGNATURE) || start.starts_with(&VERSION_1)
}

/// Whether a PROXY header has arrived on a connection. Waits for the first bytes and leaves them in place, so the caller
/// must limit the time.
pub async fn has_header(stream: &TcpStream) -> bool {
    let mut start = [0; SIGNATURE.len()];
    let count = stream.peek(&mut start).await.unwrap_or_default();
    is_header(&start[..count])
}

/// Reads a header of version 2 (section 2.2) and not one byte more. TLVs are skipped.
pub async fn read_header<S: AsyncRead + Unpin>(stream: &mut S) -> Result<ProxiedClient, ProxyProtocolError> {
    read_within(PATIENCE, stream).await
}

async fn read_within<S: AsyncRead + Unpin>(
    limit: Duration,
    stream: &mut S,
) -> Result<ProxiedClient, ProxyProtocolError> {
    timeout(limit, read_unlimited(stream)).await.unwrap_or(Err(ProxyProtocolError::Slow))
}

async fn read_unlimited<S: AsyncRead + Unpin>(stream: &mut S) -> Result<ProxiedClient, ProxyProtocolError> {
    let mut signature = [0; SIGNATURE.len()];
    let mut count = 0;
    // Stops at the first byte that belongs to no header, because its sender may wait for a reply before it sends more.
    while count < signature.len() {
        let read = stream.read(&mut signature[count..]).await?;
        count += read;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let start = &signature[..count];
        if start.starts_with(&VERSION_1) {
            return Err(ProxyProtocolError::Version1);
        }
        if !SIGNATURE.starts_with(start) && !VERSION_1.starts_with(start) {
            return Err(ProxyProtocolError::Missing);
        }
    }
    let [version_and_command, family, high, low] = read_bytes(stream).await?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if version_and_command >> 4 != 2 {
        return Err(ProxyProtocolError::Version(version_and_command >> 4));
    }
    if length > MAX_VARIABLE {
        return Err(ProxyProtocolError::Long(length));
    }
    let (client, read) = match version_and_command & 0xf {
        // The addresses of a LOCAL connection are to be ignored.
        0 => (ProxiedClient::Proxy, 0),
        1 => read_client(stream, family, length).await?,
        command => return Err(ProxyProtocolError::Command(command)),
    };
    skip(stream, length - read).await?;
    Ok(client)
}

/// Reads the addresses of a header, and returns how many bytes it has read.
async fn read_client<S: AsyncRead + Unpin>(
    stream: &mut S,
    family: u8,
    length: usize,
) -> Result<(ProxiedClient, usize), ProxyProtocolError> {
    const V4: usize = 12;
    const V6: usize = 36;
    let expected = match family {
        0x11 | 0x12 => V4,
        0x21 | 0x22 => V6,
        _ => 0,
    };
    if length < expected {
        return Err(ProxyProtocolError::Short { found: length, expected });
    }
    match family {
        // UNSPEC, and Unix sockets: the proxy tells no address.
        0x00 | 0x31 | 0x32 => Ok((ProxiedClient::Unknown, 0)),
        0x11 | 0x12 => {
            let [a, b, c, d, _, _, _, _, high, low, _, _] = read_bytes::<V4, _>(stream).await?;
            let port = u16::from_be_bytes([high, low]);
            Ok((ProxiedClient::At((Ipv4Addr::new(a, b, c, d), port).into()), V4))
        }
        0x21 | 0x22 => {
            let source: [u8; 16] = read_bytes(stream).await?;
            let _destination: [u8; 16] = read_bytes(stream).await?;
            let [high, low, _, _] = read_bytes(stream).await?;
            let address = IpAddr::V6(Ipv6Addr::from(source)).to_canonical();
            Ok((ProxiedClient::At((address, u16::from_be_bytes([high, low])).into()), V6))
        }
        family => Err(ProxyProtocolError::Family(family)),
    }
}

async fn read_bytes<const N: usize, S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn skip<S: AsyncRead + Unpin>(stream: &mut S, mut count: usize) -> io::Result<()> {
    let mut bytes = [0; 256];
    while count > 0 {
        let part = count.min(bytes.len());
        stream.read_exact(&mut bytes[..part]).await?;
        count -= part;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header, with what follows its fixed part.
    fn header(version_and_command: u8, family: u8, variable: &[u8]) -> Vec<u8> {
        let length = (variable.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[version_and_command, family], &length, variable].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0, 53];

    fn v6(source: &str) -> Vec<u8> {
        let source: Ipv6Addr = source.parse().unwrap();
        [&source.octets()[..], &[0; 16], &[0x30, 0x39, 0, 53]].concat()
    }

    /// What is read of `bytes`, and what is left of them.
    async fn read(bytes: &[u8]) -> (Result<ProxiedClient, String>, Vec<u8>) {
        let mut stream = bytes;
        let client = read_header(&mut stream).await.map_err(|error| error.to_string());
        (client, stream.to_vec())
    }

    #[tokio::test]
    async fn the_client_is_who_the_proxy_says_and_no_byte_behind_the_header_is_taken() {
        let at = |text: &str| ProxiedClient::At(text.parse().unwrap());
        let tlvs = [&V4[..], &[0x03, 0, 4, 1, 2, 3, 4], &[0xe0; 1_000]].concat();
        for (bytes, expected) in [
            (header(0x21, 0x11, &V4), at("192.0.2.7:12345")),
            (header(0x21, 0x12, &V4), at("192.0.2.7:12345")),
            (header(0x21, 0x11, &tlvs), at("192.0.2.7:12345")),
            (header(0x21, 0x21, &v6("2001:db8::7")), at("[2001:db8::7]:12345")),
            (header(0x21, 0x22, &v6("::ffff:192.0.2.7")), at("192.0.2.7:12345")),
            (header(0x21, 0x31, &[b'/'; 216]), ProxiedClient::Unknown),
            (header(0x21, 0x00, &[]), ProxiedClient::Unknown),
            (header(0x20, 0x00, &[]), ProxiedClient::Proxy),
            (header(0x20, 0x11, &tlvs), ProxiedClient::Proxy),
            (header(0x20, 0xff, &[1; 7]), ProxiedClient::Proxy),
            (header(0x21, 0x11, &[&V4[..], &[0; MAX_VARIABLE - 12]].concat()), at("192.0.2.7:12345")),
        ] {
            assert_eq!(read(&[&bytes[..], b"rest"].concat()).await, (Ok(expected), b"rest".to_vec()), "{bytes:02x?}");
        }
    }

    #[tokio::test]
    async fn anything_but_a_header_of_version_2_is_refused_with_advice() {
        for (bytes, words) in [
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 1 53\r\n".to_vec(), "send-proxy-v2"),
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "no PROXY protocol header"),
            (b"\r\n\r\n\0\r\nQUIT!".to_vec(), "no PROXY protocol header"),
            (b"\x00".to_vec(), "no PROXY protocol header"),
            (header(0x11, 0x11, &V4), "version 1"),
            (header(0x31, 0x11, &V4), "version 3"),
            (header(0x22, 0x11, &V4), "command 2"),
            (header(0x21, 0x13, &V4), "0x13"),
            (header(0x21, 0x11, &V4[..11]), "11 bytes"),
            (header(0x21, 0x21, &v6("::1")[..35]), "35 bytes"),
            (header(0x21, 0x11, &[0; MAX_VARIABLE + 1]), "at most 4096"),
            (header(0x21, 0x11, &V4)[..20].to_vec(), "failed"),
            (SIGNATURE[..5].to_vec(), "failed"),
            (Vec::new(), "failed"),
        ] {
            let (found, _) = read(&bytes).await;
            assert!(found.as_ref().is_err_and(|error| error.contains(words)), "{bytes:02x?}: {found:?}");
        }
    }

    #[tokio::test]
    async fn a_header_that_does_not_come_is_given_up() {
        let (mut proxy, mut stream) = tokio::io::duplex(64);
        tokio::io::AsyncWriteExt::write_all(&mut proxy, &SIGNATURE).await.unwrap();
        let read = read_within(Duration::from_millis(10), &mut stream).await;
        assert!(matches!(read, Err(ProxyProtocolError::Slow)), "{read:?}");
    }

    #[tokio::test]
    async fn a_header_counts_from_named_proxies_only() {
        let protocol = ProxyProtocol::from_proxies(&["10.0.0.0/8".parse().unwrap()]);
        let bytes = header(0x21, 0x11, &V4);
        let client = async |protocol: &ProxyProtocol, peer: &str, mut stream: &[u8]| {
            let peer = SocketAddr::new(peer.parse().unwrap(), 4_321);
            let client = protocol.client_of("test", &mut stream, peer).await;
            (client.map(|client| client.ip().to_string()), stream.len())
        };
        assert_eq!(client(&protocol, "10.1.2.3", &bytes).await, (Some("192.0.2.7".into()), 0));
        assert_eq!(client(&protocol, "::ffff:10.1.2.3", &bytes).await, (Some("192.0.2.7".into()), 0));
        assert_eq!(client(&protocol, "10.1.2.3", &header(0x20, 0, &[])).await, (Some("10.1.2.3".into()), 0));
        assert_eq!(client(&protocol, "10.1.2.3", &header(0x21, 0, &[])).await, (Some("0.0.0.0".into()), 0));
        assert_eq!(client(&protocol, "10.1.2.3", b"\x00\x1e").await.0, None);
        assert_eq!(client(&protocol, "192.0.2.9", &bytes).await, (Some("192.0.2.9".into()), bytes.len()));
        let off = ProxyProtocol::off();
        assert_eq!(client(&off, "10.1.2.3", &bytes).await, (Some("10.1.2.3".into()), bytes.len()));
    }

    #[test]
    fn headers_are_recognised_by_their_start_and_logged_once_a_minute() {
        assert!(is_header(&header(0x21, 0x11, &V4)) && is_header(b"PROXY UNKNOWN\r\n"));
        assert!(!is_header(b"\x0d\x0a\x0d\x0a") && !is_header(b"\x16\x03\x01") && !is_header(b""));
        let logged = Mutex::default();
        assert!(is_due(&logged) && !is_due(&logged));
        *logged.lock().unwrap() = Instant::now().checked_sub(LOG_EVERY);
        assert!(is_due(&logged));
    }
}
