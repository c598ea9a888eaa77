//! `POST /register`: an account, its key shown this once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{FromRef, FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;

use crate::config::Registration as Openness;
use crate::crypto::hasher::Hasher;
use crate::model::account::{AllowFrom, Note};
use crate::model::actor::{Actor, KeyUsed};
use crate::model::prefix::Prefix;
use crate::model::secret::ApiKey;
use crate::net::rate_limiter::{RateLimiter, Rule};
use crate::publisher::{Choice, OwnerRequest, Publisher, Registration};

use super::client_ip::{ClientIp, Clients};
use super::error::Failure;
use super::fields::Fields;
use super::reply;
use super::secrets::{Proof, Secrets, Unproved};
use super::types::accounts::AccountCredentials;

/// Registrations from one prefix where anybody may register.
const REGISTRATIONS: Rule = Rule {
    free: 50,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(5 * 60),
    quiet: Duration::from_secs(60 * 60),
};

/// Registrations from one prefix with a secret: room for a fleet, and an end to what a leaked one can do.
const REGISTRATIONS_WITH_SECRET: Rule = Rule { free: 1_000, longest: Duration::from_secs(30), ..REGISTRATIONS };

/// Makes accounts, for whoever may have one.
#[derive(Clone, Debug)]
pub struct Registrar {
    publisher: Publisher,
    hasher: Hasher,
    policy: Arc<Policy>,
}

/// Who may register.
#[derive(Debug)]
struct Policy {
    /// Anybody; secrets are not looked at.
    is_open: bool,
    /// Whoever asks without a secret or a token is told that there is no registration at all.
    is_closed: bool,
    secrets: Secrets,
    /// Nobody without end.
    limiter: RateLimiter<Prefix>,
}

impl Registrar {
    /// One that follows the configuration's policy.
    pub fn new(registration: &Openness, publisher: Publisher, hasher: Hasher) -> Self {
        let (valid, rule) = match registration {
            Openness::Open => (&[][..], REGISTRATIONS),
            Openness::Secret(valid) => (valid.as_slice(), REGISTRATIONS_WITH_SECRET),
            Openness::Closed => (&[][..], REGISTRATIONS_WITH_SECRET),
        };
        let policy = Policy {
            is_open: *registration == Openness::Open,
            is_closed: *registration == Openness::Closed,
            secrets: Secrets::new(valid),
            limiter: RateLimiter::new(rule),
        };
        Self { publisher, hasher, policy: Arc::new(policy) }
    }

    /// Counts a registration, if this one may take place now; what it asks for, with what pays for it.
    pub fn admit(&self, registrant: &Registrant, choice: Choice) -> Result<Choice, Failure> {
        if registrant.proof.is_none() && choice.subdomain.is_some() {
            let message = "a subdomain can be chosen only with a registration secret; leave it out";
            return Err(Failure::field("bad_subdomain", "subdomain", message));
        }
        let wait = self.policy.limiter.take(&Prefix::of(registrant.client), Instant::now());
        wait.map_err(|retry_after| Failure::TooOften { retry_after })?;
        let token = registrant.proof.as_ref().and_then(|proof| proof.token.as_ref());
        Ok(Choice { enrolment: token.map(|token| token.id), ..choice })
    }

    /// The secrets that are valid, whatever the policy says of registrations.
    pub fn secrets(&self) -> &Secrets {
        &self.policy.secrets
    }

    /// What of the request may register; `None`: nothing needs to.
    async fn proof(&self, parts: &Parts, client: IpAddr) -> Result<Option<Proof>, Failure> {
        let policy = &self.policy;
        if policy.is_open {
            return Ok(None);
        }
        match policy.secrets.check(parts, client, &self.publisher).await {
            Ok(proof) => {
                let over = proof.token.as_ref().and_then(|token| token.over(self.publisher.now()));
                over.map_or(Ok(Some(proof)), |over| Err(over.into()))
            }
            Err(Unproved::Refused(failure)) => Err(failure),
            Err(_) if policy.is_closed => Err(Failure::NotFound("registration is closed".into())),
            Err(Unproved::Nothing) => Err(Failure::Forbidden(
                "registration needs a secret: as HTTP Basic password, as bearer token, or before /register in the path",
            )),
            Err(Unproved::Wrong) => Err(Failure::Forbidden("the registration secret is wrong")),
        }
    }
}

/// Somebody who may register.
#[derive(Debug)]
pub struct Registrant {
    client: IpAddr,
    proof: Option<Proof>,
}

impl Registrant {
    /// The registrant, as changes name it.
    pub fn actor(&self) -> Actor {
        let key = self.proof.as_ref().map_or(KeyUsed::None, Proof::key);
        Actor::registrant(self.client, key)
    }
}

impl<S> FromRequestParts<S> for Registrant
where
    S: Send + Sync,
    Registrar: FromRef<S>,
    Clients: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let ClientIp(client) = ClientIp::from_request_parts(parts, state).await?;
        let proof = Registrar::from_ref(state).proof(parts, client).await?;
        Ok(Self { client, proof })
    }
}

pub async fn register(
    State(registrar): State<Registrar>,
    registrant: Registrant,
    fields: Fields,
) -> Result<Response, Failure> {
    let choice = registrar.admit(&registrant, fields.choice()?)?;
    let wanted = Wanted::read(OwnerRequest::Subdomain(choice), &fields)?;
    wanted.register(&registrar.publisher, &registrar.hasher, registrant.actor()).await
}

/// What a registration asks for.
pub struct Wanted {
    /// The account's first name.
    pub name: OwnerRequest,
    /// The networks from which the account may be used.
    pub allow_from: AllowFrom,
    /// A remark.
    pub note: Note,
}

impl Wanted {
    /// Reads the rest of the body; all of it is optional.
    pub fn read(name: OwnerRequest, fields: &Fields) -> Result<Self, Failure> {
        Ok(Self {
            name,
            allow_from: fields.allow_from()?.unwrap_or_default(),
            note: fields.note()?.unwrap_or_default(),
        })
    }

    /// Makes a key and the account, and shows both.
    pub async fn register(self, publisher: &Publisher, hasher: &Hasher, actor: Actor) -> Result<Response, Failure> {
        let key = ApiKey::random()?;
        let hash = hasher.hash(key.clone(), Prefix::of(actor.limited_address())).await?;
        let Self { name, allow_from, note } = self;
        let registration = Registration { name, allow_from, note, key: hash, tsig: None };
        let account = publisher.register(actor, registration).await?;
        Ok(reply::json(StatusCode::CREATED, &AccountCredentials::of(&account, &key)))
    }
}
