//! The `Authorization` header.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The user and password of HTTP Basic credentials (RFC 7617). Clients send standard and URL-safe base64, padded or not.
pub fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = authorization(headers, "basic")?.trim_end_matches('=').replace('-', "+").replace('_', "/");
    let decoded = String::from_utf8(STANDARD_NO_PAD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// The bearer token (RFC 6750).
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
