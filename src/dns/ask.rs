//! One question to one server, for the operator's commands: over TCP, and with nothing believed that was not asked.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::name::Name;

use super::question::HEADER;
use super::wire::Walk;

/// How long a server may take, for each of connecting, reading and writing.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its response code.
    pub rcode: ResponseCode,
    /// TTL and RDATA of each record of the type that was asked for.
    pub records: Vec<(u32, Vec<u8>)>,
}

/// Asks `server` for the records of a name and type.
pub fn ask(server: SocketAddr, name: &Name, rtype: RecordType) -> io::Result<Reply> {
    // One question on a connection of its own needs no id that cannot be guessed.
    let mut query = vec![0x74, 0x78, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(name.as_wire());
    query.extend_from_slice(&u16::from(rtype).to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    let reply = exchange(server, &query)?;
    read(&reply, &query, rtype).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an answer to the query"))
}

fn exchange(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // invariant: a name, a type and a header are below 65,536 bytes
    let length = (query.len() as u16).to_be_bytes();
    stream.write_all(&[&length, query].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

fn read(reply: &[u8], query: &[u8], rtype: RecordType) -> Option<Reply> {
    let header: &[u8; HEADER] = reply.first_chunk()?;
    let is_ours = header[..2] == query[..2] && header[2] & 0x80 != 0;
    let has_question = reply.get(HEADER..query.len()) == Some(&query[HEADER..]);
    if !is_ours || !has_question {
        return None;
    }
    let mut walk = Walk::behind_header(reply);
    walk.take(query.len() - HEADER)?;
    let mut records = Vec::new();
    for _ in 0..u16::from_be_bytes([header[6], header[7]]) {
        let record = walk.record()?;
        if record.rtype == u16::from(rtype) {
            records.push((record.ttl, record.rdata.to_vec()));
        }
    }
    Some(Reply { rcode: ResponseCode::from(0, header[3] & 0xf), records })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_nonsense_is_not() {
        let query = b"\x74\x78\0\0\0\x01\0\0\0\0\0\0\x01a\0\0\x2b\0\x01";
        let mut reply = query.to_vec();
        (reply[2], reply[7]) = (0x84, 2);
        reply.extend_from_slice(b"\xc0\x0c\0\x2b\0\x01\0\0\0\x05\0\x02ab\xc0\x0c\0\x2e\0\x01\0\0\0\x05\0\x01c");
        let read = |reply: &[u8]| read(reply, query, RecordType::DS);
        let expected = Reply { rcode: ResponseCode::NoError, records: vec![(5, b"ab".to_vec())] };
        assert_eq!(read(&reply), Some(expected));
        for end in 0..reply.len() {
            assert_eq!(read(&reply[..end]), None, "{end}");
        }
        reply[0] = 0;
        assert_eq!(read(&reply), None);
    }
}
