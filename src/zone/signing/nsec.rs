//! NSEC records made for one question: compact denial of existence (RFC 9824).

use hickory_proto::rr::RecordType;

use crate::model::name::{MAX_LABEL, MAX_NAME, NameRef};

/// What stands in the bitmap of a name that does not exist (RFC 9824 section 2).
pub const NXNAME: RecordType = RecordType::Unknown(128);

/// The RDATA of the NSEC that says that exactly these types are at `name`, and nothing about any other name.
///
/// RRSIG and NSEC are always among them: whatever is at the name, this record is.
pub fn nsec_rdata(name: NameRef<'_>, types: impl Iterator<Item = RecordType>) -> Vec<u8> {
    let mut numbers: Vec<u16> = types.chain([RecordType::RRSIG, RecordType::NSEC]).map(u16::from).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut out = successor(name);
    // RFC 4034 section 4.1.2: blocks of 256 types, each with its number and the bytes up to its last bit.
    for block in numbers.chunk_by(|a, b| a >> 8 == b >> 8) {
        let mut bitmap = [0_u8; 32];
        let mut length = 0;
        for number in block {
            let at = usize::from(number & 0xff) / 8;
            bitmap[at] |= 0x80 >> (number & 7);
            length = at + 1;
        }
        // invariant: a block's number is one byte, and its bitmap has at most 32 bytes
        out.extend_from_slice(&[(block[0] >> 8) as u8, length as u8]);
        out.extend_from_slice(&bitmap[..length]);
    }
    out
}

/// The name right behind this one in canonical order (RFC 4034 section 6.1), in wire form: one with the label `\000`
/// in front of it; where that would be too long, as RFC 4471 section 3.1.2 says.
fn successor(name: NameRef<'_>) -> Vec<u8> {
    let wire = name.as_wire();
    if wire.len() + 2 <= MAX_NAME {
        return [&[1, 0], wire].concat();
    }
    let first = usize::from(wire[0]);
    if wire.len() < MAX_NAME && first < MAX_LABEL {
        // invariant: the label has fewer than 63 bytes
        return [&[first as u8 + 1], &wire[1..=first], &[0], &wire[first + 1..]].concat();
    }
    raised(wire)
}

/// The first name behind all that begin with this one's first label.
fn raised(wire: &[u8]) -> Vec<u8> {
    let (label, rest) = wire[1..].split_at(usize::from(wire[0]));
    match label.iter().rposition(|byte| *byte != 0xff) {
        // 255 bytes of 0xff: no name of a zone with an apex of letters comes to its end this way.
        None if rest.len() > 1 => raised(rest),
        None => vec![0],
        Some(last) => {
            // Letters are compared in lower case, so the capitals are no place to go.
            let next = if label[last] == b'@' { b'[' } else { label[last] + 1 };
            // invariant: no longer than the label was
            [&[last as u8 + 1], &label[..last], &[next], rest].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::Name;

    fn rdata(name: &str, types: &[RecordType]) -> Vec<u8> {
        let name: Name = name.parse().unwrap();
        nsec_rdata(name.as_ref(), types.iter().copied())
    }

    #[test]
    fn bitmaps_are_those_of_the_rfcs() {
        // RFC 9824 section 3.1 and the example of RFC 4034 section 4.3.
        assert_eq!(rdata("a", &[NXNAME]), b"\x01\0\x01a\0\0\x11\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\x80");
        let types = [RecordType::A, RecordType::MX, RecordType::Unknown(1_234)];
        let mut expected = b"\x01\0\x04host\0\x00\x06\x40\x01\x00\x00\x00\x03\x04\x1b".to_vec();
        expected.extend_from_slice(&[0; 26]);
        expected.push(0x20);
        assert_eq!(rdata("host", &types), expected);
    }

    #[test]
    fn the_longest_names_have_successors_too() {
        let label = |byte: u8, length: usize| [&[length as u8][..], &vec![byte; length]].concat();
        let long = |first: &[u8]| [first, &label(b'b', 63), &label(b'c', 63), &label(b'd', 63), b"\0"].concat();
        let after = |first: &[u8]| successor(Name::from_wire(&long(first)).unwrap().as_ref());
        assert_eq!(after(&label(b'a', 59)), [b"\x01\0", &long(&label(b'a', 59))[..]].concat());
        assert_eq!(after(&label(b'a', 60)), long(&[&[61][..], &[b'a'; 60], b"\0"].concat()));
        assert_eq!(after(&label(b'a', 61)), long(&[&[61][..], &[b'a'; 60], b"b"].concat()));
        assert_eq!(after(&label(b'@', 61)), long(&[&[61][..], &[b'@'; 60], b"["].concat()));
        let behind = [&[63][..], &[b'b'; 62], b"c", &label(b'c', 63), &label(b'd', 63), b"\0"].concat();
        assert_eq!(after(&label(0xff, 61)), behind);
    }
}
