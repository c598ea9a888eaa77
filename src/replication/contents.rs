//! What a client of a transfer gets, and in which order: the SOA record first and last, and between them the whole zone
//! (RFC 5936 section 2.2) or its differences (RFC 1995 section 4).

use std::sync::Arc;
use std::vec;

use thiserror::Error;

use crate::metrics::transfers::TransferResult;
use crate::model::serial::Serial;
use crate::zone::Zone;
use crate::zone::live::history::{Difference, TxtRecord};
use crate::zone::snapshot::{Snapshot, SnapshotLost};

use super::held_zone::HeldZone;
use super::record::TransferRecord;

/// Why a transfer ends before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ContentsError {
    #[error("the client reads too slowly: {0}")]
    Lost(#[from] SnapshotLost),
    #[error("a record does not fit into a message")]
    TooLarge,
}

/// What lies between the first SOA record and the last.
#[derive(Debug)]
enum Body {
    Nothing,
    Differences(vec::IntoIter<Arc<Difference>>),
    Whole(Snapshot),
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    Body,
    Done,
}

/// The records of a transfer, in batches.
#[derive(Debug)]
pub struct Contents {
    zone: HeldZone,
    serial: Serial,
    body: Body,
    stage: Stage,
}

impl Contents {
    /// The whole zone.
    pub fn whole(zone: HeldZone) -> Self {
        let snapshot = Snapshot::of(zone.live.clone());
        Self { serial: snapshot.serial(), zone, body: Body::Whole(snapshot), stage: Stage::Opening }
    }

    /// What has changed since a serial, or the whole zone where that is not known any more.
    pub fn since(zone: HeldZone, client: Serial) -> Self {
        let present = zone.serial();
        if present == client || client.is_after(present) {
            return Self::soa(zone, present);
        }
        match zone.live.differences_since(client) {
            None => Self::whole(zone),
            Some((differences, serial)) => {
                Self { zone, serial, body: Body::Differences(differences.into_iter()), stage: Stage::Opening }
            }
        }
    }

    /// The SOA record alone.
    pub fn soa(zone: HeldZone, serial: Serial) -> Self {
        Self { zone, serial, body: Body::Nothing, stage: Stage::Opening }
    }

    pub fn zone(&self) -> &HeldZone {
        &self.zone
    }

    /// The serial that the client has afterwards.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// What kind of contents this is.
    pub fn result(&self) -> TransferResult {
        match self.body {
            Body::Nothing => TransferResult::Soa,
            Body::Differences(_) => TransferResult::Differences,
            Body::Whole(_) => TransferResult::Whole,
        }
    }

    /// The next records, of which there may be none; `None` behind the last.
    pub fn next_batch(&mut self) -> Result<Option<Vec<TransferRecord>>, SnapshotLost> {
        match self.stage {
            Stage::Opening => Ok(Some(self.opening())),
            Stage::Body => match self.body()? {
                Some(records) => Ok(Some(records)),
                None => {
                    self.stage = Stage::Done;
                    Ok(Some(vec![TransferRecord::soa(&self.zone, self.serial)]))
                }
            },
            Stage::Done => Ok(None),
        }
    }

    fn opening(&mut self) -> Vec<TransferRecord> {
        let mut records = vec![TransferRecord::soa(&self.zone, self.serial)];
        self.stage = Stage::Body;
        match self.body {
            Body::Nothing => self.stage = Stage::Done,
            Body::Differences(_) => {}
            Body::Whole(_) => records.extend(TransferRecord::statics(&self.zone)),
        }
        records
    }

    fn body(&mut self) -> Result<Option<Vec<TransferRecord>>, SnapshotLost> {
        match &mut self.body {
            Body::Nothing => Ok(None),
            Body::Differences(differences) => {
                Ok(differences.next().map(|difference| of_difference(&self.zone, &difference)))
            }
            Body::Whole(snapshot) => {
                let Some(states) = snapshot.next_shard()? else { return Ok(None) };
                let mut records = Vec::with_capacity(states.len());
                for (label, state) in &states {
                    TransferRecord::push_texts(&self.zone, label, state.texts(), &mut records);
                }
                Ok(Some(records))
            }
        }
    }
}

/// The old SOA record, what is removed, the new SOA record, and what is added.
fn of_difference(zone: &Zone, difference: &Difference) -> Vec<TransferRecord> {
    let mut records = vec![TransferRecord::soa(zone, difference.from)];
    push_all(zone, &difference.removed, &mut records);
    records.push(TransferRecord::soa(zone, difference.to));
    push_all(zone, &difference.added, &mut records);
    records
}

fn push_all(zone: &Zone, texts: &[TxtRecord], records: &mut Vec<TransferRecord>) {
    for TxtRecord { label, text } in texts {
        TransferRecord::push_texts(zone, label, [&**text].into_iter(), records);
    }
}
