//! Proving the names of an order: publish what the CA has to see, check that the nameservers show it, and let the CA look.

use std::fmt;

use tracing::warn;

use crate::acme::account::AcmeAccount;
use crate::acme::authorization::{Authorization, Challenge};
use crate::acme::order::Order;
use crate::config::Method;
use crate::delegation::challenge_target::{self, Missing, Placed};
use crate::delegation::nameservers::Delegation;
use crate::delegation::persist::{Grantee, Sought};
use crate::model::actor::Actor;
use crate::model::name::{Owner, ZoneName};
use crate::model::txt::TxtValue;
use crate::model::txt::persist::PersistValue;
use crate::net::dns_client::DnsClient;
use crate::publisher::Publisher;

use super::error::{CertificateError, Result};
use super::grants::{self, PersistentGrant};
use super::issue_request::IssueRequest;
use super::progress::NameState;

/// What proving needs.
#[derive(Debug, Clone, Copy)]
pub struct IssueContext<'a> {
    /// The account at the CA.
    pub account: &'a AcmeAccount,
    /// Publishes the values.
    pub publisher: &'a Publisher,
    /// Looks into the zones of others.
    pub lookup: &'a DnsClient,
}

/// The nameservers of each zone, which have to show the values.
pub type Delegations<'a> = &'a mut [(ZoneName, Delegation)];

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

/// What has been published, and where.
type Published = Vec<(Owner, ProofValue)>;

/// Proves the names that the CA has not proven yet. Returns the persistent authorizations that the CA was to see.
pub async fn prove(
    context: IssueContext<'_>,
    delegations: Delegations<'_>,
    targets: &[Placed],
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
    targets: &'a [Placed],
    request: &'a IssueRequest<'a>,
    published: Published,
}

impl Prover<'_> {
    async fn run(
        &mut self,
        delegations: Delegations<'_>,
        authorizations: &mut [Authorization<'_>],
    ) -> Result<Vec<PersistentGrant>> {
        let mut granted = Vec::new();
        match self.request.settings.challenge {
            Method::Dns01 | Method::DnsAccount01 => self.publish(authorizations).await?,
            Method::DnsPersist01 => granted = self.grant(authorizations).await?,
        }
        self.check_nameservers(delegations).await?;
        self.answer(authorizations).await?;
        Ok(granted)
    }

    /// Where the name of an authorization is proven.
    fn target_of(&self, authorization: &Authorization<'_>) -> Result<&Placed> {
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
                Ok(grant) => granted.push(grant),
                Err(record) => {
                    self.request.progress.miss(&authorization.name(), &record.found);
                    missing.push(record);
                }
            }
        }
        if !missing.is_empty() {
            missing.sort_unstable_by(|one: &Missing, other| one.name.cmp(&other.name));
            // A name and its wildcard need the same record.
            missing.dedup_by(|one, other| one.name == other.name);
            return Err(crate::acme::AcmeError::NotAuthorized(missing).into());
        }
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
    async fn grant_one(
        &mut self,
        authorization: &Authorization<'_>,
        challenge: &Challenge,
    ) -> Result<std::result::Result<PersistentGrant, Missing>> {
        let lifetime = self.request.settings.persist_lifetime;
        let grantee = Grantee::of_challenge(self.context.account, lifetime, &challenge.issuers)?;
        let target = self.target_of(authorization)?;
        // One value serves a name and its wildcard.
        let is_shared = |other: &&Placed| other.looked_at == target.looked_at;
        let is_wildcard = self.targets.iter().filter(is_shared).any(|other| other.name.is_wildcard());
        let base = target.name.base();
        let name = target.looked_at.to_string();
        if let Some(owner) = target.owner.clone() {
            let value = grantee.choose(self.context.publisher, &owner, base, is_wildcard)?;
            let grant = PersistentGrant { name, owner: Some(owner.to_string()), value: value.to_string() };
            self.published.push((owner, ProofValue::Persistent(value)));
            return Ok(Ok(grant));
        }
        // A record that cannot be looked up now is left to the CA: it was there before the order.
        let sought = Sought { base, looked_at: &target.looked_at, is_wildcard, trusting: true };
        let found = challenge_target::theirs(self.context.publisher, self.context.lookup, &grantee, sought).await?;
        Ok(found.map(|value| PersistentGrant { name, owner: None, value }))
    }

    /// Checks that the nameservers show the values.
    async fn check_nameservers(&self, delegations: Delegations<'_>) -> Result<()> {
        for (zone, delegation) in delegations.iter_mut() {
            let mut owners: Vec<&Owner> = self.published.iter().map(|(owner, _)| owner).collect();
            owners.retain(|owner| owner.zone == *zone);
            owners.sort_unstable();
            owners.dedup();
            for owner in owners {
                let values = self.published.iter().filter(|(of, _)| of == owner);
                let values: Vec<String> = values.map(|(_, value)| value.to_string()).collect();
                let outcome =
                    delegation.shows(self.context.lookup, owner, &values).await.map_err(CertificateError::from);
                for name in self.names_at(owner) {
                    _ = self.request.progress.record(&name, NameState::Seen, outcome.clone());
                }
                outcome?;
            }
        }
        Ok(())
    }

    /// Tells the CA to look, and waits for its verdict on each name.
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
            let proven = authorization.wait().await.map_err(CertificateError::from);
            if let Err(error) = self.request.progress.record(&authorization.name(), NameState::Proven, proven) {
                warn!("{}", error.explained());
                outcome = outcome.and(Err(error));
            }
        }
        outcome
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
