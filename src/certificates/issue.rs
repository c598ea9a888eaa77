//! From names to a certificate: check what the CA will check, order, prove, finalize and download (RFC 8555 section 7.4).

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::acme::Authority;
use crate::acme::authorization::ObjectStatus;
use crate::acme::certificate::Chain;
use crate::config::Method;
use crate::delegation::challenge_target::{self, Missing, Placed, Proof, Proven, Search};
use crate::delegation::{caa, nameservers};
use crate::metrics::Metrics;
use crate::model::identifier::Identifier;
use crate::model::name::{CHALLENGE_LABEL, PERSIST_LABEL};
use crate::net::dns_client::DnsClient;
use crate::publisher::Publisher;

use super::error::{CertificateError, Result};
use super::issue_request::IssueRequest;
use super::progress::NameState;
use super::prove::{self, Delegations, IssueContext};
use super::{grants, pending};

/// What issuing needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct IssueServices {
    /// The CA and the account there.
    pub authority: Authority,
    /// Publishes the challenges' values.
    pub publisher: Publisher,
    /// Looks into the zones of others.
    pub lookup: DnsClient,
    /// Counts certificates and failures.
    pub metrics: Arc<Metrics>,
}

/// A certificate that has been issued.
#[derive(Debug)]
pub struct Issued {
    /// The chain and its key.
    pub chain: Chain,
    /// Where the names led.
    pub proven: Proven,
}

impl IssueServices {
    /// Gets a certificate. Places no order before every record is there, the nameservers show what is published here, and
    /// the CA may issue.
    pub async fn issue(&self, request: &IssueRequest<'_>) -> Result<Issued> {
        let progress = request.progress;
        let method = request.settings.challenge;
        progress.stage("looking up where the names' challenges lead");
        let targets = self.locate(request).await?;
        progress.stage("asking the nameservers whether they are this server");
        let mut delegations = nameservers::verified(&self.publisher, &self.lookup, &targets).await?;
        let account = self.authority.hold().await?;
        if request.checks_caa {
            progress.set_caa_record(account.caa_record(method));
            progress.stage("checking CAA records");
            caa::check(&self.lookup, &account, method, request.names).await?;
        }
        let count = request.names.len();
        let plural = if count == 1 { "" } else { "s" };
        progress.stage(format!("ordering a certificate and proving {count} name{plural}"));
        let context = IssueContext { account: &account, publisher: &self.publisher, lookup: &self.lookup };
        let chain = order(context, &mut delegations, &targets, request).await?;
        Ok(Issued { chain, proven: challenge_target::proven(&targets) })
    }

    /// Where each name is proven. An error lists every record that is missing.
    async fn locate(&self, request: &IssueRequest<'_>) -> Result<Vec<Placed>> {
        let search = Search {
            publisher: self.publisher.clone(),
            lookup: self.lookup.clone(),
            proof: Proof::of(request.settings, &self.authority).await?,
            before: request.proven_before.clone(),
        };
        match search.place(request.names).await {
            Ok(targets) => {
                show_located(request, &[]);
                Ok(targets)
            }
            Err(error) => {
                if !error.missing().is_empty() {
                    show_located(request, error.missing());
                }
                Err(error.into())
            }
        }
    }
}

/// Shows which names have their records.
fn show_located(request: &IssueRequest<'_>, missing: &[Missing]) {
    for name in request.names {
        match missing.iter().find(|record| is_record_of(record, name)) {
            Some(record) => request.progress.miss(&name.to_string(), &record.found),
            None => request.progress.reach(&name.to_string(), NameState::Delegated),
        }
    }
}

fn is_record_of(record: &Missing, name: &Identifier) -> bool {
    let labels = [CHALLENGE_LABEL, PERSIST_LABEL];
    labels.iter().any(|label| record.name.ends_with(&format!("{label}.{}", name.base())))
}

/// Orders a certificate. The challenges' values are retired when the CA has looked, whatever it has seen; values that a
/// crash leaves expire with their lifetime. Persistent authorizations stay. Those that the certificate does not rely on
/// any more are withdrawn when it has been issued.
async fn order(
    context: IssueContext<'_>,
    delegations: Delegations<'_>,
    targets: &[Placed],
    request: &IssueRequest<'_>,
) -> Result<Chain> {
    // The gate is this certificate's own: most limits of a CA are those of a name.
    request.gate.check()?;
    let outcome = attempt(context, delegations, targets, request).await;
    if let Err(CertificateError::Acme(error)) = &outcome {
        request.gate.close(error, Duration::ZERO);
    }
    if outcome.as_ref().is_err_and(CertificateError::ends_order) {
        // The error of the order is more important than one of its file.
        if let Err(error) = pending::forget(request.pending).await {
            warn!("the next attempt resumes an order that has failed: {error}");
        }
    }
    outcome
}

async fn attempt(
    context: IssueContext<'_>,
    delegations: Delegations<'_>,
    targets: &[Placed],
    request: &IssueRequest<'_>,
) -> Result<Chain> {
    let names: Vec<Identifier> = targets.iter().map(|target| target.name.clone()).collect();
    let resumed = pending::resume(context.account, request.settings, request.pending, &names).await?;
    let (mut order, key) = match resumed {
        Some(found) => found,
        None => {
            let replaces = request.replaces.clone();
            pending::place(context.account, request.settings, request.pending, &names, replaces).await?
        }
    };
    let mut granted = Vec::new();
    if order.status() == ObjectStatus::Pending {
        granted = prove::prove(context, delegations, targets, request, &mut order).await?;
    } else {
        // All authorizations are valid, and may be too old by now to be looked at again.
        names.iter().for_each(|name| request.progress.reach(&name.to_string(), NameState::Proven));
    }
    order.finalize(&key.request(&names)?).await?;
    let certificates = order.download(request.settings.preferred_root.as_deref()).await?;
    let chain = Chain::new(certificates, key)?;
    if !chain.info.is_for(&names) {
        return Err(CertificateError::OtherNames(chain.info.names.join(", ")));
    }
    info!(names = chain.info.names.join(", "), not_after = %chain.info.not_after, "the CA has issued a certificate");
    let mut used = Vec::new();
    if request.settings.challenge == Method::DnsPersist01 {
        used.extend(targets.iter().map(|target| target.looked_at.to_string()));
    }
    // The certificate is usable, whatever becomes of this.
    if let Err(error) = grants::withdraw_others(context.publisher, request.grants, &used, &granted).await {
        let problem = error.explained();
        warn!("persistent authorizations that may not be needed any more still stand: {problem}");
    }
    Ok(chain)
}
