//! Ports for servers that cannot choose their own, because something else has to know the port before they start.

use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Mutex;

/// Below the ports that the kernel gives to clients: no client takes one before its server does.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// The locks on the ports that this process has given out, which it holds to its end.
static RESERVED: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// An address of 127.0.0.1 that nobody listens on, and that no other test gets while this process runs: a lock on a file
/// reserves the port among all the test runs of this user.
pub fn free_port() -> SocketAddr {
    let folder = lock_folder();
    let mut reserved = RESERVED.lock().unwrap();
    // Runs at the same time begin at different places.
    let first = usize::try_from(std::process::id()).unwrap().wrapping_mul(97) % PORTS.len();
    for port in PORTS.cycle().skip(first).take(PORTS.len()) {
        let file = OpenOptions::new().create(true).append(true).open(folder.join(port.to_string())).unwrap();
        if file.try_lock().is_err() {
            continue;
        }
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            reserved.push(file);
            return address;
        }
    }
    panic!("every port from {} to {} is taken", PORTS.start, PORTS.end);
}

fn lock_folder() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    let folder = std::env::temp_dir().join(format!("txtgate-test-ports-{user}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
