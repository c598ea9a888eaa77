//! HTTP/1.1 by hand: what is sent are the test's own bytes, and what comes back is kept as it came.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::PATIENCE;
use super::upstream::Asked;

/// A reply.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    /// The status line and the headers, as they came.
    pub head: String,
    pub body: String,
}

impl Reply {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// That it is a failure in acme-dns's form with this status and code.
    pub fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.body.starts_with(&format!("{{\"error\": \"{code}\"")), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        assert!(!self.body.contains('\n') && self.json()["message"].is_string(), "{self:?}");
    }
}

/// A connection that speaks HTTP/1.1.
pub struct Wire<S>(pub S);

/// A plain one.
pub fn connect(server: SocketAddr) -> Wire<TcpStream> {
    connect_from(Ipv4Addr::LOCALHOST, server)
}

/// A plain one; `None` where the server is gone.
pub fn try_connect(server: SocketAddr) -> Option<Wire<TcpStream>> {
    match connected(Ipv4Addr::LOCALHOST, server) {
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset) => None,
        wire => Some(wire.unwrap()),
    }
}

/// A plain one from another loopback address.
pub fn connect_from(local: Ipv4Addr, server: SocketAddr) -> Wire<TcpStream> {
    connected(local, server).unwrap()
}

fn connected(local: Ipv4Addr, server: SocketAddr) -> io::Result<Wire<TcpStream>> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((local, 0)).into())?;
    socket.connect(&server.into())?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(Wire(stream))
}

impl Wire<TcpStream> {
    /// Whether the server closes it within a time; what it said before.
    pub fn closes_within(&mut self, time: Duration) -> (bool, String) {
        self.0.set_read_timeout(Some(time)).unwrap();
        let mut said = Vec::new();
        let closed = match self.0.read_to_end(&mut said) {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        };
        (closed, String::from_utf8_lossy(&said).into_owned())
    }
}

impl<S: Read + Write> Wire<S> {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
        self.0.flush().unwrap();
    }

    pub fn receive(&mut self) -> Reply {
        self.try_receive().expect("a reply over HTTP")
    }

    /// A reply; `None` where the connection ends before it is whole.
    pub fn try_receive(&mut self) -> Option<Reply> {
        let mut reply = self.try_message()?;
        reply.status = reply.head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(reply)
    }

    /// A request's head and body; `None` where the connection ends before it is whole.
    pub fn try_request(&mut self) -> Option<Asked> {
        let Reply { head, body, .. } = self.try_message()?;
        Some(Asked { head, body })
    }

    fn try_message(&mut self) -> Option<Reply> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut message = Reply { status: 0, head, body: String::new() };
        assert!(message.header("transfer-encoding").is_none(), "a length is simpler: {message:?}");
        let length = message.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        message.body = String::from_utf8(body).unwrap();
        Some(message)
    }

    pub fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        self.send(bytes);
        self.receive()
    }
}

/// A request's bytes. `headers` are whole lines.
pub fn request(method: &str, path: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut out = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    headers.iter().for_each(|line| out.push_str(&format!("{line}\r\n")));
    if !body.is_empty() {
        out.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    (out + "\r\n" + body).into_bytes()
}

/// One request on a connection of its own.
pub fn send(server: SocketAddr, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
    connect(server).exchange(request(method, path, headers, body))
}

pub fn get(server: SocketAddr, path: &str) -> Reply {
    send(server, "GET", path, &[], "")
}

pub fn post(server: SocketAddr, path: &str, headers: &[&str], body: &str) -> Reply {
    send(server, "POST", path, headers, body)
}
