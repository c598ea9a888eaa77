//! The API over real sockets, in raw bytes: what clients see is what counts.

mod admin;
mod contract;
mod enrolment;
mod own_account;
mod own_names;
mod registration;
mod replay;
mod routers;
mod storage;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::http::Server;
use crate::api::credentials::tests::Fixture;
use crate::net::connections::Connections;
use crate::net::dns_client::DnsClient;
use axum::Router;

/// A served API and everything behind it.
pub struct Site {
    pub fixture: Fixture,
    address: std::net::SocketAddr,
    server: JoinHandle<()>,
}

/// A reply in its parts.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    fn parse(raw: &str) -> Self {
        let (head, body) = raw.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no reply: {raw:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line == header)
    }

    /// Whether it is this failure in the form that all failures have.
    #[track_caller]
    pub fn is_failure(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.body.starts_with(&format!("{{\"error\": \"{code}\", \"message\": \"")), "{self:?}");
        assert!(!self.body.contains('\n') && self.has("cache-control: no-store"), "{self:?}");
        assert!(self.has("content-type: application/json") && self.json()["message"] != "", "{self:?}");
        assert_eq!(self.head.contains("retry-after: "), status == 429 || status == 503, "{self:?}");
    }
}

impl Site {
    pub async fn new(api: &str) -> Self {
        Self::with_lookup(api, routers::nobody()).await
    }

    pub async fn with_lookup(api: &str, lookup: DnsClient) -> Self {
        Self::of(|fixture| routers::public(fixture, api, lookup)).await
    }

    pub async fn of(router: impl FnOnce(&Fixture) -> Router) -> Self {
        let fixture = Fixture::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::new(router(&fixture), Connections::new(64, 64));
        let server = tokio::spawn(server.serve(listener, None, std::future::pending()));
        Self { fixture, address, server }
    }

    /// Sends bytes as they are, and reads until the server closes.
    pub async fn raw(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        Reply::parse(&reply)
    }

    /// Sends a request with these header lines, each ending in `\r\n`.
    pub async fn ask(&self, what: &str, headers: &str, body: &str) -> Reply {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        self.raw(&format!("{what} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n{length}{headers}\r\n{body}")).await
    }

    /// Registers, and gives the reply's members.
    pub async fn register(&self, body: &str) -> Registered {
        let reply = self.ask("POST /register", "", body).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        Registered(reply.json())
    }

    pub async fn update(&self, who: &Registered, txt: &str) -> Reply {
        let body = format!("{{\"subdomain\":\"{}\",\"txt\":\"{txt}\"}}", who.text("subdomain"));
        self.ask("POST /update", &who.headers(), &body).await
    }

    pub fn live(&self, fulldomain: &str) -> Vec<String> {
        let (label, zone) = fulldomain.split_once('.').unwrap();
        let owner = crate::model::name::Owner { zone: zone.parse().unwrap(), label: label.parse().unwrap() };
        self.fixture.publisher.values(&owner).iter().map(|value| value.txt.to_string()).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What a registration's reply holds.
pub struct Registered(pub Value);

impl Registered {
    pub fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap()
    }

    pub fn headers(&self) -> String {
        format!("X-Api-User: {}\r\nX-Api-Key: {}\r\n", self.text("username"), self.text("password"))
    }
}

pub fn txt(letter: &str) -> String {
    letter.repeat(43)
}
