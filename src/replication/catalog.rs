//! The catalog zone (RFC 9432): lists the zones that secondaries may transfer, so that they pick up new ones by themselves.

use std::fmt::Write;
use std::sync::Arc;

use data_encoding::BASE32HEX_NOPAD;
use ring::digest::{SHA256, digest};

use crate::model::name::{Name, ZoneName};
use crate::model::serial::Serial;
use crate::zone::Zone;
use crate::zone::live::Live;
use crate::zone::soa::Soa;
use crate::zone::zonefile::StaticRecords;

/// The name that stands where a catalog has no server (RFC 9432 section 4.1).
const NOBODY: &str = "invalid";
/// Bytes of a zone's digest in its label.
const ID: usize = 15;
/// SOA timers in seconds: a NOTIFY brings each change, and a catalog that is old is better than none.
const REFRESH: u32 = 3_600;
const RETRY: u32 = 600;
const EXPIRE: u32 = 2_147_483_646;

/// The catalog of these zones; `before` is the one that it replaces. `None`: there is no room for a name below the
/// catalog's.
pub fn catalog(name: &ZoneName, members: &[&Zone], before: Option<&Zone>) -> Option<Zone> {
    let nobody: Name = NOBODY.parse().ok()?;
    let mut zonefile = "version 0 TXT \"2\"\n".to_owned();
    for zone in members {
        // Writing to a String cannot fail.
        _ = writeln!(zonefile, "{}.zones 0 PTR {}.", member_id(&zone.name), zone.name);
    }
    let statics = StaticRecords::parse(name, std::slice::from_ref(&nobody), &zonefile).ok()?;
    let soa =
        Soa { mname: nobody.clone(), rname: nobody, refresh: REFRESH, retry: RETRY, expire: EXPIRE, negative_ttl: 0 };
    let newest =
        members.iter().map(|zone| zone.serial()).reduce(|one, other| if other.is_after(one) { other } else { one });
    let newest = newest.unwrap_or(Serial(1));
    let live = match before.filter(|before| before.name == *name) {
        Some(before) if before.statics.has_sets_of(&statics) => before.live.clone(),
        Some(before) => {
            let next = Serial(before.serial().0.wrapping_add(1));
            Arc::new(Live::new(if newest.is_after(next) { newest } else { next }))
        }
        // The serials of the members never go back, also over restarts.
        None => Arc::new(Live::new(newest)),
    };
    Some(Zone { name: name.clone(), soa, txt_ttl: 0, statics, live, dnssec: None, signing: None })
}

/// A label that a zone has for as long as it is there, and at every start.
fn member_id(zone: &ZoneName) -> String {
    let digest = digest(&SHA256, zone.apex().as_wire());
    BASE32HEX_NOPAD.encode(&digest.as_ref()[..ID]).to_ascii_lowercase()
}
