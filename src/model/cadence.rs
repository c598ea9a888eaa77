//! How often an account renews, learnt from its own publications: when the next renewal is expected, and whether the last
//! one came after the account had been unused for long.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use super::time::RunningTime;

/// Publications that are less apart than this belong to one renewal: a name and its wildcard, a client that tries again, a
/// timer that runs each day until it succeeds.
const APART: Duration = Duration::from_secs(36 * 3_600);
/// The most spans between renewals that are remembered.
const MAX_GAPS: usize = 5;
/// The fewest spans from which a next renewal is forecast.
const MIN_GAPS: usize = 2;
/// A renewal is overdue after a quarter more of the usual span, and after at least this time more.
pub const LEAST_SLACK: Duration = Duration::from_secs(2 * 86_400);

/// A pause is long after this many times the usual span, and after at least [`LEAST_PAUSE`].
const LONG_PAUSE: u32 = 3;
/// No shorter pause of an account with a usual span is long: a machine may be off for a holiday.
const LEAST_PAUSE: Duration = Duration::from_secs(14 * 86_400);
/// How long a pause is remembered after its end. A longer one displaces it; a shorter one does not, or a second publication
/// would hide that the account has come back.
const RECENT: Duration = Duration::from_secs(7 * 86_400);

/// The renewals of an account. All times are running times: while no daemon runs, none can be missed, and a wrong clock makes
/// nobody overdue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cadence {
    renewals: Option<Renewals>,
    /// The spans between the beginnings of renewals in seconds, the newest last.
    gaps: Vec<u32>,
    /// The last pause between renewals, or a longer one that ended within [`RECENT`] before.
    pause: Option<Pause>,
}

/// A time in which an account has published nothing, between two renewals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// The publication that has ended it.
    pub ended: RunningTime,
    span: u32,
    usual: Option<u32>,
}

impl Pause {
    /// How long it was.
    pub fn span(self) -> Duration {
        Duration::from_secs(self.span.into())
    }

    /// The usual span between two renewals before it.
    pub fn usual(self) -> Option<Duration> {
        self.usual.map(|usual| Duration::from_secs(usual.into()))
    }

    /// Whether the account was unused for long: for three times its usual span and at least 14 days, or for `unlearnt`
    /// where none was learnt.
    pub fn is_long(self, unlearnt: Duration) -> bool {
        let least = self.usual().map_or(unlearnt, |usual| usual.saturating_mul(LONG_PAUSE).max(LEAST_PAUSE));
        self.span() >= least
    }

