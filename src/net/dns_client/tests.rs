use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CAA, CNAME, NS, TXT};
use hickory_proto::rr::{self, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::client::MAX_QUESTIONS;
use super::*;
use crate::model::name::Name;

/// A resolver on the loopback that knows what a test has told it. Names that it was told of exist; all others do not.
pub(crate) struct Resolver {
    pub address: SocketAddr,
    known: Arc<Mutex<HashMap<rr::Name, Vec<RData>>>>,
    asked: Arc<AtomicUsize>,
    fails: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Resolver {
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let known = Arc::default();
        let asked = Arc::default();
        let fails = Arc::default();
        let task = tokio::spawn(serve(socket, Arc::clone(&known), Arc::clone(&asked), Arc::clone(&fails)));
        Self { address, known, asked, fails, task }
    }

    pub fn client(&self) -> DnsClient {
        DnsClient::new(&[self.address])
    }

    /// Has the name hold these records and no others; none: it exists.
    pub fn tell(&self, name: &str, records: &[RData]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(rr::Name::from_ascii(name).unwrap(), records.to_vec());
    }

    /// The questions so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Has every question answered with SERVFAIL from now on.
    pub fn fail(&self) {
        self.fails.store(true, Ordering::Relaxed);
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

async fn serve(
    socket: UdpSocket,
    known: Arc<Mutex<HashMap<rr::Name, Vec<RData>>>>,
    asked: Arc<AtomicUsize>,
    fails: Arc<AtomicBool>,
) {
    let mut packet = [0; 1_500];
    while let Ok((length, peer)) = socket.recv_from(&mut packet).await {
        let Ok(query) = Message::from_vec(&packet[..length]) else { continue };
        asked.fetch_add(1, Ordering::Relaxed);
        let fails = fails.load(Ordering::Relaxed);
        let reply = answer(query, fails, &known.lock().unwrap_or_else(PoisonError::into_inner));
        socket.send_to(&reply.to_vec().unwrap(), peer).await.unwrap();
    }
}

fn answer(mut message: Message, fails: bool, known: &HashMap<rr::Name, Vec<RData>>) -> Message {
    message.metadata.message_type = MessageType::Response;
    message.metadata.recursion_available = true;
    let question = message.queries[0].clone();
    let mut name = question.name().clone();
    if fails || name.to_string().starts_with("broken.") {
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
    let lookup = resolver.client();
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
        let chain = resolver.client().cname_chain(&name(from), |_| false).await;
        assert_eq!(chain, Err(LookupError::LongChain(name(from))));
    }
    assert_eq!(resolver.client().cname_chain(&name("1.long.test"), |_| false).await.unwrap().len(), MAX_CHAIN);
}

/// The resolver cannot reach the server that it leads to, as behind a NAT that sends nothing back inside.
#[tokio::test]
async fn where_the_end_leads_is_not_asked() {
    let resolver = Resolver::start().await;
    resolver.cname("_acme-challenge.example.com.", "broken.auth.test.");
    let chain = async |end: &str| {
        resolver.client().cname_chain(&name("_acme-challenge.example.com"), |target| *target == name(end)).await
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
    let lookup = resolver.client();
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
    let lookup = resolver.client();
    let (empty, nowhere, broken) = (name("empty.test"), name("nowhere.test"), name("broken.test"));
    let no_data = LookupError::NoData { name: empty.clone(), rtype: RecordType::TXT };
    assert_eq!(lookup.txt(&empty).await, Err(no_data));
    assert_eq!(lookup.txt(&nowhere).await, Err(LookupError::NameError(nowhere.clone())));
    assert_eq!(lookup.addresses(&nowhere).await, Err(LookupError::NameError(nowhere)));
    let failed = lookup.txt(&broken).await.unwrap_err();
    assert!(matches!(failed, LookupError::Failed { rcode: ResponseCode::ServFail, .. }), "{failed:?}");
    // Bound and silent.
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let lookup = DnsClient::new(&[silent.local_addr().unwrap()]);
    let unreachable = lookup.txt(&empty).await.unwrap_err();
    assert!(matches!(unreachable, LookupError::Unreachable { .. }), "{unreachable:?}");
    assert!(!failed.is_negative() && !unreachable.is_negative());
}

/// A nameserver on the loopback that answers over UDP as `udp` does, and over TCP as `tcp` does.
async fn nameserver(udp: fn(&mut Message), tcp: fn(&mut Message)) -> SocketAddr {
    let (listener, socket) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            break (listener, socket);
        }
    };
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut query).await {
            socket.send_to(&filled(&query[..length], udp), peer).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut query = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut query).await.unwrap();
            let reply = filled(&query, tcp);
            stream.write_u16(reply.len().try_into().unwrap()).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    });
    address
}

fn filled(query: &[u8], fill: fn(&mut Message)) -> Vec<u8> {
    let mut message = Message::from_vec(query).unwrap();
    message.metadata.message_type = MessageType::Response;
    fill(&mut message);
    message.to_vec().unwrap()
}

