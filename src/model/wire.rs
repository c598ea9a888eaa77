//! Reads the bytes of a DNS message (RFC 1035 section 4.1) in order, without copying them.

use crate::model::name::{MAX_LABEL, MAX_NAME, Name};

/// Bytes of the header (RFC 1035 section 4.1.1).
pub const HEADER: usize = 12;

/// The most labels of a name, the root apart: each takes two bytes at least.
const MAX_LABELS: usize = (MAX_NAME - 1) / 2;

/// A position in a message. Each step returns `None` if the bytes end early or are malformed.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'p> {
    message: &'p [u8],
    at: usize,
}

/// The fixed fields of a resource record, and its RDATA.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'p> {
    /// Whether the owner is the root, uncompressed.
    pub is_at_root: bool,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub rdata: &'p [u8],
}

impl<'p> Walk<'p> {
    /// Starts behind the header.
    pub fn behind_header(message: &'p [u8]) -> Self {
        Self { message, at: HEADER }
    }

    /// Starts at the first byte of something other than a message, such as RDATA.
    pub fn over(bytes: &'p [u8]) -> Self {
        Self { message: bytes, at: 0 }
    }

    /// The header's counts of questions, answers, authority records and additional records (RFC 1035 section 4.1.1).
    pub fn counts(self) -> Option<[u16; 4]> {
        let header: &[u8; HEADER] = self.message.first_chunk()?;
        Some([4, 6, 8, 10].map(|at| u16::from_be_bytes([header[at], header[at + 1]])))
    }

    /// The offset of the next byte.
    pub fn at(self) -> usize {
        self.at
    }

    /// Whether no byte is left.
    pub fn is_at_end(self) -> bool {
        self.at == self.message.len()
    }

