//! From what DNS sees to what the operator reads: the queries for one name as lines of JSON.

use serde_json::json;
use tokio::sync::mpsc::{Receiver, channel};

use crate::api::admin::Watch;
use crate::dns::watch::Sighting;
use crate::name::Name;
use crate::zone::{Zones, zone_of};

use super::House;

/// Lines that wait for a slow reader; what comes past them is lost to it.
const WAITING: usize = 256;

/// What the operator's router opens a stream of queries with.
pub fn hook(house: &House) -> Watch {
    let (watchers, zones) = (house.watchers.clone(), house.zones.clone());
    Watch::new(move |name| {
        let (lines, reader): (_, Receiver<String>) = channel(WAITING);
        match watchers.watch(whole(&zones, name)) {
            Ok(mut watch) => {
                tokio::spawn(async move {
                    loop {
                        tokio::select! {
                            () = lines.closed() => return,
                            Some(sighting) = watch.next() => _ = lines.try_send(line(&sighting)),
                        }
                    }
                });
            }
            Err(error) => _ = lines.try_send(json!({ "error": error.to_string() }).to_string()),
        }
        reader
    })
}

/// A single label means that label of the first zone; no name means every name.
fn whole(zones: &Zones, name: Option<Name>) -> Name {
    let zones = zones.load();
    let Some(name) = name else { return Name::root() };
    let is_label = name.as_ref().labels().count() == 1;
    match zones.first() {
        Some(zone) if is_label && zone_of(&zones, name.as_ref()).is_none() => {
            zone.name.apex().child(&name.to_string()).unwrap_or(name)
        }
        _ => name,
    }
}

fn line(sighting: &Sighting) -> String {
    json!({
        "time": sighting.at.to_string(),
        "source": sighting.source.address.to_string(),
        "transport": sighting.source.transport.as_str(),
        "name": sighting.name.to_string(),
        "type": sighting.rtype.to_string(),
        "rcode": rcode(sighting),
        "values": sighting.values,
    })
    .to_string()
}

/// The mnemonic, as dig prints it.
fn rcode(sighting: &Sighting) -> String {
    sighting.rcode.to_str().to_owned()
}
