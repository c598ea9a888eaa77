//! Finds out from `/proc` which process holds a port, for the error message of a failed start. Best effort.

use std::fmt;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// The most processes that are looked at: a busy machine must not delay the message.
const MAX_PROCESSES: usize = 4_096;
/// The most descriptors that are looked at.
const MAX_DESCRIPTORS: usize = 65_536;

/// The process that has a socket on a port, as far as it can be found out.
#[derive(Debug, PartialEq, Eq)]
pub enum PortHolder {
    /// A process that this one may look at.
    Process { id: u32, name: String },
    /// Only the user is known: only root may look into the processes of other users.
    User { name: String },
}

impl PortHolder {
    /// Whether it is the process that asks.
    pub fn is_this_process(&self) -> bool {
        matches!(self, Self::Process { id, .. } if *id == std::process::id())
    }
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { id, name } => write!(f, "{name} (process {id})"),
            Self::User { name } => write!(f, "{name} (a process of that user)"),
        }
    }
}

/// Finds the holder of a local address, or of all addresses on its port. `table` is `udp` or `tcp`.
pub fn of_address(table: &str, address: SocketAddr) -> Option<PortHolder> {
    let socket = [table.to_owned(), format!("{table}6")].iter().find_map(|table| {
        let text = fs::read_to_string(Path::new("/proc/self/net").join(table)).ok()?;
        text.lines().find_map(|line| socket_on(line, address))
    })?;
    Some(process_with(socket.inode).unwrap_or(PortHolder::User { name: user_name(socket.user) }))
}

/// The name of a user, or the user's number if `/etc/passwd` does not have it.
fn user_name(id: u32) -> String {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("user {id}"))
}

struct Socket {
    user: u32,
    inode: u64,
}

/// Reads a line of `/proc/net/udp`: `sl local remote state queues timer retransmits uid timeout inode ...`.
fn socket_on(line: &str, address: SocketAddr) -> Option<Socket> {
    /// A TCP socket that listens. In any other state it is one end of a connection, which holds no port.
    const LISTENS: &str = "0A";
    /// A UDP socket without a peer.
    const UNCONNECTED: &str = "07";
    let mut fields = line.split_whitespace().skip(1);
    let (local, local_port) = fields.next()?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    let is_all = address.ip().is_unspecified() || local.bytes().all(|digit| digit == b'0');
    let is_there =
        u16::from_str_radix(local_port, 16).ok()? == address.port() && (is_all || local == in_hex(address.ip()));
    if !is_there || !matches!(state, LISTENS | UNCONNECTED) {
        return None;
    }
    let user = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(Socket { user, inode })
}

/// An address as the kernel writes it: words in the machine's byte order.
fn in_hex(address: IpAddr) -> String {
    let bytes = match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let words = bytes.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    words.map(|word| format!("{word:08X}")).collect()
}

fn process_with(inode: u64) -> Option<PortHolder> {
    let target = format!("socket:[{inode}]");
    let mut descriptors = 0;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for id in ids.take(MAX_PROCESSES) {
        let process = Path::new("/proc").join(id.to_string());
        for link in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
            descriptors += 1;
            if fs::read_link(link.path()).is_ok_and(|path| path.as_os_str() == target.as_str()) {
                let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
                return Some(PortHolder::Process { id, name: name.trim().to_owned() });
            }
        }
        if descriptors > MAX_DESCRIPTORS {
            break;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn a_port_of_this_very_process_is_found() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind("[::1]:0").or_else(|_| TcpListener::bind("127.0.0.1:0")).unwrap();
        for (table, address) in [("udp", udp.local_addr().unwrap()), ("tcp", tcp.local_addr().unwrap())] {
            let holder = of_address(table, address);
            let Some(PortHolder::Process { id, .. }) = holder else { panic!("{table} {address}: {holder:?}") };
            assert_eq!(id, std::process::id());
        }
    }

    #[test]
    fn lines_of_the_kernel_are_read() {
        let line =
            "  318: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 20562 2 0 0";
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let socket = socket_on(line, at("127.0.0.53:53")).unwrap();
        assert_eq!((socket.user, socket.inode), (101, 20_562));
        assert!(socket_on(line, at("0.0.0.0:53")).is_some(), "all addresses include that one");
        assert!(socket_on(line, at("127.0.0.53:54")).is_none());
        assert!(socket_on(line, at("127.0.0.1:53")).is_none(), "another address is free");
        assert!(socket_on("  sl  local_address rem_address   st tx_queue", at("0.0.0.0:53")).is_none());
    }
}
