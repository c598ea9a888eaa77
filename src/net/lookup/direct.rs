//! One question to one server, over UDP or TCP, as a resolver on its way down from the root asks it: recursion not
//! desired, nothing tried twice over TCP, and no other server asked in its place.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::RecordType;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::model::name::Name;

use super::theirs;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Times that a datagram is sent.
const ATTEMPTS: usize = 2;
/// Bytes of an answer over UDP that are asked for (DNS flag day 2020).
const PAYLOAD: u16 = 1_232;

/// How a server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A connection.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// Asks; an error says why there is no answer: that nothing came in time, or that the server cannot be reached.
pub async fn ask(server: SocketAddr, transport: Transport, name: &Name, rtype: RecordType) -> io::Result<Message> {
    let query = query(name, rtype)?;
    let bytes = query.to_vec().map_err(io::Error::other)?;
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", PATIENCE.as_secs()));
    match transport {
        Transport::Tcp => timeout(PATIENCE, over_tcp(server, &bytes, &query)).await.map_err(|_| late())?,
        Transport::Udp => {
            let any: IpAddr = if server.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
            let socket = UdpSocket::bind((any, 0)).await?;
            // Connected: what comes from elsewhere is not seen, and a closed port is told.
            socket.connect(server).await?;
            for _ in 0..ATTEMPTS {
                socket.send(&bytes).await?;
                if let Ok(answer) = timeout(PATIENCE / 2, over_udp(&socket, &query)).await {
                    return answer;
                }
            }
            Err(late())
        }
    }
}

/// Asks over UDP, and over TCP where that has not the whole answer: it is long, or the server limits its rate.
pub async fn ask_whole(server: SocketAddr, name: &Name, rtype: RecordType) -> io::Result<Message> {
    let answer = ask(server, Transport::Udp, name, rtype).await?;
    if answer.metadata.truncation { ask(server, Transport::Tcp, name, rtype).await } else { Ok(answer) }
}

fn query(name: &Name, rtype: RecordType) -> io::Result<Message> {
    let mut id = [0; 2];
    SystemRandom::new().fill(&mut id).map_err(|_| io::Error::other("no random number"))?;
    let mut message = Message::new(u16::from_ne_bytes(id), MessageType::Query, OpCode::Query);
    message.add_query(Query::query(theirs(name).map_err(io::Error::other)?, rtype));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD);
    message.set_edns(edns);
    Ok(message)
}

/// The first datagram that answers the question; what does not is somebody's guess.
async fn over_udp(socket: &UdpSocket, query: &Message) -> io::Result<Message> {
    let mut bytes = [0; 4_096];
    loop {
        let length = socket.recv(&mut bytes).await?;
        if let Some(answer) = read(&bytes[..length], query) {
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, bytes: &[u8], query: &Message) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    read(&answer, query).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what came is no answer"))
}

fn read(bytes: &[u8], query: &Message) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let is_answer = answer.metadata.message_type == MessageType::Response && answer.metadata.id == query.metadata.id;
    (is_answer && answer.queries == query.queries).then_some(answer)
}
