//! Signed requests: flattened JSON Web Signatures, as RFC 8555 section 6.2 wants them.

use ring::hmac;
use serde_json::{Value, json};

use crate::model::url::Url;

use super::key::{Key, KeyError, base64url};

/// Who signs a request.
#[derive(Debug, Clone, Copy)]
pub enum Signer<'a> {
    /// A key that the CA does not know as an account's: it comes along.
    Key(&'a Key),
    /// An account, by its URL.
    Account(&'a Key, &'a Url),
}

impl Signer<'_> {
    fn key(&self) -> &Key {
        match self {
            Self::Key(key) | Self::Account(key, _) => key,
        }
    }
}

/// A request's body. `payload` `None` is POST-as-GET (RFC 8555 section 6.3); the inner JWS of a key change has no
/// `nonce` (section 7.3.5).
pub fn sign(by: &Signer<'_>, url: &Url, nonce: Option<&str>, payload: Option<&Value>) -> Result<Value, KeyError> {
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
    flattened(&header, &payload, |message| key.sign(message))
}

/// The binding of a new account's key to an account that the user has with the CA (RFC 8555 section 7.3.4).
pub fn external_binding(kid: &str, secret: &[u8], new_account: &Url, account: &Key) -> Result<Value, KeyError> {
    let header = json!({ "alg": "HS256", "kid": kid, "url": new_account });
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
    flattened(&header, &account.jwk(), |message| Ok(hmac::sign(&secret, message).as_ref().to_vec()))
}

/// A public key as JSON.
pub fn jwk(key: &Key) -> Value {
    // invariant: the text is JSON
    serde_json::from_str(&key.jwk()).unwrap_or_default()
}

fn flattened(
    header: &Value,
    payload: &str,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, KeyError>,
) -> Result<Value, KeyError> {
    let (protected, payload) = (base64url(header.to_string().as_bytes()), base64url(payload.as_bytes()));
    let signature = sign(format!("{protected}.{payload}").as_bytes())?;
    Ok(json!({ "protected": protected, "payload": payload, "signature": base64url(&signature) }))
}
