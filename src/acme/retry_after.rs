//! A CA's no, remembered: until it may be asked again, whoever would ask hears it without a request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::{AcmeError, Result};

/// What has failed last, while that is remembered.
#[derive(Debug, Default)]
pub struct Refusal(Mutex<Option<Heard>>);

#[derive(Debug)]
struct Heard {
    error: AcmeError,
    until: Instant,
}

impl Refusal {
    /// The error, where it is remembered still, with what is left of the CA's wait.
    pub fn check(&self) -> Result<()> {
        let mut heard = self.lock();
        let left = heard.as_ref().map(|heard| heard.until.saturating_duration_since(Instant::now()));
        match (&*heard, left) {
            (Some(heard), Some(left)) if !left.is_zero() => Err(heard.error.clone().again_in(left)),
            _ => {
                *heard = None;
                Ok(())
            }
        }
    }

    /// Remembers it: for as long as the CA says, else for this long.
    pub fn note(&self, error: &AcmeError, otherwise: Duration) {
        let wait = error.retry_after().unwrap_or(otherwise);
        let until = Instant::now().checked_add(wait).filter(|_| !wait.is_zero());
        *self.lock() = until.map(|until| Heard { error: error.clone(), until });
    }

    /// Forgets what the CA has set no time for: something may have been mended.
    pub fn forgive(&self) {
        self.lock().take_if(|heard| heard.error.retry_after().is_none());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Heard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::problem::Problem;
    use super::*;

    fn refused(seconds: Option<u64>) -> AcmeError {
        AcmeError::Refused { problem: Problem::default().into(), retry_after: seconds.map(Duration::from_secs) }
    }

    #[test]
    fn a_refusal_is_heard_until_its_time_and_forgiven_only_where_the_ca_has_set_none() {
        let refusal = Refusal::default();
        assert!(refusal.check().is_ok());
        refusal.note(&refused(Some(100)), Duration::from_secs(1));
        refusal.forgive();
        let left = refusal.check().unwrap_err().retry_after().unwrap();
        assert!((99..=100).contains(&left.as_secs()), "{left:?}");
        refusal.note(&refused(None), Duration::from_secs(100));
        assert_eq!(refusal.check().unwrap_err().retry_after(), None, "that wait is not the CA's");
        refusal.forgive();
        assert!(refusal.check().is_ok());
        refusal.note(&refused(None), Duration::ZERO);
        refusal.note(&refused(Some(0)), Duration::from_secs(100));
        assert!(refusal.check().is_ok());
    }
}
