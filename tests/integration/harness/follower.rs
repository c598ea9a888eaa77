//! A second nameserver of the daemon's zone that does what a test tells it to.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{RData, Record, RecordType};

use super::dns::Udp;
use super::ports::free_port;

/// What it answers.
#[derive(Clone, Debug)]
pub enum Mode {
    /// What the daemon there answers.
    Follows(SocketAddr),
    /// This value at every name.
    Stale(String),
    /// This, without records.
    Rcode(ResponseCode),
    /// Nothing.
    Silent,
}

/// Lives as long as the test's process.
pub struct Follower {
    pub address: SocketAddr,
    mode: Arc<Mutex<Mode>>,
    asked: Arc<AtomicUsize>,
}

impl Follower {
    pub fn start(mode: Mode) -> Self {
        let address = free_port();
        let socket = UdpSocket::bind(address).unwrap();
        let (mode, asked) = (Arc::new(Mutex::new(mode)), Arc::<AtomicUsize>::default());
        let (now, count) = (mode.clone(), asked.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                count.fetch_add(1, Ordering::Relaxed);
                let mode = now.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(reply) = answer(&mode, &bytes[..length]) {
                    _ = socket.send_to(&reply, from);
                }
            }
        });
        Self { address, mode, asked }
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    /// The questions so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(mode: &Mode, query: &[u8]) -> Option<Vec<u8>> {
    let mut reply = Message::from_vec(query).unwrap();
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.authoritative = true;
    match mode {
        Mode::Follows(daemon) => {
            let udp = Udp::to(*daemon);
            udp.send(query);
            return udp.receive_within(Duration::from_secs(5));
        }
        Mode::Stale(value) => {
            let asked = reply.queries[0].clone();
            if asked.query_type() == RecordType::TXT {
                let text = RData::TXT(TXT::new(vec![value.clone()]));
                reply.add_answer(Record::from_rdata(asked.name().clone(), 1, text));
            }
        }
        Mode::Rcode(rcode) => reply.metadata.response_code = *rcode,
        Mode::Silent => return None,
    }
    Some(reply.to_vec().unwrap())
}
