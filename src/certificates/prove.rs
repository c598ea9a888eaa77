//! Proving the names of an order: publish what the CA has to see, wait until the nameservers serve it, and let the CA look.

use std::fmt;

use tracing::warn;

use crate::acme::AcmeError;
use crate::acme::account::AcmeAccount;
use crate::acme::authorization::{Authorization, Challenge};
use crate::acme::order::Order;
use crate::config::Method;
use crate::delegation::challenge_target::ChallengeTarget;
use crate::delegation::lookups::Lookups;
use crate::delegation::persist::{PersistQuery, PersistRequirement};
use crate::delegation::propagation::Propagation;
use crate::model::actor::Actor;
use crate::model::name::Owner;
use crate::model::txt::TxtValue;
use crate::model::txt::persist::PersistValue;
use crate::net::dns_client::DnsClient;
use crate::publisher::Publisher;
use crate::querylog::QueryLog;

use super::error::{CertificateError, Result};
use super::grants::{self, PersistentGrant};
use super::issue_request::IssueRequest;
use super::missing_record::MissingRecord;
use super::preflight::{self, Delegations};
use super::progress::NameState;

/// What proving needs.
#[derive(Debug, Clone, Copy)]
pub struct IssueContext<'a> {
    /// The account at the CA.
    pub account: &'a AcmeAccount,
    /// Publishes the values.
    pub publisher: &'a Publisher,
    /// Looks into the zones of others.
    pub dns: &'a DnsClient,
    /// Waits until the nameservers serve the values.
    pub propagation: &'a Propagation,
    /// Knows which of the CA's queries were seen.
    pub query_log: &'a QueryLog,
}

/// What an authorization requires to be published.
#[derive(Debug, Clone)]
enum ProofValue {
    /// The value of a challenge, retired when the CA has looked.
    Challenge(TxtValue),
    /// A persistent authorization, which stays.
    Persistent(PersistValue),
}

impl fmt::Display for ProofValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Challenge(value) => value.fmt(f),
            Self::Persistent(value) => value.fmt(f),
        }
    }
}

/// Whether a persistent authorization answers a challenge.
enum GrantOutcome {
    Granted(PersistentGrant),
    /// Somebody else's zone lacks it.
    Missing(MissingRecord),
}

/// What has been published, and where.
type Published = Vec<(Owner, ProofValue)>;

/// Proves the names that the CA has not proven yet. Returns the persistent authorizations that the CA was to see.
pub async fn prove(
    context: IssueContext<'_>,
    delegations: &mut Delegations,
    targets: &[ChallengeTarget],
    request: &IssueRequest<'_>,
    order: &mut Order<'_>,
) -> Result<Vec<PersistentGrant>> {
    let mut prover = Prover { context, targets, request, published: Published::new() };
    let mut authorizations = order.authorizations().await?;
    let outcome = prover.run(delegations, &mut authorizations).await;
    prover.retire().await;
    let granted = outcome?;
    order.wait_until_ready().await?;
    Ok(granted)
}

/// The proof of one order's names.
struct Prover<'a> {
    context: IssueContext<'a>,
    targets: &'a [ChallengeTarget],
    request: &'a IssueRequest<'a>,
    published: Published,
}

