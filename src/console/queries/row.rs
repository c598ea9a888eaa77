//! One row of the table, from the query log or from a message as it arrives.

use maud::{Markup, html};

use crate::api::types::queries::QueryView;
use crate::api::types::watch::WatchedMessage;

use super::super::page::{Tone, badge, shortened};

/// The values that a row shows.
const VALUES: usize = 2;
/// The most characters of a value, which is more than a challenge has, and of a name.
const VALUE: usize = 48;
const NAME: usize = 100;

/// What the page shows of a query.
#[derive(Debug, Clone)]
pub struct Row {
    /// RFC 3339.
    pub time: String,
    /// How many equal ones this stands for.
    pub count: u64,
    pub source: String,
    /// Whether the daemon itself has asked.
    pub own: bool,
    pub name: String,
    pub rtype: String,
    pub transport: String,
    pub outcome: String,
    pub values: Vec<String>,
}

impl From<QueryView> for Row {
    fn from(query: QueryView) -> Self {
        Self {
            time: query.time.to_string(),
            count: u64::from(query.repeats) + 1,
            source: query.source.to_string(),
            own: query.own,
            outcome: query.reply(),
            name: query.asked,
            rtype: query.rtype,
            transport: query.transport.as_str().to_owned(),
            values: query.values,
        }
    }
}

impl From<WatchedMessage> for Row {
    fn from(message: WatchedMessage) -> Self {
        let outcome = match message.outcome.as_str() {
            "sent" if message.truncated => "truncated".to_owned(),
            "sent" => message.rcode,
            "slipped" => "limited: truncated".to_owned(),
            "dropped" => "limited: dropped".to_owned(),
            other => other.to_owned(),
        };
        let rtype = match message.opcode.as_str() {
            "QUERY" => message.rtype.unwrap_or_default(),
            other => other.to_owned(),
        };
        Self {
            time: message.time,
            count: 1,
            source: message.source,
            own: false,
            name: message.name_as_sent.unwrap_or_default(),
            rtype,
            transport: message.transport,
            outcome,
            values: message.values,
        }
    }
}

impl Row {
    /// A row of the table.
    pub fn shown(&self) -> Markup {
        let date_and_time = self.time.trim_end_matches('Z').split_once('T');
        let tone = match (self.outcome.as_str(), self.values.is_empty()) {
            ("NOERROR", false) => Tone::Good,
            ("NOERROR" | "NXDOMAIN" | "truncated", _) => Tone::Neutral,
            _ => Tone::Warning,
        };
        html! {
            tr {
                td { time datetime=(self.time) title=(self.time) { (date_and_time.map_or(self.time.as_str(), |(_, time)| time)) }
                    @if self.count > 1 { " \u{d7}" (self.count) } }
                td.mono.whole { (self.source) @if self.own { span.dim { " (self)" } } }
                td.wide { (shortened(&self.name, NAME)) }
                td { (self.rtype) }
                td { (self.transport) }
                td { (badge(tone, &self.outcome)) }
                td.mono.whole {
                    @for (index, value) in self.values.iter().take(VALUES).enumerate() { @if index > 0 { br; } (shortened(value, VALUE)) }
                    @if self.values.len() > VALUES { span.dim { " and " (self.values.len() - VALUES) " more" } }
                }
            }
        }
    }
}
