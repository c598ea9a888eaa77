//! Keys that sign requests to a CA: account keys, and a certificate's own key when it signs its revocation.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use thiserror::Error;

use crate::model::txt::TxtValue;

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JwsKeyError {
    #[error("the private key is neither ECDSA P-256 or P-384 nor RSA of 2048 to 4096 bits, in PKCS#8")]
    Unusable,
    #[error("the system could not generate a key")]
    Generate,
    #[error("the private key could not sign")]
    Sign,
}

/// A private key that signs JWS. `Debug` redacts it.
pub struct JwsKey {
    pair: SigningPair,
    pkcs8: Vec<u8>,
}

enum SigningPair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl JwsKey {
    /// Generates an account key: ECDSA P-256, which every CA must accept (RFC 8555 section 6.2).
    pub fn generate() -> Result<Self, JwsKeyError> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        Self::from_pkcs8(pkcs8.map_err(|_| JwsKeyError::Generate)?.as_ref())
    }

    /// Reads a key in PKCS#8 (DER).
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, JwsKeyError> {
        let random = SystemRandom::new();
        let pair = if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random) {
            SigningPair::P256(pair)
        } else if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8, &random) {
            SigningPair::P384(pair)
        } else if let Ok(pair) = RsaKeyPair::from_pkcs8(pkcs8) {
            SigningPair::Rsa(pair.into())
        } else {
            return Err(JwsKeyError::Unusable);
        };
        Ok(Self { pair, pkcs8: pkcs8.to_vec() })
    }

    /// The secret in PKCS#8 (DER), for the file that stores it.
    pub fn reveal_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The algorithm's name in JWS (RFC 7518 section 3.1).
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            SigningPair::P256(_) => "ES256",
            SigningPair::P384(_) => "ES384",
            SigningPair::Rsa(_) => "RS256",
        }
    }

    /// Signs a message; the signature has the form of JWS (RFC 7518 sections 3.3 and 3.4).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JwsKeyError> {
        let random = SystemRandom::new();
        match &self.pair {
            SigningPair::P256(pair) | SigningPair::P384(pair) => {
                pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()).map_err(|_| JwsKeyError::Sign)
            }
            SigningPair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| JwsKeyError::Sign)?;
                Ok(signature)
            }
        }
    }

    /// The public key as a JWK with the required members only, in order and without spaces (RFC 7638 section 3).
    pub fn jwk(&self) -> String {
        match &self.pair {
            SigningPair::P256(pair) => ec_jwk("P-256", pair),
            SigningPair::P384(pair) => ec_jwk("P-384", pair),
            SigningPair::Rsa(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, base64url(&e), base64url(&n))
            }
        }
    }

    /// The thumbprint of the JWK (RFC 7638): it identifies the account in a key authorization.
    pub fn thumbprint(&self) -> String {
        base64url(digest(&SHA256, self.jwk().as_bytes()).as_ref())
    }

    /// The TXT value that answers a challenge with this token (RFC 8555 sections 8.1 and 8.4).
    pub fn txt_value(&self, token: &str) -> Option<TxtValue> {
        let authorization = format!("{token}.{}", self.thumbprint());
        base64url(digest(&SHA256, authorization.as_bytes()).as_ref()).parse().ok()
    }
}

impl fmt::Debug for JwsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwsKey({}, redacted)", self.algorithm())
    }
}

/// The JWK of an elliptic curve key. Its public point is 0x04, x, y (SEC 1 section 2.3.3).
fn ec_jwk(curve: &str, pair: &EcdsaKeyPair) -> String {
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, base64url(x), base64url(y))
}

/// The former name.
pub type Key = JwsKey;

/// base64url without padding, which ACME uses everywhere.
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_key_survives_its_file_and_never_appears_in_debug() {
        let key = JwsKey::generate().unwrap();
        let again = JwsKey::from_pkcs8(key.reveal_pkcs8()).unwrap();
        assert_eq!((again.algorithm(), again.thumbprint()), ("ES256", key.thumbprint()));
        assert_eq!(format!("{key:?}"), "JwsKey(ES256, redacted)");
        assert_eq!(JwsKey::from_pkcs8(b"nonsense").unwrap_err(), JwsKeyError::Unusable);
        let SigningPair::P256(pair) = &key.pair else { panic!("P-256") };
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        assert!(public.verify(b"message", &key.sign(b"message").unwrap()).is_ok());
    }

    /// The example of RFC 8555 section 8.4 gives no key, so the thumbprint is checked on RFC 7638's own (section 3.1).
    #[test]
    fn thumbprints_are_of_the_required_members_in_order() {
        let rfc = concat!(
            r#"{"e":"AQAB","kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tS"#,
            r#"oc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqz"#,
            r#"s8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1j"#,
            r#"F44-csFCur-kEgU8awapJzKnqDKgw"}"#
        );
        assert_eq!(base64url(digest(&SHA256, rfc.as_bytes()).as_ref()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let jwk = JwsKey::generate().unwrap().jwk();
        assert!(jwk.starts_with(r#"{"crv":"P-256","kty":"EC","x":""#) && !jwk.contains(' '), "{jwk}");
    }
}
