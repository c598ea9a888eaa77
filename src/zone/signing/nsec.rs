//! NSEC records made for one question: compact denial of existence (RFC 9824).

use hickory_proto::rr::RecordType;

use crate::model::name::{MAX_LABEL, MAX_NAME, NameRef};

/// What stands in the bitmap of a name that does not exist (RFC 9824 section 2).
pub const NXNAME: RecordType = RecordType::Unknown(128);

/// The RDATA of the NSEC that says that exactly these types are at `name` of the zone `apex`, and nothing about any
/// other name.
///
/// RRSIG and NSEC are always among them: whatever is at the name, this record is.
pub fn nsec_rdata(name: NameRef<'_>, apex: NameRef<'_>, types: impl Iterator<Item = RecordType>) -> Vec<u8> {
    let mut numbers: Vec<u16> = types.chain([RecordType::RRSIG, RecordType::NSEC]).map(u16::from).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut out = successor(name, apex);
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

/// The name of the zone right behind this one in canonical order (RFC 4034 section 6.1), in wire form: one with the
/// label `\000` in front. Behind a name that is too long for another label comes the next name beside it or beside one
/// of those above it (RFC 4471 section 3.1.2). Behind the zone's last name comes its apex (RFC 4034 section 4.1.1).
fn successor(name: NameRef<'_>, apex: NameRef<'_>) -> Vec<u8> {
    let mut wire = name.as_wire();
    if wire.len() + 2 <= MAX_NAME {
        return [&[1, 0], wire].concat();
    }
    while wire.len() > apex.as_wire().len() {
        let (label, above) = wire[1..].split_at(usize::from(wire[0]));
        if let Some(next) = next_label(label, wire.len()) {
            // invariant: a label has at most 63 bytes
            return [&[next.len() as u8], &next[..], above].concat();
        }
        wire = above;
    }
    apex.as_wire().to_vec()
}

/// The first label behind all names that end with the name of `length` bytes that begins with `label`; `None` if no
/// label follows.
fn next_label(label: &[u8], length: usize) -> Option<Vec<u8>> {
    if label.len() < MAX_LABEL && length < MAX_NAME {
        return Some([label, &[0]].concat());
    }
    let last = label.iter().rposition(|byte| *byte != 0xff)?;
    // Letters are compared in lower case, so the capitals come nowhere between `@` and `[`.
    let next = if label[last] == b'@' { b'[' } else { label[last] + 1 };
    Some([&label[..last], &[next]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::Name;

    fn rdata(name: &str, types: &[RecordType]) -> Vec<u8> {
        let name: Name = name.parse().unwrap();
        let apex: Name = ".".parse().unwrap();
        nsec_rdata(name.as_ref(), apex.as_ref(), types.iter().copied())
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

    fn label(byte: u8, length: usize) -> Vec<u8> {
        [&[length as u8][..], &vec![byte; length]].concat()
    }

    /// The name behind `wire` in the zone `apex`.
    fn after(wire: &[u8], apex: &[u8]) -> Vec<u8> {
        let name = Name::from_wire(wire).unwrap();
        successor(name.as_ref(), Name::from_wire(apex).unwrap().as_ref())
    }

    #[test]
    fn the_longest_names_have_successors_too() {
        let long = |first: &[u8]| [first, &label(b'b', 63), &label(b'c', 63), &label(b'd', 63), b"\0"].concat();
        let apex = [&label(b'd', 63), &b"\0"[..]].concat();
        let after = |first: &[u8]| after(&long(first), &apex);
        assert_eq!(after(&label(b'a', 59)), [b"\x01\0", &long(&label(b'a', 59))[..]].concat());
        assert_eq!(after(&label(b'a', 60)), long(&[&[61][..], &[b'a'; 60], b"\0"].concat()));
        assert_eq!(after(&label(b'a', 61)), long(&[&[61][..], &[b'a'; 60], b"b"].concat()));
        assert_eq!(after(&label(b'@', 61)), long(&[&[61][..], &[b'@'; 60], b"["].concat()));
        let behind = [&[63][..], &[b'b'; 62], b"c", &label(b'c', 63), &label(b'd', 63), b"\0"].concat();
        assert_eq!(after(&label(0xff, 61)), behind);
    }

    /// What came next was a name of another zone, behind the apex.
    #[test]
    fn behind_the_last_name_of_a_zone_comes_its_apex() {
        let apex = b"\x04auth\x07example\x03org\x00";
        let rest = MAX_NAME - apex.len() - 3 * 64;
        let last = [label(0xff, rest - 1), label(0xff, 63).repeat(3), apex.to_vec()].concat();
        assert_eq!((last.len(), after(&last, apex)), (MAX_NAME, apex.to_vec()));
        // Of an apex that is too long for any name below it, it is the only name.
        for first in [60, 61] {
            let apex = [label(b'a', first), label(b'b', 63).repeat(3), b"\0".to_vec()].concat();
            assert_eq!(after(&apex, &apex), apex);
        }
    }

    /// What came next was `q.auth.example.org`, which denied all names between, such as `p-1.auth.example.org`.
    #[test]
    fn behind_the_last_name_below_another_comes_the_nearest_beside_that() {
        let apex = b"\x04auth\x07example\x03org\x00";
        let rest = MAX_NAME - apex.len() - 2 - 3 * 64;
        let last = [label(0xff, rest - 1), label(0xff, 63).repeat(3), b"\x01p".to_vec(), apex.to_vec()].concat();
        assert_eq!(last.len(), MAX_NAME);
        assert_eq!(after(&last, apex), [&b"\x02p\0"[..], apex].concat());
    }

    /// Canonical order compares labels from the last to the first, byte by byte in lower case.
    fn key(wire: &[u8]) -> Vec<Vec<u8>> {
        let name = Name::from_wire(wire).unwrap();
        let mut labels: Vec<_> = name.as_ref().labels().map(<[u8]>::to_vec).collect();
        labels.reverse();
        labels
    }

    /// All names of a zone whose apex is so long that few fit below it, of bytes at the edges of the order.
    fn names_below(name: &[u8], names: &mut Vec<Vec<u8>>) {
        const BYTES: [u8; 7] = [0, b'*', b'@', b'[', b'z', 0xfe, 0xff];
        names.push(name.to_vec());
        let mut labels = vec![Vec::new()];
        for length in 1..MAX_NAME - name.len() {
            labels = labels.iter().flat_map(|label| BYTES.map(|byte| [&label[..], &[byte]].concat())).collect();
            for label in &labels {
                names_below(&[&[length as u8], &label[..], name].concat(), names);
            }
        }
    }

    #[test]
    fn no_name_that_can_exist_lies_between_a_name_and_its_successor() {
        let apex = [label(b'a', 55), label(b'b', 63).repeat(3), b"\0".to_vec()].concat();
        let mut names = Vec::new();
        names_below(&apex, &mut names);
        assert_eq!((apex.len(), names.len()), (249, 27_889));
        names.sort_by_cached_key(|name| key(name));
        for pair in names.windows(2) {
            let next = key(&after(&pair[0], &apex));
            assert!(key(&pair[0]) < next && next <= key(&pair[1]), "{pair:02x?}: {next:02x?}");
        }
        assert_eq!(after(&names[names.len() - 1], &apex), apex);
    }
}
