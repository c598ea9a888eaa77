//! `POST /register`: an account, its key shown this once.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{FromRef, FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::Serialize;

use crate::account::{Account, AllowFrom, Note, Username};
use crate::config::Registration;
use crate::hasher::Hasher;
use crate::name::Owner;
use crate::net::prefix::Prefix;
use crate::pace::{Pace, Rule};
use crate::publisher::{Choice, Place, Publisher, Registering};
use crate::secret::ApiKey;

use super::client_ip::{ClientIp, Clients};
use super::error::Failure;
use super::fields::Fields;
use super::path::PathPrefix;
use super::reply;
use super::secrets::Secrets;

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

#[derive(Debug)]
enum Policy {
    /// Anybody, but not without end.
    Open(Pace<Prefix>),
    /// Whoever shows a secret, many times.
    Secret(Secrets, Pace<Prefix>),
    /// Only the operator, who does not come this way.
    Closed,
}

impl Registrar {
    /// One that follows the configuration's policy.
    pub fn new(registration: &Registration, publisher: Publisher, hasher: Hasher) -> Self {
        let policy = match registration {
            Registration::Open => Policy::Open(Pace::new(REGISTRATIONS)),
            Registration::Secret(valid) => Policy::Secret(Secrets::new(valid), Pace::new(REGISTRATIONS_WITH_SECRET)),
            Registration::Closed => Policy::Closed,
        };
        Self { publisher, hasher, policy: Arc::new(policy) }
    }

    /// Counts a registration, if this one may take place now.
    pub fn admit(&self, registrant: &Registrant, choice: &Choice) -> Result<(), Failure> {
        if !registrant.with_secret && choice.subdomain.is_some() {
            let message = "a subdomain can be chosen only with a registration secret; leave it out";
            return Err(Failure::field("bad_subdomain", "subdomain", message));
        }
        if let Policy::Open(pace) | Policy::Secret(_, pace) = &*self.policy {
            let wait = pace.take(&registrant.client, Instant::now());
            wait.map_err(|retry_after| Failure::TooOften { retry_after })?;
        }
        Ok(())
    }
}

/// Somebody who may register.
#[derive(Debug)]
pub struct Registrant {
    client: Prefix,
    with_secret: bool,
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
        let client = Prefix::of(client);
        match &*Registrar::from_ref(state).policy {
            Policy::Open(_) => Ok(Self { client, with_secret: false }),
            Policy::Secret(secrets, _) => {
                let path = parts.extensions.get::<PathPrefix>().cloned().unwrap_or_default();
                secrets.check(&parts.headers, &path, client)?;
                Ok(Self { client, with_secret: true })
            }
            Policy::Closed => Err(Failure::NotFound("registration is closed".into())),
        }
    }
}

pub async fn register(
    State(registrar): State<Registrar>,
    registrant: Registrant,
    fields: Fields,
) -> Result<Response, Failure> {
    let choice = fields.choice()?;
    let wanted = Wanted::read(Place::Subdomain(choice.clone()), &fields)?;
    registrar.admit(&registrant, &choice)?;
    wanted.register(&registrar.publisher, &registrar.hasher, registrant.client).await
}

/// What a registration asks for.
pub struct Wanted {
    place: Place,
    allow_from: AllowFrom,
    note: Note,
}

impl Wanted {
    /// Reads the rest of the body; all of it is optional.
    pub fn read(place: Place, fields: &Fields) -> Result<Self, Failure> {
        Ok(Self {
            place,
            allow_from: fields.allow_from()?.unwrap_or_default(),
            note: fields.note()?.unwrap_or_default(),
        })
    }

    /// Makes a key and the account, and shows both.
    pub async fn register(self, publisher: &Publisher, hasher: &Hasher, client: Prefix) -> Result<Response, Failure> {
        let key = ApiKey::random()?;
        let hash = hasher.hash(key.clone(), client).await?;
        let Self { place, allow_from, note } = self;
        let account = publisher.register(Registering { place, allow_from, note, key: hash }).await?;
        Ok(reply::json(StatusCode::CREATED, &Registered::of(&account, &key)))
    }
}

/// The operator's own address stands for requests that do not come over the network.
pub const OPERATOR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// The reply that shows a key: acme-dns's members in acme-dns's order.
#[derive(Serialize)]
pub struct Registered<'a> {
    username: Username,
    password: &'a str,
    fulldomain: String,
    subdomain: Cow<'a, str>,
    allowfrom: &'a AllowFrom,
}

impl<'a> Registered<'a> {
    /// An account and its key.
    pub fn of(account: &'a Account, key: &'a ApiKey) -> Self {
        let owner = account.owners.first();
        Self {
            username: account.username,
            password: key.reveal(),
            fulldomain: owner.map(ToString::to_string).unwrap_or_default(),
            subdomain: owner.map(Owner::short).unwrap_or_default(),
            allowfrom: &account.allow_from,
        }
    }
}
