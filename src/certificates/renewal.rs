//! When to renew: when the CA suggests it (RFC 9773), otherwise after two thirds of the lifetime.

use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tracing::{debug, info, warn};

use crate::acme::Authority;
use crate::acme::certificate::CertificateInfo;
use crate::acme::renewal_info::{DEFAULT_WAIT, RenewalInfo};
use crate::model::time::Timestamp;
use crate::net::jitter::jitter;

/// The longest sleep before the renewal task checks the wall clock again: it may have been set meanwhile.
pub const MAX_SLEEP: Duration = Duration::from_secs(600);
/// The shortest sleep.
pub const MIN_SLEEP: Duration = Duration::from_secs(1);

/// The wait after the first failure. Each following wait is three times as long: a CA allows five failures of a name in
/// an hour.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3_600);
/// The shortest time between two certificates, or a quarter of the lifetime where that is shorter.
const REST: Duration = Duration::from_secs(3_600);
/// The lower bound of a rest that grows because certificates are due as soon as they are issued.
const MIN_GROWING_REST: Duration = Duration::from_secs(60);
/// The bounds of the longest rest, which is half the lifetime.
const LONGEST_REST: (Duration, Duration) = (REST, Duration::from_secs(86_400));

/// What has set the time of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RenewalBasis {
    /// Two thirds of the certificate's lifetime.
    Lifetime,
    /// The CA's suggestion (RFC 9773).
    Suggested,
    /// The certificate was due as soon as it was issued, so that the renewal is put off.
    Postponed,
}

/// A certificate in use, and when to renew it.
#[derive(Debug, Clone)]
pub struct CertificateInUse {
    /// The content of the certificate.
    pub info: CertificateInfo,
    renewal: RenewalTime,
    /// Only for a certificate that this process has issued.
    rest: Option<Rest>,
}

/// Keeps a certificate that is due as soon as it is issued from being renewed at once. The cause is a CA that suggests
/// the past for each certificate, or a machine whose clock is ahead.
#[derive(Debug, Clone, Copy)]
struct Rest {
    /// The end of the rest, by the clock that nobody sets.
    end: Instant,
    /// A certificate that is due by then is due too soon.
    too_soon: Timestamp,
    /// How many certificates in a row before this one were due too soon.
    premature: u32,
}

impl CertificateInUse {
    /// A certificate that has just been issued, and the one that it replaces.
    pub fn issued(info: CertificateInfo, previous: Option<&Self>) -> Self {
        let premature = previous.map_or(0, Self::premature);
        let first = (lifetime(&info) / 4).min(REST);
        let longest = (lifetime(&info) / 2).clamp(LONGEST_REST.0, LONGEST_REST.1);
        let mut wait = first;
        if premature > 0 {
            wait = grow(first.max(MIN_GROWING_REST), premature, longest);
            warn!(
                premature, not_before = %wall_clock().plus(wait),
                "certificates are due as soon as they are issued: check whether the machine's clock is right; renewals \
                 are postponed"
            );
        }
        let too_soon = wall_clock().max(info.not_before.plus(first));
        let rest = Rest { end: Instant::now() + wait, too_soon, premature };
        Self { rest: Some(rest), ..Self::stored(info) }
    }

    /// A certificate that an earlier process has stored.
    pub fn stored(info: CertificateInfo) -> Self {
        Self { renewal: RenewalTime::by_lifetime(&info), rest: None, info }
    }

    /// When to renew the certificate.
    pub fn due(&self) -> Timestamp {
        let left = self.rest.map_or(Duration::ZERO, |rest| rest.end.saturating_duration_since(Instant::now()));
        if left.is_zero() { self.renewal.at } else { self.renewal.at.max(wall_clock().plus(left)) }
    }

    /// What has set that time.
    pub fn basis(&self) -> RenewalBasis {
        match self.renewal.window {
            _ if self.due() > self.renewal.at => RenewalBasis::Postponed,
            Some(_) => RenewalBasis::Suggested,
            None => RenewalBasis::Lifetime,
        }
    }

