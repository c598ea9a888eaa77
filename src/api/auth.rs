//! Who acts: the account behind a request's credentials, found before its body is read.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::api::credentials::Verified;
use crate::model::account::Account;
use crate::model::actor::{Actor, FrontEnd, KeyUsed};

use super::Shared;
use super::client_ip::ClientIp;
use super::error::Failure;

/// An account by `X-Api-User` and `X-Api-Key`, as acme-dns's clients send them. An `Authorization` beside them is
/// ignored: it is meant for a proxy on the way, and some clients send a broken one.
#[derive(Debug)]
pub struct Authenticated(pub Arc<Account>, pub Actor);

/// The same, or by the username and key as HTTP Basic credentials: for other protocols that publish.
#[derive(Debug)]
pub struct Publishing(pub Arc<Account>, pub Actor);

/// The same by the present key alone: for what changes the account.
#[derive(Debug)]
pub struct Login(pub Arc<Account>, pub Actor);

impl FromRequestParts<Shared> for Authenticated {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Failure> {
        let (username, key) = api_headers(&parts.headers).unwrap_or_default();
        let (verified, actor) = verify(parts, state, username, key).await?;
        Ok(Self(verified.account, actor))
    }
}

impl FromRequestParts<Shared> for Publishing {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Failure> {
        let (verified, actor) = verify_any(parts, state).await?;
        Ok(Self(verified.account, actor))
    }
}

impl FromRequestParts<Shared> for Login {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Failure> {
        let (verified, actor) = verify_any(parts, state).await?;
        if verified.by_former_key {
            return Err(Failure::Forbidden("this key has been replaced; until it ends it only publishes"));
        }
        Ok(Self(verified.account, actor))
    }
}

/// By the API's headers, or as HTTP Basic credentials.
async fn verify_any(parts: &mut Parts, state: &Shared) -> Result<(Verified, Actor), Failure> {
    let (username, key) = api_headers(&parts.headers).or_else(|| basic(&parts.headers)).unwrap_or_default();
    verify(parts, state, username, key).await
}

async fn verify(
    parts: &mut Parts,
    state: &Shared,
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
    let text = |name| Some(headers.get(name)?.to_str().ok()?.trim().to_owned());
    Some((text("x-api-user")?, text("x-api-key")?))
}

/// The user and password of HTTP Basic credentials (RFC 7617). Standard and URL-safe base64, padded or not: clients
/// send all of them.
pub fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = authorization(headers, "basic")?.trim_end_matches('=').replace('-', "+").replace('_', "/");
    let decoded = String::from_utf8(STANDARD_NO_PAD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// A bearer token (RFC 6750).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    authorization(headers, "bearer")
}

fn authorization<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let (found, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(authorization: &str) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        basic(&headers)
    }

    #[test]
    fn basic_credentials_in_every_base64() {
        let pair = Some(("u".to_owned(), "??>~:x".to_owned()));
        for text in ["Basic dTo/Pz5+Ong=", "basic dTo_Pz5-Ong=", "BASIC  dTo_Pz5-Ong"] {
            assert_eq!(of(text), pair, "{text}");
        }
        for broken in ["Basic ", "Basic", "Basic !!", "Basic dQ==", "Bearer dTo/Pz5+Ong="] {
            assert_eq!(of(broken), None, "{broken}");
        }
    }
}
