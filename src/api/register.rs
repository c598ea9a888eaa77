//! `POST /register`: creates an account, and shows its key once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{FromRef, FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;

use crate::config::Registration as Openness;
use crate::crypto::key_issuer::KeyIssuer;
use crate::model::account::{AllowFrom, Note};
use crate::model::actor::{Actor, KeyUsed};
use crate::model::name::Alias;
use crate::model::prefix::Prefix;
use crate::model::secret::ApiKey;
use crate::model::tsig::Derivation;
use crate::net::rate_limiter::{RateLimiter, Rule};
use crate::publisher::{Choice, OwnerRequest, Publisher, Registration};

use super::client_ip::{ClientIp, Clients};
use super::error::Failure;
use super::fields::Fields;
use super::reply;
use super::secrets::{Proof, SecretRejection, Secrets};
use super::types::accounts::AccountCredentials;

/// The rate of registrations from one prefix if anybody may register.
const REGISTRATIONS: Rule = Rule {
    free: 50,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(5 * 60),
    quiet: Duration::from_secs(60 * 60),
};

/// The rate of registrations from one prefix with a secret: enough for a fleet, and a limit for a leaked secret.
const REGISTRATIONS_WITH_SECRET: Rule = Rule { free: 1_000, longest: Duration::from_secs(30), ..REGISTRATIONS };

/// Creates accounts for clients that may register.
#[derive(Clone, Debug)]
pub struct Registrar {
    publisher: Publisher,
    keys: KeyIssuer,
    policy: Arc<Policy>,
}

/// Who may register.
#[derive(Debug)]
struct Policy {
    /// Anybody may register; secrets are not checked.
    is_open: bool,
    /// A request without a valid secret or token is told that registration is closed.
    is_closed: bool,
    secrets: Secrets,
    /// Limits the rate of registrations for everybody.
    limiter: RateLimiter<Prefix>,
}

impl Registrar {
    /// A registrar with the configuration's policy.
    pub fn new(registration: &Openness, publisher: Publisher, keys: KeyIssuer) -> Self {
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
        Self { publisher, keys, policy: Arc::new(policy) }
    }

    /// Counts a registration if it may take place now. Returns the choice with the enrolment token that pays for it.
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

    /// The valid secrets, whatever the policy for registrations is.
    pub fn secrets(&self) -> &Secrets {
        &self.policy.secrets
    }

    /// The proof that the client may register; `None` if no proof is needed.
    async fn proof(&self, parts: &Parts, client: IpAddr) -> Result<Option<Proof>, Failure> {
        let policy = &self.policy;
        if policy.is_open {
            return Ok(None);
        }
        match policy.secrets.check(parts, client, &self.publisher).await {
            Ok(proof) => {
                let over = proof.token.as_ref().and_then(|token| token.over(self.publisher.moment().running));
                over.map_or(Ok(Some(proof)), |over| Err(over.into()))
            }
            Err(SecretRejection::Refused(failure)) => Err(failure),
            Err(_) if policy.is_closed => Err(Failure::NotFound("registration is closed".into())),
            Err(SecretRejection::Nothing) => Err(Failure::Forbidden(
                "registration needs a secret: as HTTP Basic password, as bearer token, or before /register in the path",
            )),
            Err(SecretRejection::Wrong) => Err(Failure::Forbidden("the registration secret is wrong")),
        }
    }
}

/// A client that may register.
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
    let account = wanted.register(&registrar.publisher, &registrar.keys, registrant.actor()).await?;
    Ok(reply::json(StatusCode::CREATED, &account))
}

/// A registration that is asked for.
pub struct Wanted {
    /// The account's first name.
    pub name: OwnerRequest,
    /// The networks from which the account may be used.
    pub allow_from: AllowFrom,
    /// A remark.
    pub note: Note,
    /// A TSIG key.
    pub tsig: Option<Derivation>,
    /// A name in another zone that stands for the account's first name.
    pub alias: Option<Alias>,
}

impl Wanted {
    /// Reads the optional fields of the body.
    pub fn read(name: OwnerRequest, fields: &Fields) -> Result<Self, Failure> {
        Ok(Self {
            name,
            allow_from: fields.allow_from()?.unwrap_or_default(),
            note: fields.note()?.unwrap_or_default(),
            tsig: None,
            alias: None,
        })
    }

    /// Creates a key and the account.
    pub async fn register(
        self,
        publisher: &Publisher,
        keys: &KeyIssuer,
        actor: Actor,
    ) -> Result<AccountCredentials, Failure> {
        let key = ApiKey::random()?;
        let issued = keys.issue(key, Prefix::of(actor.limited_address())).await?;
        let Self { name, allow_from, note, tsig, alias } = self;
        let registration = Registration { name, allow_from, note, key: issued.hash.clone(), tsig, alias };
        let account = publisher.register(actor, registration).await?;
        Ok(AccountCredentials::of(&account, &issued.key))
    }
}