    /// Whether it is time to renew the certificate. Asks the CA first, if its last suggestion is old.
    pub async fn is_due(&mut self, authority: &Authority) -> bool {
        self.renewal.refresh(authority, &self.info).await;
        wall_clock() >= self.due()
    }

    /// How long to sleep before the next check.
    pub fn sleep(&self) -> Duration {
        self.due().since(wall_clock()).clamp(MIN_SLEEP, MAX_SLEEP)
    }

    /// How many certificates in a row were due too soon, including this one; 0 if this one was not.
    fn premature(&self) -> u32 {
        match self.rest {
            Some(rest) if self.renewal.at <= rest.too_soon => rest.premature + 1,
            _ => 0,
        }
    }
}

/// When to renew one certificate. The moment is chosen at random within the window, once for each suggestion of the CA:
/// many certificates are not renewed at the same time, and none is put off for ever.
#[derive(Debug, Clone)]
struct RenewalTime {
    at: Timestamp,
    /// When to ask the CA again; `None` until it has been asked.
    ask_at: Option<Instant>,
    window: Option<(Timestamp, Timestamp)>,
}

impl RenewalTime {
    /// Two thirds of the lifetime, and up to a twentieth more.
    fn by_lifetime(info: &CertificateInfo) -> Self {
        let lifetime = lifetime(info);
        let at = info.not_before.plus(lifetime * 2 / 3 + jitter(lifetime / 20));
        Self { at, ask_at: None, window: None }
    }

    /// Asks the CA for its suggestion, unless it has been asked lately. A suggestion replaces the present choice; without
    /// one, that stays.
    async fn refresh(&mut self, authority: &Authority, info: &CertificateInfo) {
        let Some(id) = &info.renewal_id else { return };
        if self.ask_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.ask_after(DEFAULT_WAIT);
        match authority.renewal_info(id).await {
            Ok(Some(suggestion)) => {
                self.ask_after(suggestion.wait);
                self.follow(&suggestion, info);
            }
            Ok(None) => {}
            Err(error) => debug!("no renewal information: {error}"),
        }
    }

    /// Certificates that were checked together ask further and further apart.
    fn ask_after(&mut self, wait: Duration) {
        self.ask_at = Some(Instant::now() + wait + jitter(wait / 4));
    }

    fn follow(&mut self, suggestion: &RenewalInfo, info: &CertificateInfo) {
        let Some((start, end)) = suggestion.window else { return };
        if self.window == suggestion.window {
            return;
        }
        self.window = suggestion.window;
        // Whatever the CA says, there must be time for a few attempts.
        let latest = info.not_before.plus(lifetime(info) * 9 / 10);
        self.at = start.plus(jitter(end.since(start))).min(latest);
        match &suggestion.explanation {
            Some(url) => info!(at = %self.at, "the CA suggests when to renew, and explains it at {url}"),
            None => debug!(at = %self.at, "the CA suggests when to renew"),
        }
    }
}

fn lifetime(info: &CertificateInfo) -> Duration {
    info.not_after.since(info.not_before)
}

/// The wait after so many failures in a row: 1, 3, 9 ... minutes up to 6 hours, and up to a quarter more.
pub fn backoff(failures: u32) -> Duration {
    grow(FIRST_WAIT, failures.saturating_sub(1), LONGEST_WAIT)
}

/// A wait that has been tripled so many times, up to a limit, and up to a quarter more.
fn grow(first: Duration, times: u32, longest: Duration) -> Duration {
    let wait = first.saturating_mul(3_u32.saturating_pow(times.min(10))).min(longest);
    wait + jitter(wait / 4)
}

