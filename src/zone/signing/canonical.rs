//! What a signature is made over: the canonical form of a record set (RFC 4034 sections 3.1.8.1 and 6, RFC 6840
//! section 5.1).

use std::borrow::Cow;

use hickory_proto::rr::RecordType;

use crate::model::name::{Name, NameRef};
use crate::model::time::Timestamp;

/// Everything in an RRSIG record's RDATA but the signature (RFC 4034 section 3.1).
#[derive(Debug, Clone, Copy)]
pub struct RrsigHead<'a> {
    pub covered: RecordType,
    pub algorithm: u8,
    /// Labels of the owner, as [`rrsig_labels`] counts them.
    pub labels: u8,
    pub ttl: u32,
    pub expires: Timestamp,
    pub inception: Timestamp,
    pub tag: u16,
    pub signer: &'a Name,
}

impl RrsigHead<'_> {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&u16::from(self.covered).to_be_bytes());
        out.extend_from_slice(&[self.algorithm, self.labels]);
        for number in [self.ttl, self.expires.low_32_bits(), self.inception.low_32_bits()] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.tag.to_be_bytes());
        out.extend_from_slice(self.signer.as_wire());
    }
}

/// The Labels field for an owner: neither the root nor an asterisk in front counts (RFC 4034 section 3.1.3). No zone
/// holds such an owner, but anybody can ask for `*.auth.example.org`, and the denial of that name has it.
pub fn rrsig_labels(owner: NameRef<'_>) -> u8 {
    let is_wildcard = owner.labels().next() == Some(b"*");
    // invariant: a name has at most 127 labels
    (owner.labels().count() - usize::from(is_wildcard)) as u8
}

/// The bytes that are signed: the RRSIG's own head, then each record with its owner in lower case, in the order of
/// their canonical RDATA, none twice.
pub fn signed_data<R: AsRef<[u8]>>(
    head: &RrsigHead<'_>,
    owner: NameRef<'_>,
    rdatas: impl Iterator<Item = R>,
) -> Vec<u8> {
    const CLASS_IN: [u8; 2] = [0, 1];
    let records: Vec<R> = rdatas.collect();
    let mut canonical: Vec<_> = records.iter().map(|rdata| canonical_rdata(head.covered, rdata.as_ref())).collect();
    canonical.sort_unstable();
    canonical.dedup();
    let mut out = Vec::with_capacity(512);
    head.write(&mut out);
    for rdata in canonical {
        out.extend_from_slice(owner.as_wire());
        out.extend_from_slice(&u16::from(head.covered).to_be_bytes());
        out.extend_from_slice(&CLASS_IN);
        out.extend_from_slice(&head.ttl.to_be_bytes());
        // invariant: a record's RDATA has come from or goes into a 16-bit length
        out.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        out.extend_from_slice(&rdata);
    }
    out
}

/// The RDATA with the names in it in lower case, for the types that RFC 4034 section 6.2 lists. All of those end in
/// their names but the SOA, whose names are in lower case from the start. The bytes that are label lengths are below
/// 64, so they are not letters.
fn canonical_rdata(rtype: RecordType, rdata: &[u8]) -> Cow<'_, [u8]> {
    match names_at(rtype, rdata).filter(|at| rdata[*at..].iter().any(u8::is_ascii_uppercase)) {
        None => Cow::Borrowed(rdata),
        Some(at) => {
            let mut lowered = rdata.to_vec();
            lowered[at..].make_ascii_lowercase();
            Cow::Owned(lowered)
        }
    }
}

/// Where the names in an RDATA begin.
fn names_at(rtype: RecordType, rdata: &[u8]) -> Option<usize> {
    const MD_MF: [u16; 2] = [3, 4];
    const MB_MG_MR: [u16; 3] = [7, 8, 9];
    const MINFO: u16 = 14;
    const RP: u16 = 17;
    const AFSDB: u16 = 18;
    const RT: u16 = 21;
    const PX: u16 = 26;
    const KX: u16 = 36;
    let at = match rtype {
        RecordType::NS | RecordType::CNAME | RecordType::PTR => 0,
        RecordType::MX => 2,
        RecordType::SRV => 6,
        RecordType::NAPTR => behind_strings(rdata, 4, 3)?,
        other => match u16::from(other) {
            number if MD_MF.contains(&number) || MB_MG_MR.contains(&number) => 0,
            MINFO | RP => 0,
            AFSDB | RT | PX | KX => 2,
            _ => return None,
        },
    };
    (at <= rdata.len()).then_some(at)
}

/// Where the bytes behind `count` character-strings begin.
fn behind_strings(rdata: &[u8], mut at: usize, count: usize) -> Option<usize> {
    for _ in 0..count {
        at += 1 + usize::from(*rdata.get(at)?);
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_counts_as_a_label_unless_it_comes_first() {
        for (wire, labels) in [
            (&b"\x00"[..], 0),
            (b"\x01*\x00", 0),
            (b"\x01*\x03org\x00", 1),
            (b"\x01*\x01*\x03org\x00", 2),
            (b"\x01x\x01*\x03org\x00", 3),
            (b"\x02**\x03org\x00", 2),
            (b"\x02*x\x03org\x00", 2),
            (&b"\x01*".repeat(127).into_iter().chain([0]).collect::<Vec<u8>>(), 126),
        ] {
            let owner = Name::from_wire(wire).unwrap();
            assert_eq!(rrsig_labels(owner.as_ref()), labels, "{owner}");
        }
    }

    #[test]
    fn names_are_lowered_and_nothing_else() {
        let naptr = b"\x00\x01\x00\x02\x01U\x03SIP\x00\x03FoO\x00";
        for (rtype, rdata, expected) in [
            (RecordType::CNAME, &b"\x03FoO\x00"[..], &b"\x03foo\x00"[..]),
            (RecordType::MX, b"AB\x03FoO\x00", b"AB\x03foo\x00"),
            (RecordType::SRV, b"ABCDEF\x03FoO\x00", b"ABCDEF\x03foo\x00"),
            (RecordType::NAPTR, naptr, b"\x00\x01\x00\x02\x01U\x03SIP\x00\x03foo\x00"),
            (RecordType::TXT, b"\x03FoO", b"\x03FoO"),
            (RecordType::CAA, b"\x00\x05issueLetsEncrypt.org", b"\x00\x05issueLetsEncrypt.org"),
            (RecordType::Unknown(17), b"\x01A\x00\x01B\x00", b"\x01a\x00\x01b\x00"),
            (RecordType::NAPTR, b"\x00\x01\x00\x02\xff", b"\x00\x01\x00\x02\xff"),
        ] {
            assert_eq!(canonical_rdata(rtype, rdata), expected, "{rtype}");
        }
    }
}
