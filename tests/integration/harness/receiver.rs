//! A receiver of webhooks, which fails as its script says.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;
use socket2::SockRef;

/// What the receiver does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Closes the connection with a RST.
    Resets,
    /// Reads the request and never answers.
    Hangs,
    /// Answers with this status.
    Answers(u16),
}

/// One request, and what became of it.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub signed: bool,
    pub message: Value,
    pub became: Does,
}

impl Received {
    /// What the message says: its type, kind and subject.
    pub fn says(&self) -> [String; 3] {
        let data = &self.message["data"];
        [&self.message["type"], &data["kind"], &data["subject"]]
            .map(|text| text.as_str().unwrap_or_default().to_owned())
    }
}

pub struct Receiver {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    script: VecDeque<Does>,
    received: Vec<Received>,
    /// Connections that hang stay open.
    held: Vec<TcpStream>,
}

/// The key of the signatures, and the text of its file.
const KEY: [u8; 32] = [42; 32];

pub fn secret() -> String {
    format!("whsec_{}\n", STANDARD.encode(KEY))
}

impl Receiver {
    /// Listens at an address. Without a script every message is taken.
    pub fn start(address: SocketAddr, script: &[Does]) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let state = State { script: script.iter().copied().collect(), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = shared.clone();
                std::thread::spawn(move || serve(&shared, stream));
            }
        });
        Self { state }
    }

    pub fn received(&self) -> Vec<Received> {
        lock(&self.state).received.clone()
    }

    /// The messages that it has taken, in their order.
    pub fn taken(&self) -> Vec<Received> {
        let mut received = self.received();
        received.retain(|one| matches!(one.became, Does::Answers(200..300)));
        received
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(state: &Mutex<State>, mut stream: TcpStream) {
    stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let Some((head, body)) = read_request(&mut reader) else { return };
    let header = |name: &str| {
        let prefix = format!("{name}: ");
        head.iter()
            .find_map(|line| line.to_ascii_lowercase().starts_with(&prefix).then(|| line[prefix.len()..].to_owned()))
    };
    assert!(head[0].starts_with("POST /hook?token=1 HTTP/1.1"), "{head:?}");
    assert_eq!(header("content-type").as_deref(), Some("application/json"), "{head:?}");
    let id = header("webhook-id").unwrap_or_default();
    let at = header("webhook-timestamp").unwrap_or_default();
    let signature = header("webhook-signature").unwrap_or_default();
    let mut signed = format!("{id}.{at}.").into_bytes();
    signed.extend_from_slice(&body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &KEY);
    let is_signed = signature == format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)));
    let message = serde_json::from_slice(&body).unwrap();
    let mut state = lock(state);
    let became = state.script.pop_front().unwrap_or(Does::Answers(200));
    state.received.push(Received { id, signed: is_signed, message, became });
    match became {
        Does::Resets => SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
        Does::Hangs => state.held.push(stream),
        Does::Answers(status) => {
            let location =
                if (300..400).contains(&status) { "Location: http://169.254.169.254/latest\r\n" } else { "" };
            _ = stream.write_all(format!("HTTP/1.1 {status} x\r\n{location}Content-Length: 2\r\n\r\nno").as_bytes());
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<(Vec<String>, Vec<u8>)> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length = head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}