fn truncated(message: &mut Message) {
    message.metadata.truncation = true;
}

fn with_text(message: &mut Message) {
    let name = message.queries[0].name().clone();
    message.metadata.authoritative = true;
    message.add_answer(Record::from_rdata(name, 7, RData::TXT(TXT::new(vec!["one ".into(), "string".into()]))));
}

fn forged(message: &mut Message) {
    message.metadata.id = !message.metadata.id;
}

#[tokio::test]
async fn a_truncated_reply_is_asked_for_again_over_tcp_where_that_is_wanted() {
    let client = DnsClient::new(&[]);
    let server = nameserver(truncated, with_text).await;
    for (protocol, is_truncated, texts) in [
        (Protocol::Udp, true, vec![]),
        (Protocol::Tcp, false, vec![b"one string".to_vec()]),
        (Protocol::UdpThenTcp, false, vec![b"one string".to_vec()]),
    ] {
        let reply = client.ask(server, protocol, &name("a.test"), RecordType::TXT).await.unwrap();
        assert_eq!((reply.is_truncated(), reply.txt_values()), (is_truncated, texts), "{protocol}");
        assert_eq!(reply.is_authoritative(), !is_truncated, "{protocol}");
    }
}

#[tokio::test]
async fn rdata_is_that_of_the_name_and_type_that_were_asked_for() {
    let server = nameserver(
        |message| {
            with_text(message);
            let other = rr::Name::from_ascii("other.test.").unwrap();
            message.add_answer(Record::from_rdata(other, 9, RData::TXT(TXT::new(vec!["x".into()]))));
            let name = message.queries[0].name().clone();
            message.add_answer(Record::from_rdata(name, 9, RData::A(A::new(192, 0, 2, 1))));
        },
        with_text,
    )
    .await;
    let reply = DnsClient::new(&[]).ask(server, Protocol::Udp, &name("a.test"), RecordType::TXT).await.unwrap();
    assert_eq!(reply.rdatas(RecordType::TXT), [(7, b"\x04one \x06string".to_vec())]);
    assert_eq!(reply.rdatas(RecordType::A), [(9, vec![192, 0, 2, 1])]);
    assert_eq!(reply.answer_count(), 3);
}

#[tokio::test]
async fn a_reply_to_another_query_is_none() {
    let client = DnsClient::new(&[]);
    let server = nameserver(forged, forged).await;
    let udp = client.ask(server, Protocol::Udp, &name("a.test"), RecordType::TXT).await;
    let tcp = client.ask(server, Protocol::Tcp, &name("a.test"), RecordType::TXT).await;
    assert!(matches!(udp, Err(AskError::TimedOut(_))), "{udp:?}");
    assert!(matches!(tcp, Err(AskError::NotAnAnswer)), "{tcp:?}");
}

/// How many names a server is asked for within a second that answers nobody. Questions live longer than that; some are
/// sent again from another socket.
async fn asked_at_once(socket: UdpSocket) -> usize {
    let mut names = HashSet::new();
    let mut packet = [0; 1_500];
    let (first, _) = socket.recv_from(&mut packet).await.unwrap();
    names.insert(asked_for(&packet[..first]));
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        if let Ok(received) = timeout_at(end, socket.recv_from(&mut packet)).await {
            names.insert(asked_for(&packet[..received.unwrap().0]));
        }
    }
    names.len()
}

fn asked_for(query: &[u8]) -> rr::Name {
    Message::from_vec(query).unwrap().queries[0].name().clone()
}

#[tokio::test]
async fn one_limit_holds_for_recursive_and_direct_questions_of_all_clones() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = socket.local_addr().unwrap();
    let client = DnsClient::new(&[server]);
    let mut asking = JoinSet::new();
    for number in 0..MAX_QUESTIONS {
        let resolving = client.clone();
        let domain = name(&format!("recursive{number}.test"));
        asking.spawn(async move { resolving.txt(&domain).await.is_ok() });
        let direct = client.clone();
        let domain = name(&format!("direct{number}.test"));
        asking.spawn(async move { direct.ask(server, Protocol::Udp, &domain, RecordType::TXT).await.is_ok() });
    }
    let most = asked_at_once(socket).await;
    assert!((MAX_QUESTIONS / 2..=MAX_QUESTIONS).contains(&most), "{most} questions at once");
}

#[tokio::test]
async fn nothing_is_remembered() {
    let resolver = Resolver::start().await;
    let lookup = resolver.client();
    assert!(lookup.txt(&name("new.test")).await.is_err());
    resolver.tell("new.test.", &[RData::TXT(TXT::new(vec!["there".into()]))]);
    assert_eq!(lookup.txt(&name("new.test")).await, Ok(vec![b"there".to_vec()]));
    let asked = resolver.asked.load(Ordering::Relaxed);
    lookup.txt(&name("new.test")).await.unwrap();
    assert_eq!(resolver.asked.load(Ordering::Relaxed), asked + 1);
}
