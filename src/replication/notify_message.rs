//! One NOTIFY and its reply (RFC 1996).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::config::TransferKey;
use crate::crypto::tsig_record::SignedRequest;
use crate::model::serial::Serial;
use crate::model::time::Clock;
use crate::model::wire::{HEADER, Walk};
use crate::net::own_sockets;
use crate::zone::Zone;

/// How long a secondary may take to reply.
const REPLY: Duration = Duration::from_secs(2);
/// The most bytes of a reply that are read.
const BUFFER: usize = 4_096;
/// The opcode of NOTIFY.
const OPCODE: u8 = 4;
const AA: u8 = 0x04;
const QR: u8 = 0x80;
const SOA: u16 = 6;
const CLASS_IN: u16 = 1;
/// A pointer to the question's name.
const QNAME: u16 = 0xc00c;

/// Why a secondary has not acknowledged a NOTIFY.
#[derive(Debug, Error)]
pub enum NotifyError {
    #[error("it does not reply to NOTIFY within {REPLY:?}; is it running, and does the firewall let UDP through?")]
    Silent,
    #[error("it cannot be reached: {0}")]
    Unreachable(#[from] std::io::Error),
    #[error(
        "it refuses the NOTIFY with {0}; let it accept NOTIFY for the zone from this server's address, with the same TSIG key"
    )]
    Refused(ResponseCode),
    #[error("no random number for the message id")]
    Random,
}

/// Sends a NOTIFY for a zone, and waits for the reply. Anything that is not the reply may be a forgery, and is ignored.
pub async fn notify(
    source: IpAddr,
    server: SocketAddr,
    zone: &Zone,
    serial: Serial,
    key: Option<&TransferKey>,
    clock: &Clock,
) -> Result<(), NotifyError> {
    let mut id = [0; 2];
    SystemRandom::new().fill(&mut id).map_err(|_| NotifyError::Random)?;
    let mut message = unsigned(id, zone, serial);
    let signed = key.and_then(|key| SignedRequest::sign(&key.name, &key.key, &mut message, clock.commit()));
    let socket = UdpSocket::bind(SocketAddr::new(source, 0)).await?;
    // A connected socket drops what others send, and reports a closed port.
    socket.connect(server).await?;
    own_sockets::note(socket.local_addr()?);
    socket.send(&message).await?;
    let reply = timeout(REPLY, receive(&socket, id, signed.as_ref(), clock)).await;
    match reply.map_err(|_| NotifyError::Silent)?? {
        ResponseCode::NoError => Ok(()),
        refusal => Err(NotifyError::Refused(refusal)),
    }
}

/// The message before it is signed: the zone's name as the question, and the new SOA record as a hint (RFC 1996 section
/// 3.7).
fn unsigned(id: [u8; 2], zone: &Zone, serial: Serial) -> Vec<u8> {
    let mut message = id.to_vec();
    message.extend_from_slice(&[OPCODE << 3 | AA, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
    message.extend_from_slice(zone.name.apex().as_wire());
    for number in [SOA, CLASS_IN, QNAME, SOA, CLASS_IN] {
        message.extend_from_slice(&number.to_be_bytes());
    }
    message.extend_from_slice(&zone.soa.negative_ttl.to_be_bytes());
    let mut rdata = Vec::new();
    zone.soa.write_rdata(serial, &mut rdata);
    // invariant: two names and five numbers are far below 65,536 bytes
    message.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    message.extend_from_slice(&rdata);
    message
}

/// The response code of the reply.
async fn receive(
    socket: &UdpSocket,
    id: [u8; 2],
    signed: Option<&SignedRequest>,
    clock: &Clock,
) -> Result<ResponseCode, NotifyError> {
    let mut buffer = [0; BUFFER];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(rcode) = rcode_of(&buffer[..length], id, signed, clock) {
            return Ok(rcode);
        }
    }
}

/// The response code of a message that replies to this NOTIFY. A refusal may come without a signature, since who does not
/// know the key cannot sign; it changes nothing but what is told of the secondary.
fn rcode_of(message: &[u8], id: [u8; 2], signed: Option<&SignedRequest>, clock: &Clock) -> Option<ResponseCode> {
    let header: &[u8; HEADER] = message.first_chunk()?;
    Walk::behind_header(message).counts()?;
    let is_reply = header[..2] == id && header[2] & QR != 0 && header[2] >> 3 & 0xf == OPCODE;
    let rcode = ResponseCode::from(0, header[3] & 0xf);
    let is_genuine =
        rcode != ResponseCode::NoError || signed.is_none_or(|request| request.is_answered_by(message, clock.commit()));
    (is_reply && is_genuine).then_some(rcode)
}
