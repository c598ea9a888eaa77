//! The OPT record of a message (RFC 6891): what its sender understands, and asks for.

use hickory_proto::rr::RecordType;

use crate::crypto::cookie::Presented;
use crate::model::wire::RawRecord;

/// The EDNS option by which a client asks how long a connection may idle (RFC 7828).
const TCP_KEEPALIVE: u16 = 11;
/// The EDNS option by which a client asks which server answers (RFC 5001).
const NSID: u16 = 3;
/// The EDNS option that carries a DNS cookie (RFC 7873).
const COOKIE: u16 = 10;
/// The EDNS option that hides the length of a message (RFC 7830).
pub(super) const PADDING: u16 = 12;

/// Whether a record is an OPT record.
pub(super) fn is_opt(record: &RawRecord<'_>) -> bool {
    record.rtype == u16::from(RecordType::OPT)
}

/// The fields and options of an OPT record (RFC 6891 section 6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edns {
    /// The largest UDP message that the client takes, in bytes.
    pub udp_size: u16,
    /// The EDNS version that the client speaks.
    pub version: u8,
    /// DNSSEC OK: copied into the reply (RFC 3225 section 3).
    pub dnssec_ok: bool,
    /// Compact answers OK: the client takes NXDOMAIN together with a compact denial (RFC 9824 section 5.1).
    pub compact_ok: bool,
    /// Whether the client asks how long a connection may idle (RFC 7828).
    pub keepalive: bool,
    /// Whether the client asks which server answers (RFC 5001).
    pub nsid: bool,
    /// Whether the message is padded, so that its reply must be padded too (RFC 7830 section 4).
    pub padding: bool,
    /// The first COOKIE option, if its length is valid (RFC 7873 section 5.2).
    pub cookie: Option<Presented>,
    /// Whether the first COOKIE option has an invalid length.
    pub has_malformed_cookie: bool,
}

impl Edns {
    /// Reads an OPT record, however malformed its options are.
    pub(super) fn of(opt: &RawRecord<'_>) -> Self {
        let [_, version, flags, _] = opt.ttl.to_be_bytes();
        let mut edns = Self {
            udp_size: opt.class,
            version,
            dnssec_ok: flags & 0x80 != 0,
            compact_ok: flags & 0x40 != 0,
            keepalive: false,
            nsid: false,
            padding: false,
            cookie: None,
            has_malformed_cookie: false,
        };
        for (code, data) in options(opt.rdata).flatten() {
            match code {
                TCP_KEEPALIVE => edns.keepalive = true,
                NSID => edns.nsid = true,
                PADDING => edns.padding = true,
                COOKIE if edns.cookie.is_none() && !edns.has_malformed_cookie => {
                    edns.cookie = Presented::read(data);
                    edns.has_malformed_cookie = edns.cookie.is_none();
                }
                _ => {}
            }
        }
        edns
    }

    /// Whether the options of an OPT record fill its RDATA exactly, and its cookie has a valid length.
    pub(super) fn is_valid(opt: &RawRecord<'_>) -> bool {
        !Self::of(opt).has_malformed_cookie && options(opt.rdata).all(|option| option.is_some())
    }
}

/// Code and data of each option (RFC 6891 section 6.1.2). The last item is `None` if the RDATA ends within an option.
fn options(mut rdata: &[u8]) -> impl Iterator<Item = Option<(u16, &[u8])>> {
    std::iter::from_fn(move || {
        if rdata.is_empty() {
            return None;
        }
        let Some((&[c0, c1, l0, l1], rest)) = rdata.split_first_chunk() else {
            rdata = &[];
            return Some(None);
        };
        let split = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])));
        rdata = split.map(|(_, rest)| rest).unwrap_or_default();
        Some(split.map(|(data, _)| (u16::from_be_bytes([c0, c1]), data)))
    })
}
