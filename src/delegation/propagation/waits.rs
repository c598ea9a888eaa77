//! How many requests wait at a time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use crate::model::account::Username;

/// The most waits of the whole process.
pub const MAX_WAITS: usize = 256;
/// The most waits of one account.
pub const MAX_ACCOUNT_WAITS: usize = 32;

/// Why a request cannot wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TooManyWaits {
    #[error("{MAX_ACCOUNT_WAITS} requests of this account wait for nameservers; nothing was published")]
    OfAccount,
    #[error("{MAX_WAITS} requests wait for nameservers; nothing was published")]
    OfAll,
}

/// Counts the waits of each account; `None` is the operator.
#[derive(Debug, Clone, Default)]
pub struct Waits(Arc<Mutex<Counts<Option<Username>>>>);

#[derive(Debug)]
struct Counts<K> {
    all: usize,
    each: HashMap<K, usize>,
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self { all: 0, each: HashMap::new() }
    }
}

impl<K: Hash + Eq> Counts<K> {
    fn add(&mut self, key: K) -> Result<(), TooManyWaits> {
        if self.all >= MAX_WAITS {
            return Err(TooManyWaits::OfAll);
        }
        let count = self.each.entry(key).or_default();
        if *count >= MAX_ACCOUNT_WAITS {
            return Err(TooManyWaits::OfAccount);
        }
        *count += 1;
        self.all += 1;
        Ok(())
    }

    fn remove(&mut self, key: &K) {
        self.all = self.all.saturating_sub(1);
        if let Some(count) = self.each.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.each.remove(key);
            }
        }
    }
}

/// The right to wait, until it is dropped.
#[derive(Debug)]
pub struct WaitPermit {
    waits: Waits,
    account: Option<Username>,
}

impl Waits {
    /// The right of an account, or of the operator, to wait.
    pub fn permit(&self, account: Option<Username>) -> Result<WaitPermit, TooManyWaits> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(account)?;
        Ok(WaitPermit { waits: self.clone(), account })
    }

    /// How many wait now.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for WaitPermit {
    fn drop(&mut self) {
        self.waits.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_bounded_for_each_account_and_for_all() {
        let waits = Waits::default();
        let accounts: Vec<Option<Username>> =
            (0..=MAX_WAITS / MAX_ACCOUNT_WAITS).map(|_| Some(Username::random())).collect();
        let mut permits = Vec::new();
        for _ in 0..MAX_ACCOUNT_WAITS {
            permits.push(waits.permit(accounts[0]).unwrap());
        }
        assert_eq!(waits.permit(accounts[0]).unwrap_err(), TooManyWaits::OfAccount);
        let rest = &accounts[1..MAX_WAITS / MAX_ACCOUNT_WAITS];
        permits.extend(
            rest.iter().flat_map(|account| {
                (0..MAX_ACCOUNT_WAITS).map(|_| waits.permit(*account).unwrap()).collect::<Vec<_>>()
            }),
        );
        assert_eq!(waits.permit(accounts[MAX_WAITS / MAX_ACCOUNT_WAITS]).unwrap_err(), TooManyWaits::OfAll);
        permits.pop();
        permits.push(waits.permit(None).unwrap());
        assert_eq!((waits.count(), waits.permit(None).unwrap_err()), (MAX_WAITS, TooManyWaits::OfAll));
        permits.clear();
        assert_eq!(waits.count(), 0);
        assert!(waits.0.lock().unwrap().each.is_empty());
    }
}