/// The machine's clock, by which certificates are dated.
pub fn wall_clock() -> Timestamp {
    Timestamp::from_unix(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
}

#[cfg(test)]
mod tests {
    use crate::acme::certificate::CertificateKey;
    use crate::config::KeyType;

    use super::*;

    fn certificate(not_before: u64, not_after: u64) -> CertificateInfo {
        let key = CertificateKey::generate(KeyType::P256).unwrap();
        let mut info = key.self_signed(&["a.example".parse().unwrap()]).unwrap().info;
        info.not_before = Timestamp::from_unix(not_before);
        info.not_after = Timestamp::from_unix(not_after);
        info
    }

    fn suggestion(start: u64, end: u64) -> RenewalInfo {
        let window = Some((Timestamp::from_unix(start), Timestamp::from_unix(end)));
        RenewalInfo { window, explanation: None, wait: DEFAULT_WAIT }
    }

    #[test]
    fn renewal_comes_after_two_thirds_and_well_before_the_end() {
        for _ in 0..100 {
            let at = RenewalTime::by_lifetime(&certificate(1_000_000, 1_090_000)).at.as_unix();
            assert!((1_060_000..=1_064_500).contains(&at), "{at}");
        }
    }

    #[test]
    fn a_suggestion_of_the_ca_replaces_the_choice_once() {
        let info = certificate(1_767_225_600, 1_775_001_600);
        let mut renewal = RenewalTime::by_lifetime(&info);
        renewal.follow(&suggestion(1_767_412_800, 1_767_416_400), &info);
        let chosen = renewal.at;
        assert!((1_767_412_800..=1_767_416_400).contains(&chosen.as_unix()), "{chosen}");
        renewal.follow(&suggestion(1_767_412_800, 1_767_416_400), &info);
        assert_eq!(renewal.at, chosen);
        renewal.follow(&RenewalInfo { window: None, ..suggestion(0, 0) }, &info);
        assert_eq!(renewal.at, chosen);
        renewal.follow(&suggestion(2_083_118_400, 2_114_571_600), &info);
        assert_eq!(renewal.at.as_unix(), 1_774_224_000, "a tenth of the lifetime is left for attempts");
    }

    /// The clock is ahead, or the CA suggests the past for each certificate. The last certificate has no lifetime at all.
    #[test]
    fn certificates_that_are_due_when_they_are_issued_come_at_growing_intervals() {
        let cases =
            [(certificate(1_000_000, 8_776_000), 3_600, 86_400), (certificate(1_000_000, 1_000_000), 60, 3_600)];
        for (premature, first, longest) in cases {
            let mut current = CertificateInUse::issued(premature.clone(), None);
            let rest = |current: &CertificateInUse| current.due().since(wall_clock()).as_secs();
            current = CertificateInUse::issued(premature.clone(), Some(&current));
            for least in [3, 9, 27, 81].map(|times| longest.min(first * times)) {
                assert!((least - 1..=least * 5 / 4).contains(&rest(&current)), "{least}: {}", rest(&current));
                current = CertificateInUse::issued(premature.clone(), Some(&current));
            }
            // A certificate that is not due resets the rest.
            let now = wall_clock().as_unix();
            let good = certificate(now, now + 7_776_000);
            let current = CertificateInUse::issued(good, Some(&current));
            assert_eq!(current.due(), current.renewal.at);
            assert_eq!(CertificateInUse::issued(premature, Some(&current)).rest.unwrap().premature, 0);
        }
    }

    #[test]
    fn a_certificate_of_seconds_does_not_rest_until_it_has_expired() {
        let now = wall_clock().as_unix();
        let current = CertificateInUse::issued(certificate(now, now + 20), None);
        assert_eq!(current.due(), current.renewal.at);
    }

    /// The clock was weeks ahead when the certificate was issued, and has been set right.
    #[test]
    fn a_clock_that_is_set_back_postpones_no_renewal() {
        let end = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        let too_soon = wall_clock().plus(Duration::from_secs(30 * 86_400));
        let mut current = CertificateInUse::stored(certificate(1_000_000, 8_776_000));
        current.rest = Some(Rest { end, too_soon, premature: 0 });
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
