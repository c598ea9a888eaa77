//! Secrets: API keys and registration secrets, and their hashes, which alone are stored.

mod presented;

use std::fmt;
use std::str::FromStr;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;
use thiserror::Error;

pub use presented::{PresentedSecret, SealError, SealingKey};

/// The length of an API key.
pub const API_KEY: usize = 40;
/// The fewest characters of a registration secret.
pub const MIN_REGISTRATION_SECRET: usize = 20;

/// Argon2id's cost: 8 MiB, one pass, one lane.
///
/// API keys are 240 random bits that the daemon makes, and no person chooses them: a dictionary does not help against a
/// stolen database. The costs of RFC 9106 for passwords would protect nothing more, and would make floods of wrong keys
/// more harmful. Hashes with other parameters verify as well.
const COST: (u32, u32, u32) = (8 * 1024, 1, 1);

/// The highest costs of hashes from elsewhere: 64 MiB, eight passes and eight lanes of Argon2id, and bcrypt's 2^14 rounds.
/// Whoever makes a hash also chooses what it costs to verify a key against it.
const MAX_COST: (u32, u32, u32) = (64 * 1024, 8, 8);
const MAX_BCRYPT: u32 = 14;

/// The system's random source has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the system's random number generator failed")]
pub struct RandomError;

/// A text is not an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an API key has {API_KEY} characters of A-Z a-z 0-9 - _")]
pub struct ApiKeyError;

/// An API key: 40 base64url characters. Whoever creates it sees it once; only its hash is stored.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// Makes a key of 240 random bits.
    pub fn random() -> Result<Self, RandomError> {
        random_text::<30>().map(Self)
    }

    /// The key itself, for the one reply with it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiKey {
    type Err = ApiKeyError;

    fn from_str(text: &str) -> Result<Self, ApiKeyError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (text.len() == API_KEY && text.bytes().all(allowed)).then(|| Self(text.to_owned())).ok_or(ApiKeyError)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(redacted)")
    }
}

/// `N` random bytes as base64url text.
fn random_text<const N: usize>() -> Result<String, RandomError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A stored text is not a key hash, or a key could not be hashed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HashError {
    #[error("neither an Argon2id hash ($argon2id$...) nor a bcrypt hash ($2a$, $2b$)")]
    Unknown,
    #[error("Argon2 failed: {0}")]
    Argon2(String),
    #[error(
        "a hash that is too costly to verify; give the account a new key on the server that it comes from (`txtgate account \
         rotate`), and export it again"
    )]
    Costly,
}

/// The stored hash of an API key.
#[derive(Clone, PartialEq, Eq)]
pub enum ApiKeyHash {
    /// A PHC string `$argon2id$...`.
    Argon2id(String),
    /// `$2a$` or `$2b$`, from acme-dns. The first use of the key replaces it with Argon2id.
    Bcrypt(String),
}

impl ApiKeyHash {
    /// Hashes a key, which takes about 5 ms of CPU and 8 MiB of memory. Call it on no async thread.
    pub fn of(key: &ApiKey) -> Result<Self, HashError> {
        let failed = |e: &dyn fmt::Display| HashError::Argon2(e.to_string());
        let (memory, passes, lanes) = COST;
        let params = Params::new(memory, passes, lanes, None).map_err(|e| failed(&e))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password(key.0.as_bytes()).map_err(|e| failed(&e))?;
        Ok(Self::Argon2id(hash.to_string()))
    }

    /// Whether the hash is that of `key`, in constant time for a given hash. As slow as [`ApiKeyHash::of`].
    pub fn verify(&self, key: &ApiKey) -> bool {
        match self {
            Self::Argon2id(phc) => PasswordHash::new(phc)
                .is_ok_and(|hash| Argon2::default().verify_password(key.0.as_bytes(), &hash).is_ok()),
            Self::Bcrypt(hash) => bcrypt::verify(key.0.as_bytes(), hash).unwrap_or(false),
        }
    }

    /// The stored form.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Argon2id(text) | Self::Bcrypt(text) => text,
        }
    }

    /// Reads a hash that somebody else has made: one that costs no more to verify than a server can bear.
    pub fn from_elsewhere(text: &str) -> Result<Self, HashError> {
        let hash: Self = text.parse()?;
        if hash.is_affordable() { Ok(hash) } else { Err(HashError::Costly) }
    }

    fn is_affordable(&self) -> bool {
        match self {
            Self::Argon2id(phc) => {
                let params = PasswordHash::new(phc).ok().and_then(|hash| Params::try_from(&hash).ok());
                let (memory, passes, lanes) = MAX_COST;
                params.is_some_and(|params| {
                    params.m_cost() <= memory && params.t_cost() <= passes && params.p_cost() <= lanes
                })
            }
            // `$2b$`, and the cost in two digits.
            Self::Bcrypt(text) => {
                text.get(4..6).and_then(|cost| cost.parse().ok()).is_some_and(|cost: u32| cost <= MAX_BCRYPT)
            }
        }
    }
}

