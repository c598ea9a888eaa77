//! From what DNS sees to what the operator reads: the queries for one name as lines of JSON.

use serde_json::json;
use tokio::sync::mpsc::channel;
use tokio::sync::watch;

use crate::api::admin::Watch;
use crate::dns::watch::QueryEvent;

use super::Services;

/// Lines that wait for a slow reader; what comes past them is lost to it.
const WAITING: usize = 256;

/// What the operator's router opens a stream of queries with.
pub fn hook(services: &Services, shutdown: &watch::Sender<bool>) -> Watch {
    let (watchers, shutdown) = (services.watchers.clone(), shutdown.subscribe());
    Watch::new(move |name| {
        let mut watch = watchers.watch(name).ok()?;
        let (lines, reader) = channel(WAITING);
        let mut shutdown = shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = lines.closed() => return,
                    _ = shutdown.wait_for(|stop| *stop) => return,
                    // A reader that is too slow misses lines; DNS never waits for it.
                    Some(sighting) = watch.next() => { _ = lines.try_send(line(&sighting)); }
                }
            }
        });
        Some(reader)
    })
}

fn line(sighting: &QueryEvent) -> String {
    json!({
        "time": sighting.at.to_string(),
        "source": sighting.source.address.to_string(),
        "transport": sighting.source.transport.as_str(),
        "name": sighting.name.to_string(),
        "type": sighting.rtype.to_string(),
        // As dig prints it: `NoError` reads NOERROR.
        "rcode": format!("{:?}", sighting.rcode).to_ascii_uppercase(),
        "values": sighting.values,
    })
    .to_string()
}