impl Prover<'_> {
    async fn run(
        &mut self,
        delegations: &mut Delegations,
        authorizations: &mut [Authorization<'_>],
    ) -> Result<Vec<PersistentGrant>> {
        let mut granted = Vec::new();
        match self.request.settings.challenge {
            Method::Dns01 | Method::DnsAccount01 => self.publish(authorizations).await?,
            Method::DnsPersist01 => granted = self.grant(authorizations).await?,
        }
        self.wait_for_nameservers(delegations).await?;
        self.answer(authorizations).await?;
        Ok(granted)
    }

    /// Where the name of an authorization is proven.
    fn target_of(&self, authorization: &Authorization<'_>) -> Result<&ChallengeTarget> {
        let base = authorization.base().to_ascii_lowercase();
        let found = self.targets.iter().find(|target| target.name.base().to_string() == base);
        found.ok_or_else(|| CertificateError::Unordered(authorization.name()))
    }

    /// The names that are proven at an owner.
    fn names_at(&self, owner: &Owner) -> Vec<String> {
        let targets = self.targets.iter().filter(|target| target.owner.as_ref() == Some(owner));
        targets.map(|target| target.name.to_string()).collect()
    }

    /// The challenge to answer; `None` if the CA has proven the name already.
    fn challenge_of<'c>(&self, authorization: &'c Authorization<'_>) -> Result<Option<&'c Challenge>> {
        let name = authorization.name();
        match authorization.challenge(self.request.settings.challenge) {
            Ok(Some(challenge)) => Ok(Some(challenge)),
            Ok(None) => {
                self.request.progress.reach(&name, NameState::Proven);
                Ok(None)
            }
            Err(error) => self.request.progress.record(&name, NameState::Failed, Err(error.into())),
        }
    }

    /// Publishes the value of each challenge.
    async fn publish(&mut self, authorizations: &[Authorization<'_>]) -> Result<()> {
        for authorization in authorizations {
            let Some(challenge) = self.challenge_of(authorization)? else { continue };
            let value = self.context.account.key().txt_value(challenge.token());
            let owner = self.target_of(authorization)?.owner.clone();
            let (Some(value), Some(owner)) = (value, owner) else {
                return Err(CertificateError::Unordered(authorization.name()));
            };
            self.context.publisher.publish(Actor::CERTIFICATES, owner.clone(), value).await?;
            self.request.progress.reach(&authorization.name(), NameState::Published);
            self.published.push((owner, ProofValue::Challenge(value)));
        }
        Ok(())
    }

    /// Makes sure that there is a persistent authorization for each challenge: published here, or in somebody else's
    /// zone. Reports all missing records at once, before anything is published.
    async fn grant(&mut self, authorizations: &[Authorization<'_>]) -> Result<Vec<PersistentGrant>> {
        let mut granted = Vec::new();
        let mut missing = Vec::new();
        for authorization in authorizations {
            let Some(challenge) = self.challenge_of(authorization)? else { continue };
            match self.grant_one(authorization, challenge).await? {
                GrantOutcome::Granted(grant) => granted.push(grant),
                GrantOutcome::Missing(record) => {
                    self.request.progress.miss(&authorization.name(), &record.found);
                    missing.push(record);
                }
            }
        }
        missing.sort_unstable_by(|one: &MissingRecord, other| one.needed.name.cmp(&other.needed.name));
        // A name and its wildcard need the same record.
        missing.dedup_by(|one, other| one.needed.name == other.needed.name);
        preflight::refuse_absent(missing, Vec::new(), true)?;
        grants::remember(self.request.grants, &granted).await?;
        for (owner, value) in &self.published {
            if let ProofValue::Persistent(value) = value {
                PersistentGrant::publish(self.context.publisher, owner, value).await?;
                for name in self.names_at(owner) {
                    self.request.progress.reach(&name, NameState::Published);
                }
            }
        }
        Ok(granted)
    }

    /// The persistent authorization that answers a challenge, or the record that is missing in somebody else's zone.
    async fn grant_one(&mut self, authorization: &Authorization<'_>, challenge: &Challenge) -> Result<GrantOutcome> {
        let target = self.target_of(authorization)?.clone();
        let requirement = self.requirement_of(challenge)?;
        // One value serves a name and its wildcard.
        let mut sharing = self.targets.iter().filter(|other| other.looked_at == target.looked_at);
        let is_wildcard = sharing.any(|other| other.name.is_wildcard());
        let name = target.looked_at.to_string();
        let Some(owner) = target.owner.clone() else {
            return self.find_foreign(&requirement, &target, is_wildcard).await;
        };
        let publisher = self.context.publisher;
        let published = publisher.persistent(&owner);
        let value = requirement.choose(&published, target.name.base(), is_wildcard, publisher.moment())?;
        let grant = PersistentGrant { name, owner: Some(owner.to_string()), value: value.to_string() };
        self.published.push((owner, ProofValue::Persistent(value)));
        Ok(GrantOutcome::Granted(grant))
    }

    /// What a persistent authorization has to say for the CA to accept it in answer to a challenge.
    fn requirement_of(&self, challenge: &Challenge) -> Result<PersistRequirement> {
        let settings = self.request.settings;
        let account = self.context.account;
        let issuers = challenge.issuers(&account.client().directory().meta)?;
        let issuer = preflight::issuer_identity(account, settings.challenge);
        Ok(PersistRequirement::new(&issuer, settings.persist_lifetime).with_issuers(issuers))
    }

    /// The persistent authorization in somebody else's zone. If it cannot be looked up now, the CA decides: it was there
    /// before the order.
    async fn find_foreign(
        &self,
        requirement: &PersistRequirement,
        target: &ChallengeTarget,
        is_wildcard: bool,
    ) -> Result<GrantOutcome> {
        let base = target.name.base();
        let name = target.looked_at.to_string();
        let now = self.context.publisher.now();
        let query = PersistQuery { base, looked_at: &target.looked_at, is_wildcard, accepts_former_key: true };
        let mut check = requirement.check(&Lookups::Recursive(self.context.dns.clone()), query, now).await?;
        if let Some(value) = check.value {
            return Ok(GrantOutcome::Granted(PersistentGrant { name, owner: None, value: value.to_string() }));
        }
        let state = &self.request.settings.state;
        preflight::add_cname_target(self.context.publisher, state, base, &mut check.finding).await?;
        if let Some(record) = preflight::missing_record(&check.finding) {
            return Ok(GrantOutcome::Missing(record));
        }
        warn!("{}: {}; the CA decides", check.finding.subject, check.finding.answer);
        let value = requirement.value(base, is_wildcard, now)?.to_string();
        Ok(GrantOutcome::Granted(PersistentGrant { name, owner: None, value }))
    }

    /// Waits until the nameservers serve the values.
    async fn wait_for_nameservers(&self, delegations: &mut Delegations) -> Result<()> {
        for (zone, delegation) in delegations.iter_mut() {
            let mut owners: Vec<&Owner> = self.published.iter().map(|(owner, _)| owner).collect();
            owners.retain(|owner| owner.zone == *zone);
            owners.sort_unstable();
            owners.dedup();
            for owner in owners {
                let values = self.published.iter().filter(|(of, _)| of == owner);
                let values: Vec<String> = values.map(|(_, value)| value.to_string()).collect();
                let outcome = preflight::wait_until_served(delegation, self.context.propagation, owner, values).await;
                for name in self.names_at(owner) {
                    _ = self.request.progress.record(&name, NameState::Seen, outcome.clone());
                }
                outcome?;
            }
        }
        Ok(())
    }

    /// Tells the CA to look, and waits for its decision on each name.
    async fn answer(&self, authorizations: &mut [Authorization<'_>]) -> Result<()> {
        let method = self.request.settings.challenge;
        for authorization in authorizations.iter() {
            if let Some(challenge) = authorization.challenge(method)? {
                authorization.answer(challenge).await?;
                self.request.progress.reach(&authorization.name(), NameState::Answered);
            }
        }
        let mut outcome = Ok(());
        for authorization in authorizations.iter_mut() {
            // The fault of every name is reported: correcting twenty of them one at a time would take a day.
            let published = self.published_for(authorization);
            let proven = authorization.wait().await.map_err(|error| self.with_seen(error, published).into());
            if let Err(error) = self.request.progress.record(&authorization.name(), NameState::Proven, proven) {
                warn!("{}", error.explained());
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }

    /// Where the value of an authorization is published, and the value. Only known until the CA has decided.
    fn published_for(&self, authorization: &Authorization<'_>) -> Option<(Owner, TxtValue)> {
        let owner = self.target_of(authorization).ok()?.owner.clone()?;
        let challenge = authorization.challenge(self.request.settings.challenge).ok()??;
        Some((owner, self.context.account.key().txt_value(challenge.token())?))
    }

    /// Adds what this server saw of the CA's queries for a value.
    fn with_seen(&self, error: AcmeError, published: Option<(Owner, TxtValue)>) -> AcmeError {
        let Some((owner, value)) = published else { return error };
        match self.context.query_log.verdicts(&owner, None).of(value.as_str()) {
            Some(verdict) => error.with_seen(verdict.text.clone()),
            None => error,
        }
    }

    /// Retires the values of the challenges.
    async fn retire(self) {
        for (owner, value) in self.published {
            let ProofValue::Challenge(value) = value else { continue };
            if let Err(error) = self.context.publisher.retire(Actor::CERTIFICATES, owner.clone(), Some(value)).await {
                warn!(%owner, "the challenge's value stays until it expires: {error}");
            }
        }
    }
}