    /// Whether it ended less than a week before `now`.
    pub fn is_recent(self, now: RunningTime) -> bool {
        now.since(self.ended) < RECENT
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Renewals {
    /// The first publication of the last renewal.
    began: RunningTime,
    /// The last publication.
    last: RunningTime,
}

impl Cadence {
    /// Takes note of a publication.
    pub fn published(&mut self, at: RunningTime) {
        let usual = self.usual().map(seconds);
        let Some(renewals) = &mut self.renewals else {
            self.renewals = Some(Renewals { began: at, last: at });
            return;
        };
        if at.since(renewals.last) >= APART {
            let pause = Pause { ended: at, span: seconds(at.since(renewals.last)), usual };
            let is_lesser = self.pause.is_some_and(|earlier| earlier.is_recent(at) && earlier.span >= pause.span);
            if !is_lesser {
                self.pause = Some(pause);
            }
            self.gaps.push(seconds(at.since(renewals.began)));
            let surplus = self.gaps.len().saturating_sub(MAX_GAPS);
            self.gaps.drain(..surplus);
            renewals.began = at;
        }
        renewals.last = renewals.last.max(at);
    }

    /// The usual span between two renewals: the median of the last ones, of two in the middle the longer. `None` until the
    /// account has renewed a few times.
    pub fn usual(&self) -> Option<Duration> {
        if self.gaps.len() < MIN_GAPS {
            return None;
        }
        let mut sorted = self.gaps.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).map(|gap| Duration::from_secs(u64::from(*gap)))
    }

    /// The last pause between two renewals, or a longer one that ended less than a week before; `None` before the second
    /// renewal.
    pub fn pause(&self) -> Option<Pause> {
        self.pause
    }

    /// When the next renewal is expected.
    pub fn expected(&self) -> Option<RunningTime> {
        Some(self.renewals?.began.plus(self.usual()?))
    }

    /// From when on the next renewal is overdue.
    pub fn overdue_from(&self) -> Option<RunningTime> {
        let slack = (self.usual()? / 4).max(LEAST_SLACK);
        Some(self.expected()?.plus(slack))
    }

    /// Whether the next renewal is overdue.
    pub fn is_overdue(&self, now: RunningTime) -> bool {
        self.overdue_from().is_some_and(|from| from <= now)
    }
}

fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

/// Why a stored text is not a cadence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a stored cadence cannot be read; found {0:?}")]
pub struct CadenceError(String);

impl fmt::Display for Cadence {
    /// The first and the last publication of the last renewal, the spans before it, and after a `p` the pause; empty before
    /// the first renewal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Renewals { began, last }) = self.renewals else { return Ok(()) };
        write!(f, "{} {}", began.as_seconds(), last.as_seconds())?;
        self.gaps.iter().try_for_each(|gap| write!(f, " {gap}"))?;
        let Some(Pause { ended, span, usual }) = self.pause else { return Ok(()) };
        write!(f, " p{}/{span}/", ended.as_seconds())?;
        usual.map_or(Ok(()), |usual| write!(f, "{usual}"))
    }
}

impl FromStr for Cadence {
    type Err = CadenceError;

    fn from_str(text: &str) -> Result<Self, CadenceError> {
        let wrong = || CadenceError(text.chars().take(80).collect());
        let mut numbers = text.split_ascii_whitespace();
        let Some(began) = numbers.next() else { return Ok(Self::default()) };
        let moment = |text: &str| text.parse().map(RunningTime::from_seconds).map_err(|_| wrong());
        let renewals = Renewals { began: moment(began)?, last: moment(numbers.next().ok_or_else(wrong)?)? };
        let (mut gaps, mut pause) = (Vec::new(), None);
        for word in numbers {
            match word.strip_prefix('p') {
                Some(text) => pause = Some(stored_pause(text).ok_or_else(wrong)?),
                None => gaps.push(word.parse().map_err(|_| wrong())?),
            }
        }
        if gaps.len() > MAX_GAPS {
            return Err(wrong());
        }
        Ok(Self { renewals: Some(renewals), gaps, pause })
    }
}

