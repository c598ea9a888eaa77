//! When to renew: when the CA says (RFC 9773), or after two thirds of the lifetime.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::{debug, info};

use crate::time::Timestamp;

use super::certificate::Facts;
use super::client::Client;
use super::jitter;

/// How long renewal information is believed where the CA does not say.
const BELIEVED: Duration = Duration::from_secs(6 * 3_600);
/// The bounds of what it may say (RFC 9773 section 4.3).
const SOONEST: Duration = Duration::from_secs(60);
const LATEST: Duration = Duration::from_secs(86_400);

/// The wait after a first failure; each next one waits three times as long. A CA forgives five failures of a name in an
/// hour.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3_600);
/// The least time from one certificate to the next.
const REST: Duration = Duration::from_secs(3_600);

/// A certificate that is in use, and when to renew it.
#[derive(Debug, Clone)]
pub struct Current {
    /// What is in it.
    pub facts: Facts,
    /// When the CA wants it renewed.
    pub renewal: Renewal,
    /// Not before this, whatever the CA suggests: a CA that suggests the past for each certificate would never get rest.
    earliest: Timestamp,
}

impl Current {
    /// One that has just been issued.
    pub fn new(facts: Facts) -> Self {
        let rest = (facts.not_after.since(facts.not_before) / 4).min(REST);
        Self { earliest: wall_clock().plus(rest), ..Self::stored(facts) }
    }

    /// One that was there before.
    pub fn stored(facts: Facts) -> Self {
        Self { renewal: Renewal::by_lifetime(&facts), earliest: Timestamp::from_unix(0), facts }
    }

    /// From when on it is to be renewed.
    pub fn due(&self) -> Timestamp {
        self.renewal.at.max(self.earliest)
    }
}

/// When one certificate is to be renewed. Chosen at random within what is allowed, once for each answer of the CA's: so
/// that many do not come at once, and none waits for ever.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// From when on.
    pub at: Timestamp,
    /// When the CA is to be asked again; never where it does not know.
    ask_at: Option<Timestamp>,
    window: Option<(Timestamp, Timestamp)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Information {
    suggested_window: Window,
    #[serde(rename = "explanationURL")]
    explanation: Option<String>,
}

#[derive(Deserialize)]
struct Window {
    start: String,
    end: String,
}

impl Renewal {
    /// By the lifetime alone: at two thirds, and up to a twentieth of it later.
    pub fn by_lifetime(facts: &Facts) -> Self {
        let lifetime = facts.not_after.since(facts.not_before);
        let at = facts.not_before.plus(lifetime * 2 / 3 + jitter(lifetime / 20));
        Self { at, ask_at: Some(Timestamp::from_unix(0)), window: None }
    }

    /// Asks the CA, where it has renewal information and has not been asked lately. What it says wins; where it cannot be
    /// asked, what is known stays.
    pub async fn refresh(&mut self, client: &Client, facts: &Facts, now: Timestamp) {
        let (Some(base), Some(id)) = (&client.directory().renewal_info, &facts.renewal_id) else { return };
        if self.ask_at.is_some_and(|at| now < at) {
            return;
        }
        let url = format!("{}/{id}", base.as_str().trim_end_matches('/'));
        let Ok(url) = url.parse() else { return };
        self.ask_at = Some(now.plus(BELIEVED));
        let reply = match client.get(&url).await {
            Ok(reply) => reply,
            Err(error) => return debug!("no renewal information: {error}"),
        };
        let wait = reply.retry_after().unwrap_or(BELIEVED).clamp(SOONEST, LATEST);
        self.ask_at = Some(now.plus(wait));
        match reply.json::<Information>() {
            Ok(information) => self.take(&information, facts),
            Err(error) => debug!("no renewal information: {error}"),
        }
    }

    fn take(&mut self, information: &Information, facts: &Facts) {
        let window = &information.suggested_window;
        let (Some(start), Some(end)) = (timestamp(&window.start), timestamp(&window.end)) else { return };
        if end <= start || self.window == Some((start, end)) {
            return;
        }
        self.window = Some((start, end));
        // Never past the end of its validity, whatever the CA says.
        self.at = start.plus(jitter(end.since(start))).min(facts.not_after);
        match &information.explanation {
            Some(url) => info!(at = %self.at, "the CA suggests when to renew; it explains why at {url}"),
            None => debug!(at = %self.at, "the CA suggests when to renew"),
        }
    }
}

/// RFC 3339.
fn timestamp(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp()).ok().map(Timestamp::from_unix)
}

/// How long to wait after so many failures in a row: 1, 3, 9 ... minutes up to 6 hours, and up to a quarter more.
pub fn backoff(failures: u32) -> Duration {
    let wait = FIRST_WAIT.saturating_mul(3_u32.saturating_pow(failures.saturating_sub(1).min(10))).min(LONGEST_WAIT);
    wait + jitter(wait / 4)
}

/// What the machine's clock says: the time that certificates are dated by.
pub fn wall_clock() -> Timestamp {
    Timestamp::from_unix(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
}

#[cfg(test)]
mod tests {
    use crate::acme::certificate::CertificateKey;
    use crate::config::KeyType;

    use super::*;

    fn facts(not_before: u64, not_after: u64) -> Facts {
        let key = CertificateKey::generate(KeyType::P256).unwrap();
        let mut facts = key.self_signed(&["a.example".parse().unwrap()]).unwrap().facts;
        (facts.not_before, facts.not_after) = (Timestamp::from_unix(not_before), Timestamp::from_unix(not_after));
        facts
    }

    #[test]
    fn renewal_comes_after_two_thirds_and_well_before_the_end() {
        for _ in 0..100 {
            let at = Renewal::by_lifetime(&facts(1_000_000, 1_090_000)).at.as_unix();
            assert!((1_060_000..=1_064_500).contains(&at), "{at}");
        }
    }

    #[test]
    fn what_the_ca_suggests_wins_and_is_chosen_once() {
        let facts = facts(1_767_225_600, 1_775_001_600);
        let mut renewal = Renewal::by_lifetime(&facts);
        let text = r#"{"suggestedWindow":{"start":"2026-01-03T04:00:00Z","end":"2026-01-03T06:00:00+01:00"}}"#;
        let information: Information = serde_json::from_str(text).unwrap();
        renewal.take(&information, &facts);
        let chosen = renewal.at;
        assert!((1_767_412_800..=1_767_416_400).contains(&chosen.as_unix()), "{chosen}");
        renewal.take(&information, &facts);
        assert_eq!(renewal.at, chosen);
        for bad in [
            r#"{"suggestedWindow":{"start":"2026-01-05T04:00:00Z","end":"2026-01-03T05:00:00Z"}}"#,
            r#"{"suggestedWindow":{"start":"x","end":"2026-01-03T05:00:00Z"}}"#,
        ] {
            renewal.take(&serde_json::from_str(bad).unwrap(), &facts);
            assert_eq!(renewal.at, chosen);
        }
        let late = r#"{"suggestedWindow":{"start":"2036-01-05T04:00:00Z","end":"2037-01-03T05:00:00Z"}}"#;
        renewal.take(&serde_json::from_str(late).unwrap(), &facts);
        assert_eq!(renewal.at, facts.not_after);
    }

    #[test]
    fn waits_grow_to_their_longest_and_are_never_the_same() {
        for (failures, least) in [(1, 60), (2, 180), (3, 540), (9, 21_600), (1_000, 21_600)] {
            let wait = backoff(failures).as_secs();
            assert!((least..=least * 5 / 4).contains(&wait), "{failures}: {wait}");
        }
        assert_ne!(backoff(5), backoff(5));
    }
}
