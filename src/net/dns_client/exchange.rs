//! One query and its reply over UDP or TCP. A reply counts only if it repeats the query's ID and question.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::RecordType;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::model::name::Name;
use crate::net::own_sockets;

use super::error::AskError;
use super::names::to_library;

/// The wait for the answer to one datagram.
const UDP_PATIENCE: Duration = Duration::from_secs(1);
/// The most datagrams that are sent to one server.
const UDP_ATTEMPTS: u32 = 2;
/// The time for connecting, asking and reading over TCP.
const TCP_PATIENCE: Duration = Duration::from_secs(3);
/// The size of an answer over UDP that the query allows, in bytes (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1_232;
/// The most bytes of a datagram that are read: more than [`UDP_PAYLOAD`], which some servers ignore.
const UDP_BUFFER: usize = 4_096;

/// The same query with DO set: signatures come with the answer (RFC 3225).
pub fn signed_query(name: &Name, rtype: RecordType) -> Result<Message, AskError> {
    let mut message = query(name, rtype)?;
    if let Some(edns) = message.edns.as_mut() {
        edns.enable_dnssec();
    }
    Ok(message)
}

/// A query without recursion, with a random ID.
pub fn query(name: &Name, rtype: RecordType) -> Result<Message, AskError> {
    let mut id = [0; 2];
    SystemRandom::new().fill(&mut id).map_err(|_| AskError::Unwritable("no random number".into()))?;
    let mut message = Message::new(u16::from_ne_bytes(id), MessageType::Query, OpCode::Query);
    message.add_query(Query::query(to_library(name).map_err(AskError::Unwritable)?, rtype));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD);
    message.set_edns(edns);
    Ok(message)
}

/// An address of the server's family that leaves the choice to the kernel.
pub fn any_source(server: SocketAddr) -> IpAddr {
    match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Sends the query as a datagram, at most twice, from the address `source`.
pub async fn over_udp(source: IpAddr, server: SocketAddr, query: &Message) -> Result<Message, AskError> {
    let bytes = to_bytes(query)?;
    let socket = UdpSocket::bind((source, 0)).await?;
    // A connected socket drops what others send, and reports a closed port.
    socket.connect(server).await?;
    own_sockets::note(socket.local_addr()?);
    for _ in 0..UDP_ATTEMPTS {
        socket.send(&bytes).await?;
        if let Ok(answer) = timeout(UDP_PATIENCE, receive(&socket, query)).await {
            return answer;
        }
    }
    Err(AskError::TimedOut(UDP_PATIENCE * UDP_ATTEMPTS))
}

/// The first datagram that answers the query. Any other may be a forger's guess.
async fn receive(socket: &UdpSocket, query: &Message) -> Result<Message, AskError> {
    let mut bytes = [0; UDP_BUFFER];
    loop {
        let length = socket.recv(&mut bytes).await?;
        if let Some(answer) = answer_to(query, &bytes[..length]) {
            return Ok(answer);
        }
    }
}

/// Sends the query on a connection of its own, from the address `source`.
pub async fn over_tcp(source: IpAddr, server: SocketAddr, query: &Message) -> Result<Message, AskError> {
    let bytes = to_bytes(query)?;
    let conversation = timeout(TCP_PATIENCE, converse(source, server, &bytes)).await;
    let reply = conversation.map_err(|_| AskError::TimedOut(TCP_PATIENCE))??;
    answer_to(query, &reply).ok_or(AskError::NotAnAnswer)
}

/// Writes one message and reads one, each behind its length (RFC 1035 section 4.2.2).
async fn converse(source: IpAddr, server: SocketAddr, query: &[u8]) -> Result<Vec<u8>, AskError> {
    let length = u16::try_from(query.len()).map_err(|error| AskError::Unwritable(error.to_string()))?;
    let mut stream = connect(source, server).await?;
    own_sockets::note(stream.local_addr()?);
    // In one write: some servers read the length and the message from one segment only.
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; length.into()];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

async fn connect(source: IpAddr, server: SocketAddr) -> io::Result<TcpStream> {
    if source.is_unspecified() {
        return TcpStream::connect(server).await;
    }
    let socket = if server.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind((source, 0).into())?;
    socket.connect(server).await
}

pub fn to_bytes(query: &Message) -> Result<Vec<u8>, AskError> {
    query.to_vec().map_err(|error| AskError::Unwritable(error.to_string()))
}

/// Decodes a message; `None` if it is malformed or answers another query.
pub fn answer_to(query: &Message, bytes: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let is_response = answer.metadata.message_type == MessageType::Response;
    let is_ours = answer.metadata.id == query.metadata.id && answer.queries == query.queries;
    (is_response && is_ours).then_some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_reply_to_this_very_question_counts() {
        let asked = query(&"auth.example.org".parse().unwrap(), RecordType::DS).unwrap();
        let mut reply = asked.clone();
        reply.metadata.message_type = MessageType::Response;
        let bytes = reply.to_vec().unwrap();
        assert!(answer_to(&asked, &bytes).is_some());
        for end in 0..bytes.len() {
            assert!(answer_to(&asked, &bytes[..end]).is_none(), "{end} bytes");
        }
        let mut other_id = reply.clone();
        other_id.metadata.id = !asked.metadata.id;
        let mut other_name = reply.clone();
        other_name.queries = query(&"auth.example.net".parse().unwrap(), RecordType::DS).unwrap().queries;
        let mut other_type = reply;
        other_type.queries = query(&"auth.example.org".parse().unwrap(), RecordType::NS).unwrap().queries;
        for wrong in [asked.clone(), other_id, other_name, other_type] {
            assert!(answer_to(&asked, &wrong.to_vec().unwrap()).is_none(), "{wrong:?}");
        }
    }
}
