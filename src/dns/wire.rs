//! Walking over the octets of a DNS message (RFC 1035 section 4.1) without copying any.

use crate::name::{MAX_LABEL, MAX_NAME};

/// A place in a message. Every step is `None` where the octets end early or make no sense.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'p> {
    message: &'p [u8],
    at: usize,
}

/// The fixed part of a resource record, and its RDATA.
#[derive(Clone, Copy, Debug)]
pub struct Record<'p> {
    /// Whether the owner is the root, written as such.
    pub is_at_root: bool,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub rdata: &'p [u8],
}

impl<'p> Walk<'p> {
    /// Starts behind the header.
    pub fn behind_header(message: &'p [u8]) -> Self {
        Self { message, at: 12 }
    }

    /// Octets walked so far, the header's included.
    pub fn at(self) -> usize {
        self.at
    }

    /// Whether all octets have been walked.
    pub fn is_at_end(self) -> bool {
        self.at == self.message.len()
    }

    /// Takes a number of octets.
    pub fn take(&mut self, count: usize) -> Option<&'p [u8]> {
        let taken = self.message.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    /// Takes two octets as a number.
    pub fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Takes a name that is written in full, root octet included, of at most 255 octets.
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

    /// Steps over a name that may end in a compression pointer, which is not followed: so this always ends.
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

    /// Takes a resource record.
    pub fn record(&mut self) -> Option<Record<'p>> {
        let start = self.at;
        self.skip_name()?;
        let is_at_root = self.message.get(start) == Some(&0);
        let (rtype, class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
        let length = self.u16()?;
        Some(Record { is_at_root, rtype, class, ttl, rdata: self.take(usize::from(length))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(octets: &[u8]) -> Option<usize> {
        Walk { message: octets, at: 0 }.name().map(<[u8]>::len)
    }

    #[test]
    fn names_keep_to_their_limits() {
        assert_eq!(name(b"\x01a\x00tail"), Some(3));
        assert_eq!(name(b"\x01a"), None);
        assert_eq!(name(b"\xc0\x0c"), None);
        assert_eq!(name(b"\x40aaaa"), None);
        // 3 labels of 63 and one of 61 make 255 octets; one more octet is too many.
        let long = |last: u8| {
            let mut wire = [[63; 1].to_vec(), [b'a'; 63].to_vec()].concat().repeat(3);
            wire.push(last);
            wire.extend(vec![b'b'; usize::from(last)]);
            wire.push(0);
            wire
        };
        assert_eq!(name(&long(61)), Some(255));
        assert_eq!(name(&long(62)), None);
    }

    #[test]
    fn a_record_needs_all_its_octets() {
        let octets = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x02ab";
        let record = Walk { message: octets, at: 0 }.record().unwrap();
        assert_eq!((record.is_at_root, record.rtype, record.class, record.rdata), (true, 41, 1232, &b"ab"[..]));
        for end in 0..octets.len() {
            assert!(Walk { message: &octets[..end], at: 0 }.record().is_none(), "{end}");
        }
    }
}
