//! The records of a transfer, before they are written into messages.

use hickory_proto::rr::RecordType;

use crate::model::name::owner_label::AcmeAccountLabel;
use crate::model::name::{CHALLENGE_LABEL, Name};
use crate::model::serial::Serial;
use crate::model::txt::{MAX_STRING, RecordSet};
use crate::zone::Zone;
use crate::zone::live::label::LiveLabel;

const CLASS_IN: u16 = 1;
/// A pointer to the question's name, which is the apex and follows the header.
const APEX: u16 = 0xc00c;
/// The bytes of a record beside the labels of its name and its data.
const FIXED: usize = 12;

/// A record of a zone.
#[derive(Debug, PartialEq, Eq)]
pub struct TransferRecord {
    /// The labels of its name before the apex, as wire bytes.
    labels: Box<[u8]>,
    rtype: RecordType,
    ttl: u32,
    rdata: Box<[u8]>,
}

impl TransferRecord {
    /// The zone's SOA record.
    pub fn soa(zone: &Zone, serial: Serial) -> Self {
        let mut rdata = Vec::new();
        zone.soa.write_rdata(serial, &mut rdata);
        Self { labels: Box::default(), rtype: RecordType::SOA, ttl: zone.soa.negative_ttl, rdata: rdata.into() }
    }

    /// All records of the configuration.
    pub fn statics(zone: &Zone) -> Vec<Self> {
        let of_set = |name: &Name, set: &RecordSet| -> Vec<Self> {
            let labels = labels_of(zone, name.as_wire());
            let rdatas = set.rdatas.iter().cloned();
            rdatas.map(|rdata| Self { labels: labels.into(), rtype: set.rtype, ttl: set.ttl, rdata }).collect()
        };
        let sets = zone.statics.sets().flat_map(|(name, sets)| sets.iter().map(move |set| (name, set)));
        sets.flat_map(|(name, set)| of_set(name, set)).collect()
    }

    /// Adds the TXT records of a live name; none where records of the configuration stand in its place.
    pub fn push_texts<'t>(
        zone: &Zone,
        label: &LiveLabel,
        texts: impl Iterator<Item = &'t [u8]>,
        records: &mut Vec<Self>,
    ) {
        let name = live_name(zone, &label.bytes());
        if zone.statics.is_at(&name) && !label.is_apex() {
            return;
        }
        let labels = labels_of(zone, &name);
        records.extend(texts.map(|text| Self {
            labels: labels.into(),
            rtype: RecordType::TXT,
            ttl: zone.txt_ttl,
            rdata: txt_rdata(text),
        }));
    }

    /// The bytes that it takes in a message.
    pub fn size(&self) -> usize {
        self.labels.len() + FIXED + self.rdata.len()
    }

    /// Appends the record. Its message has the apex as its question.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.labels);
        out.extend_from_slice(&APEX.to_be_bytes());
        out.extend_from_slice(&u16::from(self.rtype).to_be_bytes());
        out.extend_from_slice(&CLASS_IN.to_be_bytes());
        out.extend_from_slice(&self.ttl.to_be_bytes());
        // invariant: no set of the configuration has over 60,000 bytes, and no value is as long
        out.extend_from_slice(&(self.rdata.len() as u16).to_be_bytes());
        out.extend_from_slice(&self.rdata);
    }
}

/// The labels before the apex of a name in the zone.
fn labels_of<'n>(zone: &Zone, name: &'n [u8]) -> &'n [u8] {
    let apex = zone.name.apex().as_wire().len();
    &name[..name.len().saturating_sub(apex)]
}

/// The whole name, in wire form, of a label that the live values are kept under.
fn live_name(zone: &Zone, label: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(64);
    push_label(&mut name, label);
    if !zone.name.is_challenge() && AcmeAccountLabel::is_one(label) {
        push_label(&mut name, CHALLENGE_LABEL.as_bytes());
    }
    name.extend_from_slice(zone.name.apex().as_wire());
    name
}

/// Appends a label with its length; nothing for the apex, which has none.
fn push_label(name: &mut Vec<u8>, label: &[u8]) {
    if !label.is_empty() {
        // invariant: labels have at most 63 bytes
        name.push(label.len() as u8);
        name.extend_from_slice(label);
    }
}

fn txt_rdata(text: &[u8]) -> Box<[u8]> {
    let mut rdata = Vec::with_capacity(text.len() + text.len() / MAX_STRING + 1);
    for string in text.chunks(MAX_STRING) {
        // invariant: a string has at most 255 bytes
        rdata.push(string.len() as u8);
        rdata.extend_from_slice(string);
    }
    rdata.into()
}
