//! What a receiver gets.

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

use super::matter::{EventType, MatterKind, OpenMatter, new_id};

/// One message. Its JSON is the body of a webhook's request, in the form that the Standard Webhooks specification advises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Different for each message, and the same in each attempt to deliver it.
    pub id: String,
    #[serde(rename = "type")]
    pub event: EventType,
    /// When the message was made.
    pub timestamp: String,
    pub data: MessageData,
}

/// What the message is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageData {
    /// The first zone of the server.
    pub server: String,
    /// The same in all messages about one matter; absent in tests, like the next three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<MatterKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When the matter was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// One sentence.
    pub summary: String,
    /// What was found and what to do.
    pub details: String,
}

impl Message {
    /// A message about a matter.
    pub fn of(event: EventType, open: &OpenMatter, server: &str, at: Timestamp) -> Self {
        let data = MessageData {
            server: server.to_owned(),
            matter: Some(open.id.clone()),
            kind: Some(open.matter.kind),
            subject: Some(open.matter.subject.clone()),
            since: Some(open.since.to_string()),
            summary: open.matter.summary.clone(),
            details: open.matter.details.clone(),
        };
        Self { id: new_id(), event, timestamp: at.to_string(), data }
    }

    /// A message that says nothing but that it has arrived.
    pub fn test(server: &str, at: Timestamp) -> Self {
        let data = MessageData {
            server: server.to_owned(),
            matter: None,
            kind: None,
            subject: None,
            since: None,
            summary: "this is a test".to_owned(),
            details: "This is a test from `txtgate notify test`. Nothing is wrong.".to_owned(),
        };
        Self { id: new_id(), event: EventType::Test, timestamp: at.to_string(), data }
    }

    /// The JSON of the message.
    pub fn json(&self) -> Vec<u8> {
        // invariant: no map has keys that are not strings, the one thing that fails here
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The title for people.
    pub fn title(&self) -> String {
        let MessageData { server, summary, .. } = &self.data;
        match self.event {
            EventType::Begun => format!("[{server}] {summary}"),
            EventType::Over => format!("[{server}] over: {summary}"),
            EventType::Reminder => format!("[{server}] still: {summary}"),
            EventType::Test => format!("[{server}] test: {summary}"),
        }
    }
}