    pub fn take(&mut self, count: usize) -> Option<&'p [u8]> {
        let taken = self.message.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Takes a 16-bit length, and returns as many of the bytes that follow.
    pub fn counted(&mut self) -> Option<&'p [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// Takes an uncompressed name of at most 255 bytes, and returns it with its root byte.
    pub fn name(&mut self) -> Option<&'p [u8]> {
        let start = self.at;
        loop {
            let length = usize::from(*self.take(1)?.first()?);
            if length > MAX_LABEL {
                return None;
            }
            self.take(length)?;
            if self.at - start > MAX_NAME {
                return None;
            }
            if length == 0 {
                return self.message.get(start..self.at);
            }
        }
    }

    /// Skips a name. A compression pointer ends the name and is not followed, so this always terminates.
    pub fn skip_name(&mut self) -> Option<()> {
        loop {
            match *self.take(1)?.first()? {
                0 => return Some(()),
                length @ 1..=0x3f => _ = self.take(usize::from(length))?,
                0xc0.. => return self.take(1).map(|_| ()),
                _ => return None,
            }
        }
    }

    /// Takes a name that may be compressed, and returns it uncompressed and in lower case. Each pointer must refer to a
    /// position before the labels that it ends (RFC 1035 section 4.1.4), so this always terminates. Pointers to pointers
    /// could be thousands, so there may be no more of them than a name has labels.
    pub fn expanded_name(&mut self) -> Option<Name> {
        let mut wire = Vec::new();
        let mut part = *self;
        self.skip_name()?;
        let mut start = part.at;
        let mut pointers = 0;
        loop {
            match part.take(1)?.first()? {
                length @ 0..=0x3f => {
                    wire.push(*length);
                    wire.extend_from_slice(part.take(usize::from(*length))?);
                    if *length == 0 {
                        return Name::from_wire(&wire).ok();
                    }
                }
                high @ 0xc0.. => {
                    let low = part.take(1)?.first()?;
                    let target = usize::from(u16::from_be_bytes([high & 0x3f, *low]));
                    pointers += 1;
                    if !(HEADER..start).contains(&target) || pointers > MAX_LABELS {
                        return None;
                    }
                    start = target;
                    part.at = target;
                }
                _ => return None,
            }
            if wire.len() > MAX_NAME {
                return None;
            }
        }
    }

    pub fn record(&mut self) -> Option<RawRecord<'p>> {
        let start = self.at;
        self.skip_name()?;
        let is_at_root = self.message.get(start) == Some(&0);
        let rtype = self.u16()?;
        let class = self.u16()?;
        let ttl = self.u32()?;
        Some(RawRecord { is_at_root, rtype, class, ttl, rdata: self.counted()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(bytes: &[u8]) -> Option<usize> {
        Walk { message: bytes, at: 0 }.name().map(<[u8]>::len)
    }

    #[test]
    fn names_keep_to_their_limits() {
        assert_eq!(name(b"\x01a\x00tail"), Some(3));
        assert_eq!(name(b"\x01a"), None);
        assert_eq!(name(b"\xc0\x0c"), None);
        assert_eq!(name(b"\x40aaaa"), None);
        // Three labels of 63 bytes and one of 61 make a name of 255 bytes; one more byte is too many.
        assert_eq!(name(&long_name(61)), Some(255));
        assert_eq!(name(&long_name(62)), None);
    }

    fn long_name(last_label: u8) -> Vec<u8> {
        let mut wire = [&[63][..], &[b'a'; 63]].concat().repeat(3);
        wire.push(last_label);
        wire.extend(vec![b'b'; usize::from(last_label)]);
        wire.push(0);
        wire
    }

    /// The name at an offset of the message, and the offset behind it.
    fn expanded(message: &[u8], at: usize) -> Option<(String, usize)> {
        let mut walk = Walk { message, at };
        walk.expanded_name().map(|name| (name.to_string(), walk.at))
    }

    #[test]
    fn pointers_are_followed_backwards_only() {
        let message = b"headerheader\x01A\x03com\x00\x03www\xc0\x0c\xc0\x13\xc0\x1b\xc0\x00\x01x\xc0\x1f\x40";
        assert_eq!(expanded(message, 12), Some(("a.com".into(), 19)));
        assert_eq!(expanded(message, 19), Some(("www.a.com".into(), 25)));
        assert_eq!(expanded(message, 25), Some(("www.a.com".into(), 27)), "a pointer to a pointer");
        for (at, why) in [(27, "to itself"), (29, "into the header"), (31, "a loop"), (35, "no label"), (36, "the end")]
        {
            assert_eq!(expanded(message, at), None, "{why}");
        }
    }

    #[test]
    fn a_name_is_not_a_walk_through_thousands_of_pointers() {
        // A root, and pointers each to the one before.
        let mut message = b"headerheader\x00".to_vec();
        for number in 1..=200_usize {
            let at = message.len();
            let target = if number == 1 { 12 } else { at - 2 };
            message.extend_from_slice(&(0xc000 | target as u16).to_be_bytes());
            assert_eq!(expanded(&message, at).is_some(), number <= MAX_LABELS, "{number}");
        }
    }

    #[test]
    fn an_expanded_name_is_no_longer_than_a_name() {
        // Each of these has one label of 63 bytes and a pointer to the one before.
        let mut message = b"headerheader\x00".to_vec();
        let mut last = 12_u16;
        for number in 1..=4 {
            let at = message.len();
            message.push(63);
            message.extend_from_slice(&[b'a'; 63]);
            message.extend_from_slice(&(0xc000 | last).to_be_bytes());
            last = at as u16;
            assert_eq!(expanded(&message, at).is_some(), number < 4, "{number}");
        }
    }

    #[test]
    fn a_record_needs_all_its_bytes() {
        let bytes = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x02ab";
        let record = Walk { message: bytes, at: 0 }.record().unwrap();
        assert_eq!((record.is_at_root, record.rtype, record.class, record.rdata), (true, 41, 1232, &b"ab"[..]));
        for end in 0..bytes.len() {
            assert!(Walk { message: &bytes[..end], at: 0 }.record().is_none(), "{end}");
        }
    }
}
