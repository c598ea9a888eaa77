//! Names between this program's form and the DNS library's.

use hickory_proto::rr;
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable};

use crate::model::name::Name;

/// A name for the library. Fails only by a fault of the library: it takes every [`Name`].
pub fn to_library(name: &Name) -> Result<rr::Name, String> {
    rr::Name::from_bytes(name.as_wire()).map_err(|error| error.to_string())
}

/// A name of the library's; `None` for one that [`Name`] does not take.
pub fn from_library(name: &rr::Name) -> Option<Name> {
    let wire = name.to_bytes().ok()?;
    Name::from_wire(&wire).ok()
}
