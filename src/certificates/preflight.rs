//! The checks before an order, and what their findings decide.
//!
//! A CA counts failures, and locks out an account with too many. So an order waits until every record is there, the
//! nameservers show what is published here, and CAA records allow the CA. A fault stops the order. What could not be
//! looked up stops it only if a certificate was never issued that way: this machine's resolver may be the only one with
//! the problem.

use std::path::Path;

use tracing::warn;

use crate::acme::Authority;
use crate::acme::account::AcmeAccount;
use crate::acme::key::{JwsKey, base64url};
use crate::config::{self, Method};
use crate::delegation::caa;
use crate::delegation::challenge_target::{
    ChallengeTarget, Location, TargetCheck, TargetSearch, ValidationMethod, zone_at,
};
use crate::delegation::finding::{Assessment, Finding};
use crate::delegation::issuer::{AccountHash, IssuerIdentity};
use crate::delegation::nameservers::Delegation;
use crate::delegation::persist::PersistRequirement;
use crate::delegation::propagation::Propagation;
use crate::delegation::propagation::wanted::{Rules, Wanted};
use crate::model::actor::Actor;
use crate::model::identifier::Identifier;
use crate::model::name::owner_label::AcmeAccountLabel;
use crate::model::name::{Name, Owner, ZoneName};
use crate::model::txt::TxtValue;
use crate::net::dns_client::DnsClient;
use crate::publisher::{Abort, AccessError, PersistError, Publisher, ValueError};
use crate::zone::{Zone, zone_named};

use super::error::{CertificateError, Result};
use super::issue_request::IssueRequest;
use super::labels;
use super::left_out::LeftOutName;
use super::missing_record::MissingRecord;
use super::progress::{NameState, OrderProgress};
use super::provable::ProvableNames;
use super::services::IssueServices;

/// The account, as DNS records name it.
pub fn issuer_identity(account: &AcmeAccount, method: Method) -> IssuerIdentity {
    let meta = &account.client().directory().meta;
    let prefix = meta.account_hash_prefix.clone();
    IssuerIdentity {
        caa_identities: meta.caa_identities.clone(),
        issuer_domain_names: meta.issuer_domain_names.clone(),
        account: account.url().clone(),
        account_hash: prefix.map(|prefix| AccountHash { prefix, thumbprint: account.key().thumbprint() }),
        method,
        caa_record: account.caa_record(method),
    }
}

/// How names are proven. Asks the CA only if that depends on the account there.
async fn validation_method(settings: &config::Acme, authority: &Authority) -> Result<ValidationMethod> {
    if settings.challenge == Method::Dns01 {
        return Ok(ValidationMethod::Dns01);
    }
    let account = authority.account().await?;
    if settings.challenge == Method::DnsAccount01 {
        return Ok(ValidationMethod::DnsAccount01(AcmeAccountLabel::of(account.url())));
    }
    let issuer = issuer_identity(&account, settings.challenge);
    Ok(ValidationMethod::DnsPersist01(PersistRequirement::new(&issuer, settings.persist_lifetime)))
}

/// Finds out where each name is proven. An error lists every record that is missing.
pub async fn locate(services: &IssueServices, request: &IssueRequest<'_>) -> Result<ProvableNames> {
    let publisher = &services.publisher;
    let search = TargetSearch {
        zones: publisher.zones().clone(),
        client: services.dns.clone(),
        method: validation_method(request.settings, &services.authority).await?,
        proven_before: request.proven_before.clone(),
        now: publisher.now(),
    };
    let is_persistent = search.method.is_persistent();
    let mut checks = search.check(request.names).await;
    if is_persistent && !publisher.persists() && checks.iter().any(|check| matches!(check.location, Location::Owner(_)))
    {
        return Err(Abort::Refused(PersistError::Off).into());
    }
    for check in checks.iter_mut().filter(|check| check.location == Location::Absent) {
        add_cname_target(publisher, &request.settings.state, &check.base, &mut check.finding).await?;
    }
    show_locations(request, &checks);
    let targets = request.names.iter().filter_map(|name| target_of(name, &checks)).collect();
    let mut names = ProvableNames::new(targets, request.allows_subset);
    if let Err(error) = decide_locations(&checks, is_persistent) {
        names.leave_out(without_location(request.names, &checks), error)?;
    }
    Ok(names)
}

