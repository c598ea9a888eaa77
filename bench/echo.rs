//! The least that a UDP server can do: one datagram in, the same one out, marked as a response. What `bench/dns` holds
//! against all that do more.
//!
//! `cargo run --profile dist --example echo -- 127.0.0.1:5301`

use std::net::UdpSocket;

fn main() -> std::io::Result<()> {
    let socket = UdpSocket::bind(std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5301".into()))?;
    let mut buffer = [0; 4_096];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer)?;
        if let Some(flags) = buffer[..length].get_mut(2) {
            *flags |= 0x80;
        }
        socket.send_to(&buffer[..length], peer)?;
    }
}
