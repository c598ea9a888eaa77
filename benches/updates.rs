//! Durable updates per second over 64 keep-alive connections, beside `GET /health` on the same connections: what HTTP
//! alone costs. Everything in one process on loopback; bounded in time.
//!
//! `cargo bench --bench updates`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and stops at the first failure")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use txtgate::config::Config;
use txtgate::daemon::Daemon;

const CONNECTIONS: usize = 64;
const SECONDS: u64 = 4;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[dns]\nlisten = [\"127.0.0.1:0\"]\n[api]\nlisten = [\"127.0.0.1:0\"]\n[metrics]\nlisten = [\"127.0.0.1:0\"]\n\
                [[zone]]\nname = \"auth.test\"\nns = [\"ns1.example.org\"]\ncontact = \"a@example.org\"\n";
    let config = Config::parse(&folder.path().join("config.toml"), text).unwrap();
    let daemon = Daemon::start(config).await.unwrap();
    let api = daemon.bound().api[0];
    let accounts = register(api).await;

    let health = vec![b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(); CONNECTIONS];
    report("GET /health ", load(api, health).await);
    report("POST /update", load(api, accounts.iter().map(update).collect()).await);
    let size = std::fs::metadata(Path::new(&folder.path().join("txtgate.db-wal"))).map_or(0, |file| file.len());
    println!("WAL {} KiB", size / 1_024);
    daemon.stop().await;
}

type Account = serde_json::Value;

async fn register(api: SocketAddr) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    let mut stream = TcpStream::connect(api).await.unwrap();
    // Within what anybody may register at once; several connections share an account.
    for _ in 0..16 {
        let reply = exchange(&mut stream, b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
        accounts.push(serde_json::from_slice(&reply).unwrap());
    }
    (0..CONNECTIONS).map(|index| accounts[index % accounts.len()].clone()).collect()
}

fn update(account: &Account) -> Vec<u8> {
    let text = |key: &str| account[key].as_str().unwrap().to_owned();
    let body = format!("{{\"subdomain\":\"{}\",\"txt\":\"{}\"}}", text("subdomain"), "a".repeat(43));
    let (user, key, length) = (text("username"), text("password"), body.len());
    format!(
        "POST /update HTTP/1.1\r\nHost: x\r\nX-Api-User: {user}\r\nX-Api-Key: {key}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends each connection's request again and again; the latencies of all.
async fn load(api: SocketAddr, requests: Vec<Vec<u8>>) -> Vec<Duration> {
    let until = Instant::now() + Duration::from_secs(SECONDS);
    let tasks = requests.into_iter().map(|request| tokio::spawn(one(api, request, until)));
    let mut all = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        all.extend(task.await.unwrap());
    }
    all
}

async fn one(api: SocketAddr, request: Vec<u8>, until: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(api).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut latencies = Vec::new();
    while Instant::now() < until {
        let start = Instant::now();
        exchange(&mut stream, &request).await;
        latencies.push(start.elapsed());
    }
    latencies
}

/// One request and its reply's body. Replies other than 2xx end the run.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Vec<u8> {
    stream.write_all(request).await.unwrap();
    let mut reply = Vec::with_capacity(1_024);
    loop {
        assert!(stream.read_buf(&mut reply).await.unwrap() > 0, "closed");
        let Some(head) = reply.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&reply[..head]).to_ascii_lowercase();
        assert!(text.starts_with("http/1.1 2"), "{}", String::from_utf8_lossy(&reply));
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if reply.len() >= head + 4 + length.unwrap_or(0) {
            return reply.split_off(head + 4);
        }
    }
}

fn report(what: &str, mut latencies: Vec<Duration>) {
    latencies.sort();
    let at = |share: usize| latencies[(latencies.len() - 1) * share / 100];
    let rate = latencies.len() as u64 / SECONDS;
    println!("{what}  {rate} /s over {CONNECTIONS} connections; p50 {:?}, p99 {:?}", at(50), at(99));
}
