//! `/v1/storage`: stores accounts for lego without a disk of its own (`ACME_DNS_STORAGE_BASE_URL`).
//!
//! Lego fetches the account of a domain. If there is none, lego registers one and stores it here. 201 tells lego that the
//! CNAME is in place, and that it can go on. 200 tells lego to stop and to say which record to add.
//!
//! A stored account is sealed with a key that is derived from the secret in lego's URL. That secret is not stored:
//! neither the database nor the secret of another holder opens the account.

use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::info;

use crate::model::account::Username;
use crate::model::actor::Actor;
use crate::model::name::{Alias, Name};
use crate::model::secret::{ApiKey, PresentedSecret, SealError, SecretHash};
use crate::net::dns_client::DnsClient;
use crate::publisher::Publisher;
use crate::zone::zone_of;

use super::blocking::read;
use super::client_ip::ClientIp;
use super::error::Failure;
use super::fields::Fields;
use super::reply;
use super::secrets::SecretRejection;
use super::state::SharedState;
use super::types::names::RemovedCount;

/// The most characters of a server's URL.
const MAX_URL: usize = 1_024;

/// A client that may store accounts: it has a registration secret or an enrolment token. The count and the expiry of a
/// token limit registrations; its storage lasts until the token is revoked.
#[derive(Debug)]
pub struct StorageHolder {
    secret: PresentedSecret,
    actor: Actor,
}

impl FromRequestParts<SharedState> for StorageHolder {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Failure> {
        let ClientIp(client) = ClientIp::from_request_parts(parts, state).await?;
        match state.registrar.secrets().check(parts, client, &state.publisher).await {
            Ok(proof) => {
                let actor = Actor::registrant(client, proof.key());
                Ok(Self { secret: proof.secret, actor })
            }
            Err(SecretRejection::Refused(failure)) => Err(failure),
            Err(SecretRejection::Nothing) => Err(Failure::Forbidden(
                "storage needs an enrolment token or a registration secret, as the password in its URL",
            )),
            Err(SecretRejection::Wrong) => {
                Err(Failure::Forbidden("the enrolment token or registration secret is wrong"))
            }
        }
    }
}

impl StorageHolder {
    fn hash(&self) -> SecretHash {
        self.secret.hash()
    }

    fn seal(&self, domain: &Name, account: &StoredAccount) -> Result<Vec<u8>, Failure> {
        // invariant: a struct of strings always becomes JSON
        let text = serde_json::to_vec(account).unwrap_or_default();
        Ok(self.secret.sealing_key()?.seal(&domain.to_string(), &text)?)
    }

    fn open(&self, domain: &Name, sealed: &[u8]) -> Result<Value, Failure> {
        let text = self.secret.sealing_key()?.open(&domain.to_string(), sealed)?;
        serde_json::from_slice(&text).map_err(|_| SealError::Open.into())
    }
}

/// An account in the form of goacmedns.
#[derive(Serialize, Deserialize)]
struct StoredAccount {
    fulldomain: String,
    subdomain: String,
    username: String,
    password: String,
    server_url: String,
}

impl StoredAccount {
    /// Reads an account of this server, and its fulldomain.
    fn read(fields: &Fields, publisher: &Publisher) -> Result<(Self, Name), Failure> {
        let missing = |field| move || Failure::field("bad_account", field, "write the account as it was registered");
        let fulldomain: Name = fields.parsed("fulldomain", "bad_account")?.ok_or_else(missing("fulldomain"))?;
        if zone_of(&publisher.zones().load(), fulldomain.as_ref()).is_none() {
            return Err(Failure::field("bad_account", "fulldomain", "this name is not in a zone of this server"));
        }
        let username: Username = fields.parsed("username", "bad_account")?.ok_or_else(missing("username"))?;
        let password: ApiKey = fields.parsed("password", "bad_account")?.ok_or_else(missing("password"))?;
        let server_url = fields.text("server_url")?.unwrap_or_default();
        if server_url.len() > MAX_URL {
            let message = format!("write at most {MAX_URL} characters");
            return Err(Failure::field("bad_account", "server_url", message));
        }
        fields.owner()?;
        let stored = Self {
            fulldomain: fulldomain.to_string(),
            subdomain: fields.text("subdomain")?.unwrap_or_default(),
            username: username.to_string(),
            password: password.reveal().to_owned(),
            server_url,
        };
        Ok((stored, fulldomain))
    }
}