fn stored_pause(text: &str) -> Option<Pause> {
    let mut parts = text.splitn(3, '/');
    let ended = RunningTime::from_seconds(parts.next()?.parse().ok()?);
    let span = parts.next()?.parse().ok()?;
    let usual = match parts.next()? {
        "" => None,
        usual => Some(usual.parse().ok()?),
    };
    Some(Pause { ended, span, usual })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i32 = 86_400;

    fn at(days: f64) -> RunningTime {
        RunningTime::from_seconds((days * f64::from(DAY)) as i32)
    }

    fn cadence(days: &[f64]) -> Cadence {
        let mut cadence = Cadence::default();
        days.iter().for_each(|day| cadence.published(at(*day)));
        cadence
    }

    #[test]
    fn the_next_renewal_is_expected_after_the_usual_span() {
        assert_eq!(cadence(&[0.0, 60.0]).expected(), None, "one span is no habit");
        let learnt = cadence(&[0.0, 60.0, 120.0, 180.0]);
        assert_eq!((learnt.expected(), learnt.overdue_from()), (Some(at(240.0)), Some(at(255.0))));
        assert!(!learnt.is_overdue(at(254.9)) && learnt.is_overdue(at(255.0)));
        let short = cadence(&[0.0, 3.0, 6.0]);
        assert_eq!((short.expected(), short.overdue_from()), (Some(at(9.0)), Some(at(11.0))));
    }

    #[test]
    fn retries_and_several_names_are_one_renewal() {
        let mut days = vec![0.0, 0.001, 30.0];
        // A client that fails each day, and succeeds in the end.
        days.extend([60.0, 61.0, 62.0, 63.0, 90.0, 90.1]);
        let learnt = cadence(&days);
        assert_eq!(learnt.usual(), Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(learnt.expected(), Some(at(120.0)));
    }

    #[test]
    fn one_odd_span_changes_nothing_and_a_new_habit_is_learnt() {
        let odd = cadence(&[0.0, 60.0, 120.0, 123.0, 183.0]);
        assert_eq!(odd.usual(), Some(Duration::from_secs(60 * 86_400)));
        let new = cadence(&[0.0, 60.0, 120.0, 150.0, 180.0, 210.0]);
        assert_eq!(new.usual(), Some(Duration::from_secs(30 * 86_400)));
    }

    #[test]
    fn what_is_stored_is_short_and_read_back() {
        let long: Vec<f64> = (0..50).map(|number| f64::from(number) * 60.0).collect();
        for days in [&[][..], &[0.0], &[0.0, 60.0, 120.0], &long] {
            let cadence = cadence(days);
            assert_eq!(cadence.to_string().parse(), Ok(cadence.clone()));
            assert!(cadence.to_string().len() < 120, "{cadence}");
        }
        assert_eq!("1 2 3".parse::<Cadence>().unwrap().pause(), None, "what an earlier version has stored");
        for bad in ["x", "1", "1 x", "1 2 x", "1 2 3 4 5 6 7 8", "1 2 p", "1 2 p1/2", "1 2 p1/2/x", "1 2 p1/-2/3"] {
            assert!(bad.parse::<Cadence>().is_err(), "{bad}");
        }
    }

    const UNLEARNT: Duration = Duration::from_secs(200 * 86_400);

    /// Whether the last of these publications came after a long pause.
    fn is_long(days: &[f64]) -> bool {
        cadence(days).pause().is_some_and(|pause| pause.is_long(UNLEARNT))
    }

    #[test]
    fn a_pause_is_long_by_the_accounts_own_habit() {
        assert!(!is_long(&[]) && !is_long(&[500.0]), "the first publication, however late");
        assert!(!is_long(&[0.0, 199.0]) && is_long(&[0.0, 200.0]), "no habit yet");
        assert!(!is_long(&[0.0, 60.0, 120.0, 299.0]) && is_long(&[0.0, 60.0, 120.0, 300.0]));
        assert!(!is_long(&[0.0, 3.0, 6.0, 19.0]) && is_long(&[0.0, 3.0, 6.0, 20.0]), "not after a holiday");
        assert!(!is_long(&[0.0, 360.0, 720.0, 1_080.0]), "one certificate a year is a habit");
        let daily: Vec<f64> = (0..900).map(f64::from).collect();
        assert!(!is_long(&[&daily[..], &[902.0]].concat()), "one renewal that lasts is no pause");
    }

    #[test]
    fn a_second_publication_does_not_hide_that_an_account_has_come_back() {
        let mut learnt = cadence(&[0.0, 60.0, 120.0, 600.0]);
        let pause = learnt.pause().unwrap();
        assert_eq!((pause.ended, pause.span(), pause.usual()), (at(600.0), days(480), Some(days(60))));
        learnt.published(at(602.0));
        assert_eq!(learnt.pause(), Some(pause));
        assert!(pause.is_recent(at(606.9)) && !pause.is_recent(at(607.0)));
        learnt.published(at(660.0));
        assert!(!learnt.pause().unwrap().is_long(UNLEARNT));
    }

    fn days(days: u64) -> Duration {
        Duration::from_secs(days * 86_400)
    }

    #[test]
    fn a_running_time_that_goes_back_is_no_renewal() {
        // A restored backup.
        let mut cadence = cadence(&[0.0, 60.0, 120.0]);
        cadence.published(at(100.0));
        assert_eq!(cadence.expected(), Some(at(180.0)));
    }
}
