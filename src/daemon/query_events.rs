//! From the query path to the operator: the events of one name as lines of JSON.

use hickory_proto::op::{OpCode, ResponseCode};
use serde_json::{Value, json};
use tokio::sync::mpsc::channel;
use tokio::sync::watch;

use crate::api::admin::Watch;
use crate::dns::query_event::QueryEvent;

use super::services::Services;

/// Lines that wait for a slow reader. It misses the lines past them.
const MAX_WAITING: usize = 256;

/// The hook by which the operator's router opens a stream of events.
pub fn hook(services: &Services, shutdown: &watch::Sender<bool>) -> Watch {
    let watchers = services.watchers.clone();
    let shutdown = shutdown.subscribe();
    Watch::new(move |name| {
        let mut watch = watchers.watch(name).ok()?;
        let (lines, reader) = channel(MAX_WAITING);
        let mut shutdown = shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = lines.closed() => return,
                    _ = shutdown.wait_for(|stop| *stop) => return,
                    // A full channel loses the line: the query path never waits for a reader.
                    Some(event) = watch.next() => { _ = lines.try_send(line(&event).to_string()); }
                }
            }
        });
        Some(reader)
    })
}

fn line(event: &QueryEvent) -> Value {
    let name = event.question.as_ref().map(|question| &question.name);
    json!({
        "time": event.at.to_string(),
        "source": event.source.address.to_string(),
        "transport": event.source.transport.as_str(),
        "opcode": opcode_text(event.opcode),
        "name": name.and_then(|name| name.canonical()).map(|name| name.to_string()),
        "name_as_sent": name.map(ToString::to_string),
        "type": event.question.as_ref().map(|question| question.rtype.to_string()),
        "edns_size": event.edns.map(|edns| edns.udp_size),
        "dnssec_ok": event.edns.is_some_and(|edns| edns.dnssec_ok),
        "cookie": event.cookie.as_str(),
        "key": event.key.as_ref().map(|key| key.name.to_string()),
        "key_error": event.key.as_ref().and_then(|key| key.error).map(|error| error.as_str()),
        "updated": event.updated.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "verdict": event.verdict.as_str(),
        "limited": event.verdict.is_limited(),
        "rcode": rcode_text(event.rcode),
        "ede": event.ede.map(|ede| json!({ "code": ede.code, "text": ede.text.to_string() })),
        "truncated": event.is_truncated,
        "size": event.size,
        "values": event.values,
    })
}

fn opcode_text(opcode: u8) -> String {
    match OpCode::from_u8(opcode) {
        OpCode::Unknown(number) => format!("OPCODE{number}"),
        known => format!("{known:?}").to_ascii_uppercase(),
    }
}

/// The response code as dig prints it: `NoError` reads NOERROR.
fn rcode_text(rcode: ResponseCode) -> String {
    format!("{rcode:?}").to_ascii_uppercase()
}
