//! Signed requests: flattened JSON Web Signatures (RFC 8555 section 6.2).

use ring::hmac;
use serde_json::{Value, json};

use crate::model::url::Url;

use super::key::{JwsKey, JwsKeyError, base64url};

/// Who signs a request.
#[derive(Debug, Clone, Copy)]
pub enum Signer<'a> {
    /// A key that the CA does not know as an account's: the request carries the public key.
    Key(&'a JwsKey),
    /// An account, identified by its URL.
    Account(&'a JwsKey, &'a Url),
}

impl Signer<'_> {
    fn key(&self) -> &JwsKey {
        match self {
            Self::Key(key) | Self::Account(key, _) => key,
        }
    }
}

/// Signs the body of a request. Without a payload the request is a POST-as-GET (RFC 8555 section 6.3). The inner JWS of
/// a key change has no nonce (section 7.3.5).
pub fn sign(by: &Signer<'_>, url: &Url, nonce: Option<&str>, payload: Option<&Value>) -> Result<Value, JwsKeyError> {
    let key = by.key();
    let mut header = json!({ "alg": key.algorithm(), "url": url });
    if let Some(nonce) = nonce {
        header["nonce"] = nonce.into();
    }
    match by {
        Signer::Key(key) => header["jwk"] = jwk(key),
        Signer::Account(_, account) => header["kid"] = account.as_str().into(),
    }
    let payload = payload.map(Value::to_string).unwrap_or_default();
    let protected = base64url(header.to_string().as_bytes());
    let payload = base64url(payload.as_bytes());
    let signature = key.sign(format!("{protected}.{payload}").as_bytes())?;
    Ok(flattened(&protected, &payload, &signature))
}

/// Binds the key of a new account to an account that the operator has with the CA (RFC 8555 section 7.3.4).
pub fn external_binding(kid: &str, secret: &[u8], new_account: &Url, account: &JwsKey) -> Value {
    let header = json!({ "alg": "HS256", "kid": kid, "url": new_account });
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let protected = base64url(header.to_string().as_bytes());
    let payload = base64url(account.jwk().as_bytes());
    let signature = hmac::sign(&secret, format!("{protected}.{payload}").as_bytes());
    flattened(&protected, &payload, signature.as_ref())
}

/// The public key as JSON.
pub fn jwk(key: &JwsKey) -> Value {
    // invariant: a JWK is JSON
    serde_json::from_str(&key.jwk()).unwrap_or_default()
}

fn flattened(protected: &str, payload: &str, signature: &[u8]) -> Value {
    json!({ "protected": protected, "payload": payload, "signature": base64url(signature) })
}