/// The names that cannot be proven anywhere.
fn without_location(names: &[Identifier], checks: &[TargetCheck]) -> Vec<LeftOutName> {
    let mut left_out = Vec::new();
    for name in names {
        let check = checks.iter().find(|check| check.base == *name.base());
        if let Some(check) = check.filter(|_| target_of(name, checks).is_none()) {
            let problem = check.finding.to_string();
            let missing = missing_record(&check.finding);
            left_out.push(LeftOutName { name: name.clone(), problem, missing, is_refused: false });
        }
    }
    left_out
}

/// Completes the record that a finding needs with a name of this server for its CNAME. A name in a zone of this server
/// gets none: the configuration's records stay there.
pub async fn add_cname_target(publisher: &Publisher, state: &Path, base: &Name, finding: &mut Finding) -> Result<()> {
    let Some(needed) = &mut finding.needed else { return Ok(()) };
    let is_own = needed.name.parse().is_ok_and(|name| zone_at(publisher.zones(), &name).is_some());
    let is_of_use = needed.txt.is_none() || (publisher.persists() && !is_own);
    if is_of_use {
        let owner = publisher.managed_owner(Actor::CERTIFICATES, base.clone()).await?;
        labels::remember(state, base, &owner).await?;
        needed.target = Some(owner.to_string());
    }
    Ok(())
}

fn target_of(name: &Identifier, checks: &[TargetCheck]) -> Option<ChallengeTarget> {
    let check = checks.iter().find(|check| check.base == *name.base())?;
    let owner = match &check.location {
        Location::Owner(owner) => Some(owner.clone()),
        Location::Foreign => None,
        Location::Absent | Location::Impossible => return None,
    };
    Some(ChallengeTarget { name: name.clone(), looked_at: check.looked_at.clone(), owner })
}

/// Shows which names have their records.
fn show_locations(request: &IssueRequest<'_>, checks: &[TargetCheck]) {
    for name in request.names {
        if let Some(check) = checks.iter().find(|check| check.base == *name.base()) {
            show_location(request.progress, &name.to_string(), check);
        }
    }
}

fn show_location(progress: &OrderProgress, name: &str, check: &TargetCheck) {
    match check.location {
        Location::Owner(_) | Location::Foreign => progress.reach(name, NameState::Delegated),
        Location::Absent if check.finding.is_fault() => progress.miss(name, &check.finding.answer),
        Location::Absent | Location::Impossible => progress.give_up(name, &check.finding.to_string()),
    }
}

/// Goes on if every name has a location. One that is only assumed is logged.
fn decide_locations(checks: &[TargetCheck], is_persistent: bool) -> Result<()> {
    let mut impossible = Vec::new();
    let mut missing = Vec::new();
    let mut unknown = Vec::new();
    for check in checks {
        let finding = &check.finding;
        match check.location {
            Location::Owner(_) | Location::Foreign if finding.is_unknown() => warn!("{finding}"),
            Location::Owner(_) | Location::Foreign => {}
            Location::Impossible => impossible.push(finding.clone()),
            Location::Absent => match missing_record(finding) {
                Some(record) => missing.push(record),
                None => unknown.push(finding.clone()),
            },
        }
    }
    if !impossible.is_empty() {
        return Err(CertificateError::Unprovable(impossible));
    }
    refuse_absent(missing, unknown, is_persistent)
}

