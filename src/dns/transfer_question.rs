//! Queries for zone transfers.

use hickory_proto::rr::RecordType;

use crate::metrics::transfers::TransferKind;
use crate::model::name::NameRef;
use crate::model::serial::Serial;
use crate::model::wire::Walk;

use super::echo::Echo;

/// A query for a zone transfer.
#[derive(Clone, Copy, Debug)]
pub struct TransferQuestion<'p> {
    /// The apex of the zone, in lower case.
    pub name: NameRef<'p>,
    pub kind: TransferKind,
    /// The serial that the client has; `None` in an AXFR.
    pub serial: Option<Serial>,
    /// Whether the class is IN, an IXFR brings one SOA record of the zone along, and nothing else but valid additional
    /// records follows.
    pub is_valid: bool,
    /// The parts that the reply repeats.
    pub echo: Echo<'p>,
}

/// The kind of transfer that a query for a type asks for; `None`: it asks for records.
pub(super) fn transfer_kind(rtype: RecordType) -> Option<TransferKind> {
    match rtype {
        RecordType::AXFR => Some(TransferKind::Axfr),
        RecordType::IXFR => Some(TransferKind::Ixfr),
        _ => None,
    }
}

/// The serial of a SOA record that comes next and belongs to the zone.
pub(super) fn serial_of(walk: &mut Walk<'_>, zone: NameRef<'_>) -> Option<Serial> {
    let mut ahead = *walk;
    let owner = ahead.expanded_name()?;
    let record = walk.record()?;
    let mut rdata = Walk::over(record.rdata);
    rdata.skip_name()?;
    rdata.skip_name()?;
    let serial = rdata.u32()?;
    (owner.as_ref() == zone && RecordType::from(record.rtype) == RecordType::SOA).then_some(Serial(serial))
}
