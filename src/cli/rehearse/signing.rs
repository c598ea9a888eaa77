//! The DS records that the parents of signed zones should have.

use crate::config::Config;
use crate::config::keyfile::KeyFile;
use crate::model::name::ZoneName;
use crate::zone::signing::phase::{CdsRequest, Phase};

use super::report::Finding;

/// The DS record that a zone should have at its parent.
#[derive(Debug)]
pub struct ZoneDs {
    /// The zone.
    pub zone: ZoneName,
    /// The record's RDATA.
    pub rdata: Vec<u8>,
}

/// The DS record of each signed zone, and why a zone has none that should have.
pub fn ds_records(config: &Config) -> (Vec<ZoneDs>, Vec<Finding>) {
    let mut records = Vec::new();
    let mut findings = Vec::new();
    for zone in &config.zones {
        let Some(dnssec) = &zone.dnssec else { continue };
        match KeyFile::read(&dnssec.key, &zone.name) {
            Ok(key) => records.extend(ds_of(&key).map(|rdata| ZoneDs { zone: zone.name.clone(), rdata })),
            Err(error) => findings.push(Finding::fault(format!("{} is rehearsed unsigned: {error}", zone.name))),
        }
    }
    (records, findings)
}

/// The DS that the phase of the key asks for; a zone whose key is fresh has its first one still to come.
fn ds_of(file: &KeyFile) -> Option<Vec<u8>> {
    let key = match file.phase.cds() {
        CdsRequest::Nothing if file.phase == Phase::Unsigned => None,
        CdsRequest::Nothing | CdsRequest::First => file.keys.first(),
        CdsRequest::Last => file.keys.last(),
        CdsRequest::Delete => None,
    };
    key.map(|key| key.ds(file.zone.apex()))
}

/// A DS record's data as zone files write it: key tag, algorithm, digest type and digest (RFC 4034 section 5.3).
pub fn written(rdata: &[u8]) -> String {
    let digest: String = rdata.iter().skip(4).map(|byte| format!("{byte:02X}")).collect();
    match rdata {
        [high, low, algorithm, digest_type, ..] => {
            format!("{} {algorithm} {digest_type} {digest}", u16::from_be_bytes([*high, *low]))
        }
        _ => digest,
    }
}