/// Fetches the account of a domain.
pub async fn fetch(
    State(publisher): State<Publisher>,
    holder: StorageHolder,
    Domain(domain, _): Domain,
) -> Result<Response, Failure> {
    let hash = holder.hash();
    let wanted = domain.clone();
    let sealed = read(&publisher, move |publisher| publisher.stored(&hash, &wanted)).await?;
    let sealed = sealed.ok_or_else(|| Failure::NotFound("no account is stored for this domain".into()))?;
    Ok(reply::json(StatusCode::OK, &holder.open(&domain, &sealed)?))
}

/// Fetches all accounts, by domain.
pub async fn fetch_all(State(publisher): State<Publisher>, holder: StorageHolder) -> Result<Response, Failure> {
    let hash = holder.hash();
    let all = read(&publisher, move |publisher| publisher.all_stored(&hash)).await?;
    let mut accounts = Map::new();
    for (domain, sealed) in &all {
        accounts.insert(domain.to_string(), holder.open(domain, sealed)?);
    }
    Ok(reply::json(StatusCode::OK, &Value::Object(accounts)))
}

/// Stores the account of a domain in place of the former one, then checks whether the CNAME is there.
pub async fn put(
    State(publisher): State<Publisher>,
    State(lookup): State<DnsClient>,
    holder: StorageHolder,
    Domain(domain, alias): Domain,
    fields: Fields,
) -> Result<Response, Failure> {
    let (account, fulldomain) = StoredAccount::read(&fields, &publisher)?;
    let sealed = holder.seal(&domain, &account)?;
    publisher.put_stored(holder.actor, holder.hash(), domain, sealed).await?;
    let chain = lookup.cname_chain(alias.name(), |target| *target == fulldomain).await;
    if chain.as_ref().is_ok_and(|chain| chain.contains(&fulldomain)) {
        return Ok(reply::json(StatusCode::CREATED, &StorageReply { cname: "in place", message: None }));
    }
    let found = match chain.as_deref().map(<[Name]>::first) {
        Ok(Some(target)) => format!("it is a CNAME of {target}"),
        Ok(None) => "there is no CNAME".to_owned(),
        Err(error) => error.to_string(),
    };
    info!(%alias, %fulldomain, found, "an account is stored whose CNAME is not in place");
    let message = Some(format!("add the record `{alias}. CNAME {fulldomain}.`: {found}"));
    Ok(reply::json(StatusCode::OK, &StorageReply { cname: "missing", message }))
}

/// The reply to an account that was stored.
#[derive(Serialize)]
struct StorageReply {
    cname: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Removes the account of a domain. Removing an account that is gone succeeds.
pub async fn remove(
    State(publisher): State<Publisher>,
    holder: StorageHolder,
    Domain(domain, _): Domain,
) -> Result<Response, Failure> {
    let removed = publisher.delete_stored(holder.actor, holder.hash(), domain).await?;
    Ok(reply::json(StatusCode::OK, &RemovedCount { removed: usize::from(removed) }))
}

/// The domain in the path, and the name of its challenge. A wildcard shares the account of the name below it.
#[derive(Debug)]
pub struct Domain(Name, Alias);

impl<S: Send + Sync> FromRequestParts<S> for Domain {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let wrong = |error: &dyn std::fmt::Display| Failure::field("bad_domain", "domain", error);
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|error| wrong(&error))?;
        let name: Name = text.strip_prefix("*.").unwrap_or(&text).parse().map_err(|error| wrong(&error))?;
        let alias = Alias::of_domain(&name).map_err(|error| wrong(&error))?;
        Ok(Self(name, alias))
    }
}
