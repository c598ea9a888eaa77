//! From names to a certificate: check what the CA will check, order, prove, finalize and download (RFC 8555 section 7.4).

use std::time::Duration;

use tracing::{info, warn};

use crate::acme::AcmeError;
use crate::acme::authorization::ObjectStatus;
use crate::acme::certificate::Chain;
use crate::config::Method;
use crate::delegation::challenge_target::{ProvenTargets, proven_targets};
use crate::model::name::PERSIST_LABEL;

use super::error::{CertificateError, Result};
use super::issue_request::IssueRequest;
use super::left_out::LeftOutName;
use super::preflight::{self, Delegations};
use super::progress::NameState;
use super::provable::ProvableNames;
use super::prove::{self, IssueContext};
use super::services::IssueServices;
use super::{grants, pending};

/// A certificate that has been issued.
#[derive(Debug)]
pub struct Issued {
    /// The chain and its key.
    pub chain: Chain,
    /// Where the names led.
    pub proven: ProvenTargets,
    /// The names that the certificate lacks.
    pub left_out: Vec<LeftOutName>,
}

impl IssueServices {
    /// Gets a certificate. Places no order before every record is there, the nameservers serve what is published here, and
    /// the CA may issue.
    pub async fn issue(&self, request: &IssueRequest<'_>) -> Result<Issued> {
        let progress = request.progress;
        let method = request.settings.challenge;
        progress.stage("looking up where the names' challenges lead");
        let mut names = preflight::locate(self, request).await?;
        progress.stage("asking the nameservers whether they are this server");
        let mut delegations = preflight::verify_delegations(self, &mut names).await?;
        let account = self.authority.hold().await?;
        if request.checks_caa {
            progress.set_caa_record(account.caa_record(method));
            progress.stage("checking CAA records");
            let issuer = preflight::issuer_identity(&account, method);
            preflight::check_caa(&self.dns, &issuer, &mut names).await?;
        }
        let count = names.targets.len();
        let plural = if count == 1 { "" } else { "s" };
        progress.stage(format!("ordering a certificate and proving {count} name{plural}"));
        let context = IssueContext {
            account: &account,
            publisher: &self.publisher,
            dns: &self.dns,
            propagation: &self.propagation,
            query_log: &self.query_log,
        };
        let chain = match order(context, &mut delegations, &names, request).await {
            Err(error) => {
                names.leave_out(refused_names(&error, request, &names), error)?;
                order(context, &mut delegations, &names, request).await?
            }
            Ok(chain) => chain,
        };
        Ok(Issued { chain, proven: proven_targets(&names.targets), left_out: names.left_out })
    }
}

/// The names that the CA has refused, if others of the order may still get a certificate.
fn refused_names(error: &CertificateError, request: &IssueRequest<'_>, names: &ProvableNames) -> Vec<LeftOutName> {
    let CertificateError::Acme(error) = error else { return Vec::new() };
    let refused: Vec<(String, String)> = match error {
        AcmeError::NotProven { .. } => request.progress.failed(),
        AcmeError::Refused { problem, .. } if !error.is_temporary() => problem.names().collect(),
        _ => Vec::new(),
    };
    let mut left_out = Vec::new();
    for target in &names.targets {
        let name = target.name.clone();
        if let Some((_, problem)) = refused.iter().find(|(refused, _)| refused.eq_ignore_ascii_case(&name.to_string()))
        {
            left_out.push(LeftOutName { name, problem: problem.clone(), missing: None, is_refused: true });
        }
    }
    left_out
}

/// Fails if the order is for the names of the certificate that is used.
fn check_is_of_use(request: &IssueRequest<'_>, names: &ProvableNames) -> Result<()> {
    let Some(present) = request.unless_for else { return Ok(()) };
    let ordered = names.identifiers();
    let is_same = ordered.len() == present.len() && ordered.iter().all(|name| present.contains(&name.to_string()));
    if is_same { Err(CertificateError::StillIncomplete(names.left_out.clone())) } else { Ok(()) }
}

/// Orders a certificate. The challenges' values are retired when the CA has looked, whatever it has seen; values that a
/// crash leaves expire with their lifetime. Persistent authorizations stay. Those that the certificate does not rely on
/// any more are withdrawn when it has been issued.
async fn order(
    context: IssueContext<'_>,
    delegations: &mut Delegations,
    names: &ProvableNames,
    request: &IssueRequest<'_>,
) -> Result<Chain> {
    check_is_of_use(request, names)?;
    // The gate is this certificate's own: most limits of a CA are those of a name.
    request.gate.check()?;
    let outcome = attempt(context, delegations, names, request).await;
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
    delegations: &mut Delegations,
    provable: &ProvableNames,
    request: &IssueRequest<'_>,
) -> Result<Chain> {
    let names = provable.identifiers();
    let targets = &provable.targets;
    let resumed = pending::resume(context.account, request.settings, request.pending, &names).await?;
    let (mut order, key) = match resumed {
        Some(found) => found,
        None => pending::place(context.account, &names, request).await?,
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
        // They may be proven again.
        used.extend(provable.left_out.iter().map(|left_out| format!("{PERSIST_LABEL}.{}", left_out.name.base())));
    }
    // The certificate is usable, whatever becomes of this.
    if let Err(error) = grants::withdraw_others(context.publisher, request.grants, &used, &granted).await {
        let problem = error.explained();
        warn!("persistent authorizations that may not be needed any more still stand: {problem}");
    }
    Ok(chain)
}
