//! From the query path to the operator: the events of one name as lines of JSON.

use hickory_proto::op::{OpCode, ResponseCode};
use tokio::sync::mpsc::channel;
use tokio::sync::watch;

use crate::api::admin::WatchHook;
use crate::api::types::watch::{WatchedEde, WatchedMessage};
use crate::dns::query_event::QueryEvent;

use super::services::Services;

/// Lines that wait for a slow reader. It misses the lines past them.
const MAX_WAITING: usize = 256;

/// The hook by which the operator's router opens a stream of events.
pub fn hook(services: &Services, shutdown: &watch::Sender<bool>) -> WatchHook {
    let watchers = services.watchers.clone();
    let shutdown = shutdown.subscribe();
    WatchHook::new(move |name| {
        let mut watch = watchers.watch(name).ok()?;
        let (lines, reader) = channel(MAX_WAITING);
        let mut shutdown = shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = lines.closed() => return,
                    _ = shutdown.wait_for(|stop| *stop) => return,
                    // A full channel loses the line: the query path never waits for a reader.
                    Some(event) = watch.next() => { _ = lines.try_send(line(&event)); }
                }
            }
        });
        Some(reader)
    })
}

fn line(event: &QueryEvent) -> String {
    // invariant: a struct of texts, numbers and lists always becomes JSON
    serde_json::to_string(&message(event)).unwrap_or_default()
}

fn message(event: &QueryEvent) -> WatchedMessage {
    let question = event.question.as_ref();
    let name = question.and_then(|question| question.name.canonical());
    let key = event.key.as_ref();
    WatchedMessage {
        time: event.at.to_string(),
        source: event.source.address.to_string(),
        transport: event.source.transport.as_str().to_owned(),
        opcode: opcode_text(event.opcode),
        name: name.map(|name| name.to_string()),
        name_as_sent: question.map(|question| question.name.to_string()),
        rtype: question.map(|question| question.rtype.to_string()),
        edns_size: event.edns.map(|edns| edns.udp_size),
        dnssec_ok: event.edns.is_some_and(|edns| edns.dnssec_ok),
        cookie: event.cookie.as_str().to_owned(),
        key: key.map(|key| key.name.to_string()),
        key_error: key.and_then(|key| key.error).map(|error| error.as_str().to_owned()),
        updated: event.updated.iter().map(ToString::to_string).collect(),
        verdict: event.verdict.as_str().to_owned(),
        limited: event.verdict.is_limited(),
        rcode: rcode_text(event.rcode),
        ede: event.ede.map(|ede| WatchedEde { code: ede.code, text: ede.text.to_string() }),
        truncated: event.is_truncated,
        size: event.size,
        values: event.values.clone(),
    }
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