impl FromStr for ApiKeyHash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        if text.starts_with("$argon2id$") && PasswordHash::new(text).is_ok() {
            return Ok(Self::Argon2id(text.to_owned()));
        }
        let bcrypt = ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix));
        if bcrypt && text.len() == 60 {
            return Ok(Self::Bcrypt(text.to_owned()));
        }
        Err(HashError::Unknown)
    }
}

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Argon2id(_) => "ApiKeyHash(argon2id, redacted)",
            Self::Bcrypt(_) => "ApiKeyHash(bcrypt, redacted)",
        })
    }
}

/// A text is not a registration secret, or no hash of one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretError {
    #[error("a registration secret has at least {MIN_REGISTRATION_SECRET} characters; found {0}")]
    Short(usize),
    #[error("write a registration secret's hash as `sha256:` and 64 hex digits; `txtgate secret` makes both")]
    Form,
}

/// The hash of a secret with which clients may register.
///
/// SHA-256 rather than Argon2: every registration carries a secret, and several are valid at once, so the check must be
/// too cheap for a flood. `txtgate secret` makes secrets of 192 random bits.
#[derive(Clone)]
pub struct SecretHash([u8; 32]);

impl PartialEq for SecretHash {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretHash {}

impl SecretHash {
    /// Hashes a secret, which must have at least [`MIN_REGISTRATION_SECRET`] characters.
    pub fn of(secret: &str) -> Result<Self, SecretError> {
        secret.parse::<PresentedSecret>().map(|secret| secret.hash())
    }

    /// A new secret and its hash.
    pub fn random() -> Result<(String, Self), RandomError> {
        let secret = random_text::<24>()?;
        let hash = Self(sha256(&secret));
        Ok((secret, hash))
    }
}

fn sha256(text: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    out
}

impl FromStr for SecretHash {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let hex =
            text.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.is_ascii()).ok_or(SecretError::Form)?;
        let mut out = [0; 32];
        for (byte, digits) in out.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| SecretError::Form)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| SecretError::Form)?;
        }
        Ok(Self(out))
    }
}

impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_verifies_against_its_own_hash_only() {
        let (key, other) = (ApiKey::random().unwrap(), ApiKey::random().unwrap());
        let hash = ApiKeyHash::of(&key).unwrap();
        assert!(hash.verify(&key) && !hash.verify(&other));
        assert_eq!(hash.as_str().parse(), Ok(hash));
    }

    #[test]
    fn bcrypt_hashes_of_acme_dns_verify() {
        // Made with bcrypt cost 4 of the key below.
        let key: ApiKey = "p".repeat(40).parse().unwrap();
        for version in [bcrypt::Version::TwoA, bcrypt::Version::TwoB] {
            let text = bcrypt::hash_with_result("p".repeat(40), 4).unwrap().format_for_version(version);
            let hash: ApiKeyHash = text.parse().unwrap();
            assert!(matches!(hash, ApiKeyHash::Bcrypt(_)) && hash.verify(&key));
            assert!(!hash.verify(&"q".repeat(40).parse().unwrap()));
        }
    }

    #[test]
    fn a_hash_from_elsewhere_costs_what_a_server_can_bear() {
        let own = ApiKeyHash::of(&ApiKey::random().unwrap()).unwrap();
        let bcrypt = format!("$2a$10${}", "x".repeat(53));
        for bearable in [own.as_str(), &bcrypt] {
            assert_eq!(ApiKeyHash::from_elsewhere(bearable).unwrap().as_str(), bearable);
        }
        for costly in [
            own.as_str().replace("m=8192", "m=4194304"),
            own.as_str().replace("t=1", "t=100000"),
            own.as_str().replace("p=1", "p=64"),
            bcrypt.replace("$10$", "$31$"),
        ] {
            assert!(costly.parse::<ApiKeyHash>().is_ok(), "{costly}: the store still reads what it has");
            assert_eq!(ApiKeyHash::from_elsewhere(&costly), Err(HashError::Costly), "{costly}");
        }
    }

    #[test]
    fn keys_have_forty_characters() {
        assert_eq!(ApiKey::random().unwrap().reveal().len(), API_KEY);
        for bad in ["", &"a".repeat(39), &"a".repeat(41), &"+".repeat(40)] {
            assert!(bad.parse::<ApiKey>().is_err());
        }
    }

    #[test]
    fn nothing_secret_is_in_debug_output() {
        let key: ApiKey = "k".repeat(40).parse().unwrap();
        let hash = ApiKeyHash::of(&key).unwrap();
        let (secret, secret_hash) = SecretHash::random().unwrap();
        let shown = format!("{key:?} {hash:?} {secret_hash:?}");
        assert!(!shown.contains("kkkk") && !shown.contains("$argon2id") && !shown.contains(&secret));
    }

    #[test]
    fn registration_secrets_are_long_and_survive_as_hashes() {
        assert_eq!(SecretHash::of("short"), Err(SecretError::Short(5)));
        let (secret, hash) = SecretHash::random().unwrap();
        let read: SecretHash = hash.to_string().parse().unwrap();
        assert!(read == SecretHash::of(&secret).unwrap() && read != SecretHash::of(&"x".repeat(32)).unwrap());
        assert!("sha256:zz".parse::<SecretHash>().is_err());
    }
}