/// Goes on if no record is missing and none is unknown.
pub fn refuse_absent(missing: Vec<MissingRecord>, unknown: Vec<Finding>, is_persistent: bool) -> Result<()> {
    match (missing.is_empty(), unknown.is_empty()) {
        (true, true) => Ok(()),
        (true, false) => Err(CertificateError::NotLookedUp(unknown)),
        (false, _) if is_persistent => Err(CertificateError::NotAuthorized { missing, unknown }),
        (false, _) => Err(CertificateError::NotDelegated { missing, unknown }),
    }
}

/// The record that a fault needs. What could not be looked up may be there.
pub fn missing_record(finding: &Finding) -> Option<MissingRecord> {
    let needed = finding.needed.clone().filter(|_| finding.is_fault())?;
    Some(MissingRecord { needed, found: finding.answer.clone() })
}

/// The nameservers of each zone, which have to serve the values.
pub type Delegations = Vec<(ZoneName, Delegation)>;

/// Checks that the zones in which names are proven are delegated to this server: each of their nameservers has to serve a
/// value that nobody else can know. Leaves out the names in zones that are not.
pub async fn verify_delegations(services: &IssueServices, names: &mut ProvableNames) -> Result<Delegations> {
    let mut owners: Vec<Owner> = names.targets.iter().filter_map(|target| target.owner.clone()).collect();
    owners.sort_unstable();
    owners.dedup_by(|one, other| one.zone == other.zone);
    let mut verified = Delegations::new();
    for owner in owners {
        match verify_delegation(services, &owner).await {
            Ok(delegation) => verified.push((owner.zone, delegation)),
            Err(error) => {
                let in_zone = in_zone(names, &owner.zone, &error.explained());
                names.leave_out(in_zone, error)?;
            }
        }
    }
    Ok(verified)
}

/// The names that are proven in a zone, all with the same problem.
fn in_zone(names: &ProvableNames, zone: &ZoneName, problem: &str) -> Vec<LeftOutName> {
    let is_in_zone = |target: &&ChallengeTarget| target.owner.as_ref().is_some_and(|owner| owner.zone == *zone);
    let left_out = names.targets.iter().filter(is_in_zone).map(|target| LeftOutName {
        name: target.name.clone(),
        problem: problem.to_owned(),
        missing: None,
        is_refused: false,
    });
    left_out.collect()
}

async fn verify_delegation(services: &IssueServices, owner: &Owner) -> Result<Delegation> {
    let publisher = &services.publisher;
    let zone = zone_named(&publisher.zones().load(), &owner.zone).cloned();
    let zone = zone.ok_or_else(|| Abort::<ValueError>::from(AccessError::NoZone(owner.zone.clone())))?;
    let mut delegation = find_delegation(&zone, &services.propagation).await?;
    let probe = probe_value()?;
    publisher.publish(Actor::CERTIFICATES, owner.clone(), probe).await?;
    let served = wait_until_served(&mut delegation, &services.propagation, owner, vec![probe.to_string()]).await;
    publisher.retire(Actor::CERTIFICATES, owner.clone(), Some(probe)).await?;
    served?;
    Ok(delegation)
}

async fn find_delegation(zone: &Zone, propagation: &Propagation) -> Result<Delegation> {
    let known = propagation.delegation(zone).await;
    for finding in &known.findings {
        if finding.is_fault() {
            return Err(CertificateError::Undelegated(finding.clone().into()));
        }
        warn!("{finding}");
    }
    let delegation = known.delegation.clone();
    delegation.ok_or_else(|| CertificateError::Invalid(format!("{} has no delegation", zone.name)))
}

/// A random value in the form of a challenge's, which no CA looks for.
fn probe_value() -> Result<TxtValue> {
    let value = JwsKey::generate()?.txt_value(&base64url(b"probe"));
    value.ok_or_else(|| CertificateError::Invalid("a probe value cannot be made".into()))
}

