//! What issuing a certificate needs.

use std::sync::Arc;

use crate::acme::Authority;
use crate::delegation::propagation::Propagation;
use crate::metrics::Metrics;
use crate::net::dns_client::DnsClient;
use crate::publisher::Publisher;
use crate::querylog::QueryLog;

/// What issuing needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct IssueServices {
    /// The CA and the account there.
    pub authority: Authority,
    /// Publishes the challenges' values.
    pub publisher: Publisher,
    /// Looks into the zones of others.
    pub dns: DnsClient,
    /// Waits until the nameservers serve what is published.
    pub propagation: Propagation,
    /// Knows which of the CA's queries were seen.
    pub query_log: QueryLog,
    /// Counts certificates and failures.
    pub metrics: Arc<Metrics>,
}
