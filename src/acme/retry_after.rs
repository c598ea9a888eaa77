//! A gate that closes when the CA refuses: until the time to retry has come, callers get the same error and the CA gets
//! no request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::{AcmeError, Result};

/// Remembers the last failure until its time to retry.
#[derive(Debug, Default)]
pub struct RetryAfterGate(Mutex<Option<Closed>>);

#[derive(Debug)]
struct Closed {
    error: AcmeError,
    until: Instant,
}

impl RetryAfterGate {
    /// Fails with the remembered error while the gate is closed. If the CA has set the time, the error says what is left of
    /// it.
    pub fn check(&self) -> Result<()> {
        let mut closed = self.lock();
        let left = closed.as_ref().map_or(Duration::ZERO, |gate| gate.until.saturating_duration_since(Instant::now()));
        match &*closed {
            Some(gate) if !left.is_zero() => Err(gate.error.clone().with_wait(left)),
            _ => {
                *closed = None;
                Ok(())
            }
        }
    }

    /// Closes the gate: for as long as the CA asks, otherwise for `default_wait`. No wait leaves it open.
    pub fn close(&self, error: &AcmeError, default_wait: Duration) {
        let wait = error.retry_after().unwrap_or(default_wait);
        let until = Instant::now().checked_add(wait).filter(|_| !wait.is_zero());
        *self.lock() = until.map(|until| Closed { error: error.clone(), until });
    }

    /// Opens the gate, unless the CA has set the time: the operator may have corrected something.
    pub fn reopen(&self) {
        self.lock().take_if(|gate| gate.error.retry_after().is_none());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Closed>> {
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
    fn the_gate_stays_closed_for_its_time_and_reopens_only_where_the_ca_has_set_none() {
        let gate = RetryAfterGate::default();
        assert!(gate.check().is_ok());
        gate.close(&refused(Some(100)), Duration::from_secs(1));
        gate.reopen();
        let left = gate.check().unwrap_err().retry_after().unwrap();
        assert!((99..=100).contains(&left.as_secs()), "{left:?}");
        gate.close(&refused(None), Duration::from_secs(100));
        assert_eq!(gate.check().unwrap_err().retry_after(), None, "that wait is not the CA's");
        gate.reopen();
        assert!(gate.check().is_ok());
        gate.close(&refused(None), Duration::ZERO);
        gate.close(&refused(Some(0)), Duration::from_secs(100));
        assert!(gate.check().is_ok());
    }
}
