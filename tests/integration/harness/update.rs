//! DNS UPDATEs by hand (RFC 2136).

use super::dns::{Change, ID, SOA, TXT, question, wire_name};

pub const IN: u16 = 1;
pub const NONE: u16 = 254;
pub const ANY_CLASS: u16 = 255;

/// An UPDATE in the making.
#[derive(Clone, Debug)]
pub struct Update {
    zone: Vec<u8>,
    prerequisites: Vec<Vec<u8>>,
    updates: Vec<Vec<u8>>,
    id: u16,
}

impl Update {
    /// One for a zone, which changes nothing yet.
    pub fn of(zone: &str) -> Self {
        Self::of_question(question(zone, SOA, IN))
    }

    /// One with this for its zone section.
    pub fn of_question(zone: Vec<u8>) -> Self {
        Self { zone, prerequisites: Vec::new(), updates: Vec::new(), id: ID }
    }

    pub fn id(self, id: u16) -> Self {
        Self { id, ..self }
    }

    /// Expects a record.
    pub fn when(mut self, record: Vec<u8>) -> Self {
        self.prerequisites.push(record);
        self
    }

    /// Wants a record.
    pub fn then(mut self, record: Vec<u8>) -> Self {
        self.updates.push(record);
        self
    }

    /// Adds a TXT value.
    pub fn add(self, name: &str, txt: &str) -> Self {
        self.then(record(name, TXT, IN, 120, &string(txt)))
    }

    /// Deletes a TXT value.
    pub fn delete(self, name: &str, txt: &str) -> Self {
        self.then(record(name, TXT, NONE, 0, &string(txt)))
    }

    /// Deletes all records of a type; 255: of all types.
    pub fn clear(self, name: &str, rtype: u16) -> Self {
        self.then(record(name, rtype, ANY_CLASS, 0, &[]))
    }

    /// The message.
    pub fn bytes(&self) -> Vec<u8> {
        let header = [&self.id.to_be_bytes()[..], &[0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
        let (expected, wanted) = (self.prerequisites.len() as u16, self.updates.len() as u16);
        header
            .and(&self.zone)
            .and(&self.prerequisites.concat())
            .and(&self.updates.concat())
            .count(1, expected)
            .count(2, wanted)
    }
}

/// A record.
pub fn record(name: &str, rtype: u16, class: u16, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let mut out = wire_name(name);
    out.extend_from_slice(&rtype.to_be_bytes());
    out.extend_from_slice(&class.to_be_bytes());
    out.extend_from_slice(&ttl.to_be_bytes());
    out.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    out.extend_from_slice(rdata);
    out
}

/// A character-string.
pub fn string(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}
