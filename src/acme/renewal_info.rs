//! Renewal information (RFC 9773): when the CA suggests to renew a certificate.

use std::time::Duration;

use serde::Deserialize;
use tracing::debug;

use crate::model::time::Timestamp;

use super::http::AcmeReply;

/// The wait before the next request where the CA sets none.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(6 * 3_600);
/// The bounds of the wait that a CA may ask for (RFC 9773 section 4.3).
const MIN_WAIT: Duration = Duration::from_secs(60);
const MAX_WAIT: Duration = Duration::from_secs(86_400);

/// What the CA says about the renewal of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalInfo {
    /// The first and the last moment of the suggested window; `None` where the CA's window cannot be used.
    pub window: Option<(Timestamp, Timestamp)>,
    /// A page on which the CA explains the suggestion.
    pub explanation: Option<String>,
    /// How long to wait before the next request.
    pub wait: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RenewalInfoObject {
    suggested_window: WindowObject,
    #[serde(rename = "explanationURL")]
    explanation: Option<String>,
}

#[derive(Deserialize)]
struct WindowObject {
    start: String,
    end: String,
}

impl RenewalInfo {
    /// Reads the CA's reply. A reply that is not renewal information suggests nothing, but its wait counts.
    pub fn from_reply(reply: AcmeReply) -> Self {
        let wait = reply.retry_after().unwrap_or(DEFAULT_WAIT).clamp(MIN_WAIT, MAX_WAIT);
        match reply.json() {
            Ok(object) => Self::new(object, wait),
            Err(error) => {
                debug!("no renewal information: {error}");
                Self { window: None, explanation: None, wait }
            }
        }
    }

    fn new(object: RenewalInfoObject, wait: Duration) -> Self {
        let start = object.suggested_window.start.parse::<Timestamp>().ok();
        let end = object.suggested_window.end.parse::<Timestamp>().ok();
        let window = start.zip(end).filter(|(start, end)| start < end);
        Self { window, explanation: object.explanation, wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_read_in_any_time_zone_and_one_that_ends_before_it_starts_is_ignored() {
        let read = |text: &str| RenewalInfo::new(serde_json::from_str(text).unwrap(), DEFAULT_WAIT).window;
        let window = read(r#"{"suggestedWindow":{"start":"2026-01-03T04:00:00Z","end":"2026-01-03T06:00:00+01:00"}}"#);
        assert_eq!(window, Some((Timestamp::from_unix(1_767_412_800), Timestamp::from_unix(1_767_416_400))));
        for bad in [
            r#"{"suggestedWindow":{"start":"2026-01-05T04:00:00Z","end":"2026-01-03T05:00:00Z"}}"#,
            r#"{"suggestedWindow":{"start":"x","end":"2026-01-03T05:00:00Z"}}"#,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
