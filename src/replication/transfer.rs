//! A transfer: writes the records of its contents into messages, as many as fit.

use std::iter::Peekable;
use std::vec;

use crate::metrics::transfers::{TransferKind, TransferResult};
use crate::model::serial::Serial;

use super::contents::{Contents, ContentsError};
use super::held_zone::HeldZone;
use super::record::TransferRecord;

/// A transfer that a client was admitted to.
#[derive(Debug)]
pub struct Transfer {
    kind: TransferKind,
    /// Who transfers, by the configuration.
    secondary: String,
    contents: Contents,
    batch: Peekable<vec::IntoIter<TransferRecord>>,
}

impl Transfer {
    pub(super) fn new(kind: TransferKind, secondary: String, contents: Contents) -> Self {
        Self { kind, secondary, contents, batch: Vec::new().into_iter().peekable() }
    }

    pub fn kind(&self) -> TransferKind {
        self.kind
    }

    /// The secondary's name in the configuration.
    pub fn secondary(&self) -> &str {
        &self.secondary
    }

    /// The zone that is transferred.
    pub fn zone(&self) -> &HeldZone {
        self.contents.zone()
    }

    /// The serial that the client has afterwards.
    pub fn serial(&self) -> Serial {
        self.contents.serial()
    }

    /// What the client gets, if it gets all of it.
    pub fn result(&self) -> TransferResult {
        self.contents.result()
    }

    /// The same with the SOA record alone, which tells a client over UDP to ask again over a connection (RFC 1995
    /// section 2).
    pub fn into_soa(self) -> Self {
        let contents = Contents::soa(self.contents.zone().clone(), self.contents.serial());
        Self::new(self.kind, self.secondary, contents)
    }

    /// Appends as many records as fit into `room` bytes. Returns how many; 0 behind the last.
    pub fn write(&mut self, out: &mut Vec<u8>, room: usize) -> Result<u16, ContentsError> {
        let limit = out.len() + room;
        let mut count = 0;
        while self.fill()? {
            let fits = |record: &TransferRecord| out.len() + record.size() <= limit;
            let Some(record) = self.batch.next_if(fits) else {
                return if count == 0 { Err(ContentsError::TooLarge) } else { Ok(count) };
            };
            record.write(out);
            count += 1;
        }
        Ok(count)
    }

    /// Whether every record has been written.
    pub fn is_done(&mut self) -> Result<bool, ContentsError> {
        Ok(!self.fill()?)
    }

    /// Fetches records, if none are left. False behind the last.
    fn fill(&mut self) -> Result<bool, ContentsError> {
        while self.batch.peek().is_none() {
            let Some(records) = self.contents.next_batch()? else { return Ok(false) };
            self.batch = records.into_iter().peekable();
        }
        Ok(true)
    }
}
