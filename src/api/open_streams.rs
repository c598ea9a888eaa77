//! How many streams of queries each account has open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::account::Username;

use super::error::Failure;

/// Streams that one account may have open at the same time.
const MAX_STREAMS: usize = 4;
/// Streams of all accounts. The query log has room for 64, so that the operator can always follow.
const MAX_ALL_STREAMS: usize = 48;

/// How many streams each account has open. A cheap handle.
#[derive(Clone, Debug, Default)]
pub struct OpenStreams(Arc<Mutex<HashMap<Username, usize>>>);

/// The permit of one stream.
#[derive(Debug)]
pub struct StreamPermit {
    open: OpenStreams,
    account: Username,
}

impl OpenStreams {
    /// A permit for one more stream, if the account may have one and there is room.
    pub fn permit(&self, account: Username) -> Result<StreamPermit, Failure> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= MAX_ALL_STREAMS {
            let message =
                format!("accounts have {MAX_ALL_STREAMS} streams of queries open already; ask for a list instead");
            return Err(Failure::Conflict(message));
        }
        let count = open.entry(account).or_default();
        if *count >= MAX_STREAMS {
            let message =
                format!("this account has {MAX_STREAMS} streams of queries open already; end one of them first");
            return Err(Failure::Conflict(message));
        }
        *count += 1;
        Ok(StreamPermit { open: self.clone(), account })
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut open = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::querylog::MAX_FOLLOWERS;

    #[test]
    fn accounts_leave_streams_to_the_operator() {
        const { assert!(MAX_ALL_STREAMS < MAX_FOLLOWERS) };
        let open = OpenStreams::default();
        let accounts: Vec<Username> = (0..=MAX_ALL_STREAMS / MAX_STREAMS).map(|_| Username::random()).collect();
        let (last, others) = accounts.split_last().unwrap();
        let mut permits: Vec<StreamPermit> = others
            .iter()
            .flat_map(|account| [*account; MAX_STREAMS])
            .map(|account| open.permit(account).unwrap())
            .collect();
        assert_eq!(permits.len(), MAX_ALL_STREAMS);
        assert!(open.permit(*last).is_err(), "accounts share what the operator leaves");
        permits.pop();
        assert!(open.permit(*last).is_ok(), "one has ended");
    }
}