/// Waits until the nameservers serve values at an owner. A nameserver that cannot be reached from here is logged, and
/// not asked again.
pub async fn wait_until_served(
    delegation: &mut Delegation,
    propagation: &Propagation,
    owner: &Owner,
    values: Vec<String>,
) -> Result<()> {
    let wanted = Wanted::new(owner, values, Rules::ReachedFromHere)
        .map_err(|error| CertificateError::Invalid(format!("{owner}: {error}")))?;
    let name = wanted.name.clone();
    let evidence = propagation.wait_for(delegation, wanted).await;
    let mut faults = Vec::new();
    for lacking in evidence.lacking() {
        let finding = lacking.finding(&name);
        if finding.is_fault() {
            faults.push(finding);
        } else {
            warn!("{finding}");
        }
        delegation.servers.retain(|server| Some(server.address) != lacking.address);
    }
    delegation.unresolved.clear();
    if faults.is_empty() { Ok(()) } else { Err(CertificateError::NotShown { name, faults }) }
}

/// Checks CAA records. If they cannot be looked up, the CA decides.
pub async fn check_caa(dns: &DnsClient, issuer: &IssuerIdentity, names: &mut ProvableNames) -> Result<()> {
    let mut faults = Vec::new();
    for finding in caa::check(dns, issuer, &names.identifiers()).await {
        match finding.assessment {
            Assessment::Fault => faults.push(finding),
            Assessment::Unknown | Assessment::Warning => warn!("{finding}; the CA decides"),
            Assessment::Good => {}
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    let mut forbidden = Vec::new();
    for target in &names.targets {
        let name = target.name.clone();
        if let Some(fault) = faults.iter().find(|fault| fault.subject == name.to_string()) {
            forbidden.push(LeftOutName { name, problem: fault.to_string(), missing: None, is_refused: true });
        }
    }
    let identities = issuer.caa_identities.join(" or ");
    names.leave_out(forbidden, CertificateError::Caa { identities, faults })
}

#[cfg(test)]
mod tests {
    use crate::delegation::finding::NeededRecord;

    use super::*;

    fn check(name: &str, location: Location, assessment: Assessment) -> TargetCheck {
        let base: Name = name.parse().unwrap();
        let mut finding = Finding::new(assessment, name, "", "what was found");
        let target = Some("x.auth.test".to_owned());
        finding.needed = Some(NeededRecord { name: format!("_acme-challenge.{name}"), target, txt: None });
        TargetCheck { looked_at: base.clone(), base, location, finding }
    }

    /// A resolver that fails makes no record missing: nobody is told to add one that may be there.
    #[test]
    fn what_could_not_be_looked_up_is_not_missing() {
        let unknown = check("a.test", Location::Absent, Assessment::Unknown);
        let missing = check("b.test", Location::Absent, Assessment::Fault);
        let assumed = check("c.test", Location::Foreign, Assessment::Unknown);
        assert!(decide_locations(std::slice::from_ref(&assumed), true).is_ok());

        let error = decide_locations(&[unknown.clone(), assumed], false).unwrap_err();
        assert_eq!(error.missing(), []);
        let expected = "could not look up what the CA will see: a.test: what was found (`_acme-challenge.a.test. CNAME \
                        x.auth.test.` has to be there)";
        assert!(error.explained().starts_with(expected), "{}", error.explained());

        let error = decide_locations(&[unknown, missing], false).unwrap_err();
        let names: Vec<&str> = error.missing().iter().map(|record| record.needed.name.as_str()).collect();
        assert_eq!(names, ["_acme-challenge.b.test"]);
        let expected = "names of the certificate are not delegated to this server: _acme-challenge.b.test: what was \
                        found, so add `_acme-challenge.b.test. CNAME x.auth.test.`; could not look up a.test: ";
        assert!(error.explained().starts_with(expected), "{}", error.explained());
    }

    #[test]
    fn a_name_that_cannot_be_proven_comes_first() {
        let missing = check("a.test", Location::Absent, Assessment::Fault);
        let impossible = check("b.test", Location::Impossible, Assessment::Fault);
        let error = decide_locations(&[missing, impossible], false).unwrap_err();
        assert!(matches!(&error, CertificateError::Unprovable(findings) if findings.len() == 1), "{error:?}");
    }
}
