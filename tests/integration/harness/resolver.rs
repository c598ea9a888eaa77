//! A recursive resolver over UDP, as a CA asks one: it knows the records of domains that a test makes up, and asks the
//! daemon for everything in its zone.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::txt::Parser;

use super::ZONE;

/// Lives as long as the test's process.
pub struct Resolver {
    pub address: SocketAddr,
    records: Arc<Mutex<HashMap<(Name, RecordType), RData>>>,
}

impl Resolver {
    /// One in front of a daemon that listens here.
    pub fn start(daemon: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let records = Arc::<Mutex<HashMap<_, _>>>::default();
        let known = records.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                let (socket, known) = (socket.try_clone().unwrap(), known.clone());
                let query = Message::from_vec(&bytes[..length]).unwrap();
                std::thread::spawn(move || {
                    let reply = answer(&query, &known.lock().unwrap_or_else(PoisonError::into_inner).clone(), daemon);
                    _ = socket.send_to(&reply.to_vec().unwrap(), from);
                });
            }
        });
        Self { address, records }
    }

    /// Adds a record, like `_acme-challenge.a.test. CNAME x.auth.example.org.`; in place of another one of its type.
    pub fn add(&self, line: &str) {
        let (name, data) = line.split_once(' ').unwrap();
        let text = format!("$TTL 1\n{name} {data}\n");
        let (_, sets) = Parser::new(text, None, Some(Name::root())).parse().unwrap();
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, set) in sets {
            let data = set.records_without_rrsigs().next().unwrap().data.clone();
            records.insert((Name::from(key.name), set.record_type()), data);
        }
    }

    /// Forgets the records of a name.
    pub fn remove(&self, name: &str) {
        let name = Name::from_ascii(name).unwrap();
        self.records.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _), _| *of != name);
    }

    /// Forgets them all.
    pub fn clear(&self) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn answer(query: &Message, known: &HashMap<(Name, RecordType), RData>, daemon: SocketAddr) -> Message {
    let mut reply = query.clone();
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_available = true;
    let (name, rtype) = (query.queries[0].name().to_lowercase(), query.queries[0].query_type());
    let zone = Name::from_ascii(format!("{ZONE}.")).unwrap();
    let mut at = name.clone();
    if let Some(data) = known.get(&(name.clone(), RecordType::CNAME)) {
        reply.add_answer(Record::from_rdata(name.clone(), 1, data.clone()));
        let RData::CNAME(CNAME(target)) = data else { panic!("{data:?}") };
        at = if rtype == RecordType::CNAME { name } else { target.to_lowercase() };
    }
    if rtype == RecordType::CNAME && !reply.answers.is_empty() {
        return reply;
    }
    if let Some(data) = known.get(&(at.clone(), rtype)) {
        reply.add_answer(Record::from_rdata(at, 1, data.clone()));
    } else if zone.zone_of(&at) {
        match forwarded(&at, query, daemon) {
            Some(theirs) => {
                reply.metadata.response_code = theirs.metadata.response_code;
                theirs.answers.into_iter().for_each(|record| _ = reply.add_answer(record));
            }
            None => reply.metadata.response_code = ResponseCode::ServFail,
        }
    } else if !known.keys().any(|(name, _)| *name == at) && reply.answers.is_empty() {
        reply.metadata.response_code = ResponseCode::NXDomain;
    }
    reply
}

fn forwarded(name: &Name, query: &Message, daemon: SocketAddr) -> Option<Message> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut question = query.clone();
    question.queries[0].set_name(name.clone());
    socket.send_to(&question.to_vec().unwrap(), daemon).unwrap();
    let mut bytes = [0; 4_096];
    let length = socket.recv(&mut bytes).ok()?;
    Message::from_vec(&bytes[..length]).ok()
}
