//! When to renew: when the CA says (RFC 9773), or after two thirds of the lifetime.

use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::{debug, info, warn};

use crate::model::time::Timestamp;

use crate::acme::authority::Authority;
use crate::acme::certificate::Facts;
use crate::acme::jitter;

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
/// The least time from one certificate to the next; a quarter of its lifetime where that is less.
const REST: Duration = Duration::from_secs(3_600);
/// What that grows from where each certificate is due as soon as it is there, if it is not longer anyhow.
const FIRST_REST: Duration = Duration::from_secs(60);
/// The bounds of what it grows to: a half of the lifetime.
const LONGEST_REST: (Duration, Duration) = (REST, Duration::from_secs(86_400));

/// A certificate that is in use, and when to renew it.
#[derive(Debug, Clone)]
pub struct Current {
    /// What is in it.
    pub facts: Facts,
    /// When the CA wants it renewed.
    pub renewal: Renewal,
    /// How long it has to rest, where it was issued in this process.
    rest: Option<Rest>,
}

/// What keeps a certificate that is due as soon as it is there from being renewed at once: the CA suggests the past for
/// each one, or the machine's clock is ahead.
#[derive(Debug, Clone, Copy)]
struct Rest {
    /// When it ends. The clock of the machine may be set meanwhile.
    end: Instant,
    /// One that is due by then is due too soon.
    too_soon: Timestamp,
    /// How many certificates in a row before this one were due too soon.
    hasty: u32,
}

impl Current {
    /// One that has just been issued, in place of another one.
    pub fn new(facts: Facts, before: Option<&Self>) -> Self {
        let hasty = before.map_or(0, Self::hasty);
        let first = (lifetime(&facts) / 4).min(REST);
        let longest = (lifetime(&facts) / 2).clamp(LONGEST_REST.0, LONGEST_REST.1);
        let wait = if hasty == 0 { first } else { grown(first.max(FIRST_REST), hasty, longest) };
        if hasty > 0 {
            warn!(
                hasty, not_before = %wall_clock().plus(wait),
                "certificates are due as soon as they are issued: look whether the machine's clock is right; renewals are \
                 put off"
            );
        }
        let too_soon = wall_clock().max(facts.not_before.plus(first));
        Self { rest: Some(Rest { end: Instant::now() + wait, too_soon, hasty }), ..Self::stored(facts) }
    }

    /// One that was there before.
    pub fn stored(facts: Facts) -> Self {
        Self { renewal: Renewal::by_lifetime(&facts), rest: None, facts }
    }

    /// From when on it is to be renewed.
    pub fn due(&self) -> Timestamp {
        let left = self.rest.map_or(Duration::ZERO, |rest| rest.end.saturating_duration_since(Instant::now()));
        if left.is_zero() { self.renewal.at } else { self.renewal.at.max(wall_clock().plus(left)) }
    }

    /// How many in a row up to this one were due too soon; none where this one was not.
    fn hasty(&self) -> u32 {
        self.rest.filter(|rest| self.renewal.at <= rest.too_soon).map_or(0, |rest| rest.hasty + 1)
    }
}

/// When one certificate is to be renewed. Chosen at random within what is allowed, once for each answer of the CA's: so
/// that many do not come at once, and none waits for ever.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// From when on.
    pub at: Timestamp,
    /// When the CA is to be asked again, where it was asked.
    ask_at: Option<Instant>,
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
        let lifetime = lifetime(facts);
        let at = facts.not_before.plus(lifetime * 2 / 3 + jitter(lifetime / 20));
        Self { at, ask_at: None, window: None }
    }

    /// Asks the CA, where it has renewal information and has not been asked lately. What it says wins; where it cannot be
    /// asked, what is known stays.
    pub async fn refresh(&mut self, authority: &Authority, facts: &Facts) {
        let Some(id) = facts.renewal_id.as_ref().filter(|_| self.ask_at.is_none_or(|at| Instant::now() >= at)) else {
            return;
        };
        // Those that have begun together ask ever further apart.
        let ask_after = |wait: Duration| Some(Instant::now() + wait + jitter(wait / 4));
        self.ask_at = ask_after(BELIEVED);
        let reply = match authority.renewal_info(id).await {
            Ok(Some(reply)) => reply,
            Ok(None) => return,
            Err(error) => return debug!("no renewal information: {error}"),
        };
        let wait = reply.retry_after().unwrap_or(BELIEVED).clamp(SOONEST, LATEST);
        self.ask_at = ask_after(wait);
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
        // While there is time for a few attempts, whatever the CA says.
        let latest = facts.not_before.plus(lifetime(facts) * 9 / 10);
        self.at = start.plus(jitter(end.since(start))).min(latest);
        match &information.explanation {
            Some(url) => info!(at = %self.at, "the CA suggests when to renew; it explains why at {url}"),
            None => debug!(at = %self.at, "the CA suggests when to renew"),
        }
    }
}

fn lifetime(facts: &Facts) -> Duration {
    facts.not_after.since(facts.not_before)
}

/// RFC 3339.
fn timestamp(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp()).ok().map(Timestamp::from_unix)
}

/// How long to wait after so many failures in a row: 1, 3, 9 ... minutes up to 6 hours, and up to a quarter more.
pub fn backoff(failures: u32) -> Duration {
    grown(FIRST_WAIT, failures.saturating_sub(1), LONGEST_WAIT)
}

/// A wait that has become three times as long so many times, and up to a quarter more.
fn grown(first: Duration, times: u32, longest: Duration) -> Duration {
    let wait = first.saturating_mul(3_u32.saturating_pow(times.min(10))).min(longest);
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
        assert_eq!(renewal.at.as_unix(), 1_774_224_000, "a tenth of the lifetime is left for attempts");
    }

    /// As by a clock that is ahead, or from a CA that suggests the past for each; the last has no lifetime at all.
    #[test]
    fn certificates_that_are_due_when_they_are_issued_come_ever_more_seldom() {
        let times = [(facts(1_000_000, 8_776_000), 3_600, 86_400), (facts(1_000_000, 1_000_000), 60, 3_600)];
        for (hasty, first, longest) in times {
            let mut current = Current::new(hasty.clone(), None);
            let rest = |current: &Current| current.due().since(wall_clock()).as_secs();
            current = Current::new(hasty.clone(), Some(&current));
            for least in [3, 9, 27, 81].map(|times| longest.min(first * times)) {
                assert!((least - 1..=least * 5 / 4).contains(&rest(&current)), "{least}: {}", rest(&current));
                current = Current::new(hasty.clone(), Some(&current));
            }
            // One that is not due makes an end of it.
            let now = wall_clock().as_unix();
            let good = facts(now, now + 7_776_000);
            let current = Current::new(good, Some(&current));
            assert_eq!(
                (current.due(), Current::new(hasty, Some(&current)).rest.unwrap().hasty),
                (current.renewal.at, 0)
            );
        }
    }

    #[test]
    fn a_certificate_of_seconds_does_not_rest_until_it_is_over() {
        let now = wall_clock().as_unix();
        let current = Current::new(facts(now, now + 20), None);
        assert_eq!(current.due(), current.renewal.at);
    }

    /// The clock was weeks ahead when the certificate was issued, and has been set right.
    #[test]
    fn a_clock_that_is_set_back_puts_no_renewal_off() {
        let ends = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        let too_soon = wall_clock().plus(30 * LATEST);
        let mut current = Current::stored(facts(1_000_000, 8_776_000));
        current.rest = Some(Rest { end: ends, too_soon, hasty: 0 });
        assert_eq!(current.due(), current.renewal.at);
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
