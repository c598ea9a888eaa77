//! Authentication: finds the account of a request by its credentials, before the body is read.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::api::credentials::Verified;
use crate::model::account::Account;
use crate::model::actor::{Actor, FrontEnd, KeyUsed};

use super::authorization::basic;
use super::client_ip::ClientIp;
use super::error::Failure;
use super::state::SharedState;

/// The account that `X-Api-User` and `X-Api-Key` name, as acme-dns's clients send them. An `Authorization` header is
/// ignored: it is meant for a proxy in between, and some clients send a broken one.
#[derive(Debug)]
pub struct Authenticated(pub Arc<Account>, pub Actor);

/// The account by the same headers, or by HTTP Basic credentials: for the other protocols that publish.
#[derive(Debug)]
pub struct Publishing(pub Arc<Account>, pub Actor);

/// The account by either of these, and by its current key alone: for requests that change the account.
#[derive(Debug)]
pub struct Login(pub Arc<Account>, pub Actor);

impl FromRequestParts<SharedState> for Authenticated {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Failure> {
        let (username, key) = api_headers(&parts.headers).unwrap_or_default();
        let (verified, actor) = verify(parts, state, username, key).await?;
        Ok(Self(verified.account, actor))
    }
}

impl FromRequestParts<SharedState> for Publishing {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Failure> {
        let (verified, actor) = verify_any(parts, state).await?;
        Ok(Self(verified.account, actor))
    }
}

impl FromRequestParts<SharedState> for Login {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Failure> {
        let (verified, actor) = verify_any(parts, state).await?;
        if verified.by_former_key {
            return Err(Failure::Forbidden(
                "this key has been replaced; it can still publish until it expires; use the new key",
            ));
        }
        Ok(Self(verified.account, actor))
    }
}

/// Verifies the API's headers, or HTTP Basic credentials.
async fn verify_any(parts: &mut Parts, state: &SharedState) -> Result<(Verified, Actor), Failure> {
    let (username, key) = api_headers(&parts.headers).or_else(|| basic(&parts.headers)).unwrap_or_default();
    verify(parts, state, username, key).await
}

async fn verify(
    parts: &mut Parts,
    state: &SharedState,
    username: String,
    key: String,
) -> Result<(Verified, Actor), Failure> {
    let ClientIp(client) = ClientIp::from_request_parts(parts, state).await?;
    let verified = state.credentials.verify(&username, &key, client).await?;
    let key = if verified.by_former_key { KeyUsed::Former } else { KeyUsed::Current };
    let actor = Actor::account(verified.account.username, FrontEnd::Api, client, key);
    Ok((verified, actor))
}

fn api_headers(headers: &HeaderMap) -> Option<(String, String)> {
    Some((header_text(headers, "x-api-user")?, header_text(headers, "x-api-key")?))
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.trim().to_owned())
}
