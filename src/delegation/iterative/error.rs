//! Why a look-up has no answer.

use std::sync::Arc;

use hickory_proto::rr::RecordType;
use thiserror::Error;

use crate::model::name::Name;
use crate::model::text::listed_at_most;
use crate::net::dns_client::LookupError;

use super::super::parent::Nameserver;
use super::failure::ServerFailure;
use super::zone_cut::ZoneCut;

/// How many nameservers a text names: the root has two dozen addresses.
const NAMED: usize = 3;

/// Why there is no answer.
#[derive(Debug, Clone, Error)]
pub enum IterativeError {
    /// No nameserver of the zone is of use.
    #[error("no nameserver of {} answers for it: {}", .zone.apex.as_zone(), problems(.zone, .failures))]
    Unanswered {
        /// The zone.
        zone: Arc<ZoneCut>,
        /// Who was asked, and what came back. Empty if no nameserver has an address.
        failures: Vec<(Nameserver, ServerFailure)>,
    },
    /// More zones than any real name has.
    #[error("the delegations on the way to {0} do not end")]
    Endless(Name),
}

fn problems(zone: &ZoneCut, failures: &[(Nameserver, ServerFailure)]) -> String {
    if failures.is_empty() {
        let unresolved = zone.unresolved.iter().map(|server| format!("{}: {}", server.name, server.problem));
        return listed_at_most(unresolved, NAMED);
    }
    failures_shown(failures)
}

/// The first nameservers, and what came back from each.
pub fn failures_shown(failures: &[(Nameserver, ServerFailure)]) -> String {
    listed_at_most(failures.iter().map(|(server, failure)| format!("{server} {failure}")), NAMED)
}

impl IterativeError {
    /// As the failure of a look-up.
    pub fn as_lookup_error(&self, name: &Name, rtype: RecordType) -> LookupError {
        LookupError::NoAnswer { name: name.clone(), rtype, reason: self.to_string() }
    }
}
