use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::{A, AAAA, TXT};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::*;

/// A resolver on the loopback that knows what a test has told it. Names that it was told of exist; all others do not.
pub(crate) struct Resolver {
    pub address: SocketAddr,
    known: Arc<Mutex<HashMap<rr::Name, Vec<RData>>>>,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Resolver {
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (address, known, asked) = (socket.local_addr().unwrap(), Arc::default(), Arc::default());
        let task = tokio::spawn(serve(socket, Arc::clone(&known), Arc::clone(&asked)));
        Self { address, known, asked, task }
    }

    pub fn lookup(&self) -> Lookup {
        Lookup::new(&[self.address])
    }

    /// Has the name hold these records and no others; none: it exists.
    pub fn tell(&self, name: &str, records: &[RData]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(rr::Name::from_ascii(name).unwrap(), records.to_vec());
    }

    pub fn cname(&self, name: &str, target: &str) {
        self.tell(name, &[RData::CNAME(CNAME(rr::Name::from_ascii(target).unwrap()))]);
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, known: Arc<Mutex<HashMap<rr::Name, Vec<RData>>>>, asked: Arc<AtomicUsize>) {
    let mut packet = [0; 1_500];
    while let Ok((length, peer)) = socket.recv_from(&mut packet).await {
        let Ok(query) = Message::from_vec(&packet[..length]) else { continue };
        asked.fetch_add(1, Ordering::Relaxed);
        let reply = answer(query, &known.lock().unwrap_or_else(PoisonError::into_inner));
        socket.send_to(&reply.to_vec().unwrap(), peer).await.unwrap();
    }
}

fn answer(mut message: Message, known: &HashMap<rr::Name, Vec<RData>>) -> Message {
    message.metadata.message_type = MessageType::Response;
    message.metadata.recursion_available = true;
    let question = message.queries[0].clone();
    let mut name = question.name().clone();
    if name.to_string().starts_with("broken.") {
        message.metadata.response_code = ResponseCode::ServFail;
        return message;
    }
    loop {
        let Some(records) = known.get(&name) else {
            message.metadata.response_code = ResponseCode::NXDomain;
            return message;
        };
        let matching = records.iter().filter(|data| data.record_type() == question.query_type());
        let cname = records.iter().find_map(|data| if let RData::CNAME(cname) = data { Some(cname) } else { None });
        message.add_answers(matching.map(|data| Record::from_rdata(name.clone(), 60, data.clone())));
        match cname.filter(|_| question.query_type() != RecordType::CNAME) {
            None => return message,
            Some(target) => {
                message.add_answer(Record::from_rdata(name.clone(), 60, RData::CNAME(target.clone())));
                name = target.0.clone();
            }
        }
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_chain_is_followed_to_its_end() {
    let resolver = Resolver::start().await;
    resolver.cname("_acme-challenge.example.com.", "Alias.example.net.");
    resolver.cname("alias.example.net.", "label.auth.test.");
    resolver.tell("label.auth.test.", &[]);
    resolver.cname("into.nowhere.test.", "nowhere.test.");
    let lookup = resolver.lookup();
    let chain = async |from: &str| lookup.cname_chain(&name(from), |_| false).await;
    assert_eq!(
        chain("_ACME-challenge.example.com").await,
        Ok(vec![name("alias.example.net"), name("label.auth.test")])
    );
    assert_eq!(chain("label.auth.test").await, Ok(vec![]));
    assert_eq!(chain("into.nowhere.test").await, Ok(vec![name("nowhere.test")]), "the target need not exist");
    assert_eq!(chain("nowhere.test").await, Err(LookupError::NameError(name("nowhere.test"))));
}

#[tokio::test]
async fn a_circle_and_an_endless_chain_end() {
    let resolver = Resolver::start().await;
    for (from, to) in [("a.test.", "b.test."), ("b.test.", "a.test."), ("self.test.", "self.test.")] {
        resolver.cname(from, to);
    }
    for hop in 0..=MAX_CHAIN {
        resolver.cname(&format!("{hop}.long.test."), &format!("{}.long.test.", hop + 1));
    }
    resolver.tell(&format!("{}.long.test.", MAX_CHAIN + 1), &[]);
    for from in ["a.test", "self.test", "0.long.test"] {
        let chain = resolver.lookup().cname_chain(&name(from), |_| false).await;
        assert_eq!(chain, Err(LookupError::LongChain(name(from))));
    }
    assert_eq!(resolver.lookup().cname_chain(&name("1.long.test"), |_| false).await.unwrap().len(), MAX_CHAIN);
}

/// The resolver cannot reach the server that it leads to, as behind a NAT that sends nothing back inside.
#[tokio::test]
async fn where_the_end_leads_is_not_asked() {
    let resolver = Resolver::start().await;
    resolver.cname("_acme-challenge.example.com.", "broken.auth.test.");
    let chain = async |end: &str| {
        resolver.lookup().cname_chain(&name("_acme-challenge.example.com"), |target| *target == name(end)).await
    };
    assert_eq!(chain("broken.auth.test").await, Ok(vec![name("broken.auth.test")]));
    assert!(matches!(chain("other.test").await, Err(LookupError::Failed { .. })));
}

#[tokio::test]
async fn records_of_each_type_are_read() {
    let resolver = Resolver::start().await;
    let ns = |text: &str| RData::NS(NS(rr::Name::from_ascii(text).unwrap()));
    let caa = CAA::new_issue(true, Some(rr::Name::from_ascii("ca.test.").unwrap()), vec![]);
    resolver.tell(
        "example.com.",
        &[
            ns("ns1.example.com."),
            ns("NS2.example.com."),
            RData::CAA(caa.clone()),
            RData::TXT(TXT::new(vec!["one ".into(), "string".into()])),
            RData::A(A::new(192, 0, 2, 1)),
        ],
    );
    resolver.tell("six.test.", &[RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))]);
    resolver.cname("www.example.com.", "example.com.");
    let lookup = resolver.lookup();
    let zone = name("example.com");
    assert_eq!(lookup.nameservers(&zone).await, Ok(vec![name("ns1.example.com"), name("ns2.example.com")]));
    for at in [zone, name("www.example.com")] {
        assert_eq!(lookup.caa(&at).await, Ok(vec![caa.clone()]), "{at}");
        assert_eq!(lookup.txt(&at).await, Ok(vec![b"one string".to_vec()]), "{at}");
        assert_eq!(lookup.addresses(&at).await, Ok(vec![IpAddr::from([192, 0, 2, 1])]), "{at}");
    }
    assert_eq!(lookup.addresses(&name("six.test")).await, Ok(vec!["2001:db8::1".parse().unwrap()]));
}

#[tokio::test]
async fn no_name_no_data_a_failure_and_no_answer_are_told_apart() {
    let resolver = Resolver::start().await;
    resolver.tell("empty.test.", &[]);
    let lookup = resolver.lookup();
    let (empty, nowhere, broken) = (name("empty.test"), name("nowhere.test"), name("broken.test"));
    let no_data = LookupError::NoData { name: empty.clone(), rtype: RecordType::TXT };
    assert_eq!(lookup.txt(&empty).await, Err(no_data));
    assert_eq!(lookup.txt(&nowhere).await, Err(LookupError::NameError(nowhere.clone())));
    assert_eq!(lookup.addresses(&nowhere).await, Err(LookupError::NameError(nowhere)));
    let failed = lookup.txt(&broken).await.unwrap_err();
    assert!(matches!(failed, LookupError::Failed { rcode: ResponseCode::ServFail, .. }), "{failed:?}");
    // Bound and silent.
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let lookup = Lookup::new(&[silent.local_addr().unwrap()]);
    let unreachable = lookup.txt(&empty).await.unwrap_err();
    assert!(matches!(unreachable, LookupError::Unreachable { .. }), "{unreachable:?}");
    assert!(!failed.is_negative() && !unreachable.is_negative());
}

#[tokio::test]
async fn nothing_is_remembered() {
    let resolver = Resolver::start().await;
    let lookup = resolver.lookup();
    assert!(lookup.txt(&name("new.test")).await.is_err());
    resolver.tell("new.test.", &[RData::TXT(TXT::new(vec!["there".into()]))]);
    assert_eq!(lookup.txt(&name("new.test")).await, Ok(vec![b"there".to_vec()]));
    let asked = resolver.asked.load(Ordering::Relaxed);
    lookup.txt(&name("new.test")).await.unwrap();
    assert_eq!(resolver.asked.load(Ordering::Relaxed), asked + 1);
}
