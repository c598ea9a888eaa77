//! `/accounts/{who}/tsig`

use serde::{Deserialize, Serialize};

use crate::model::tsig::Algorithm;

use super::revealed::RevealedSecret;

/// `POST /accounts/{who}/tsig`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CreateTsigKey {
    /// The algorithm; hmac-sha256 if absent.
    pub algorithm: Option<Algorithm>,
}

/// A new key, shown once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TsigKeyReply {
    /// The key's name, with its closing dot.
    pub name: String,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The secret in base64.
    pub secret: RevealedSecret,
}
