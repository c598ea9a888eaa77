//! Certificates: keys, certificate requests, chains, and the content of a certificate.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::KeyType;
use crate::model::identifier::Identifier;
use crate::model::time::Timestamp;
use crate::net::tls;

use super::error::{AcmeError, Result};
use super::key::{JwsKey, base64url};

/// A certificate's private key.
pub struct CertificateKey(KeyPair);

impl CertificateKey {
    /// Generates a key.
    pub fn generate(key_type: KeyType) -> Result<Self> {
        let algorithm = match key_type {
            KeyType::P256 => &PKCS_ECDSA_P256_SHA256,
            KeyType::P384 => &PKCS_ECDSA_P384_SHA384,
        };
        KeyPair::generate_for(algorithm).map(Self).map_err(unusable)
    }

    /// Reads a key in PKCS#8 (PEM): also RSA, which [`CertificateKey::generate`] never makes.
    pub fn from_pem(pem: &str) -> Result<Self> {
        KeyPair::from_pem(pem).map(Self).map_err(|_| AcmeError::Certificate("its key is not PKCS#8 in PEM".into()))
    }

    /// The secret in PKCS#8 (PEM), for the file that stores it.
    pub fn reveal_pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// The secret in PKCS#8 (DER), for a bundle that seals it.
    pub fn reveal_der(&self) -> Vec<u8> {
        self.0.serialize_der()
    }

    /// The same key as one that signs JWS: it can revoke its certificate.
    pub fn signing_key(&self) -> Result<JwsKey> {
        Ok(JwsKey::from_pkcs8(&self.0.serialize_der())?)
    }

    /// A certificate request (DER) for these names (RFC 8555 section 7.4). The subject is empty: the CA/Browser Forum has
    /// moved all names into subjectAltName, and a common name cannot have more than 64 characters.
    pub fn request(&self, names: &[Identifier]) -> Result<Vec<u8>> {
        let mut params = CertificateParams::new(texts(names)).map_err(unusable)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        Ok(params.serialize_request(&self.0).map_err(unusable)?.der().to_vec())
    }

    /// A self-signed certificate, for use until a CA has issued one.
    pub fn self_signed(self, names: &[Identifier]) -> Result<Chain> {
        let mut params = CertificateParams::new(texts(names)).map_err(unusable)?;
        params.distinguished_name.push(DnType::CommonName, "txtgate, until a CA has signed");
        let certificate = params.self_signed(&self.0).map_err(unusable)?;
        Chain::new(vec![certificate.der().clone()], self)
    }
}

impl fmt::Debug for CertificateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateKey({:?}, redacted)", self.0.algorithm())
    }
}

fn texts(names: &[Identifier]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn unusable(error: impl fmt::Display) -> AcmeError {
    AcmeError::Certificate(error.to_string())
}

/// A certificate, the chain to its root, and its private key.
#[derive(Debug)]
pub struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    key: CertificateKey,
    /// The content of the certificate.
    pub info: CertificateInfo,
}

impl Chain {
    /// Fails unless the key belongs to the first certificate.
    pub fn new(certificates: Vec<CertificateDer<'static>>, key: CertificateKey) -> Result<Self> {
        let first = certificates.first().ok_or_else(|| AcmeError::Certificate("the chain is empty".into()))?;
        let info = CertificateInfo::read(first)?;
        if info.public_key != key.0.subject_public_key_info() {
            return Err(AcmeError::Certificate("it belongs to another key".into()));
        }
        Ok(Self { certificates, key, info })
    }

    /// Reads a key and a chain (PEM).
    pub fn from_pem(pem: &str) -> Result<Self> {
        let certificates = certificates(pem.as_bytes())?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(unusable)?;
        let key = KeyPair::try_from(&key).map_err(unusable)?;
        Self::new(certificates, CertificateKey(key))
    }

    /// The certificate and the rest of the chain (PEM): `fullchain.pem`.
    pub fn pem(&self) -> String {
        self.certificates.iter().map(|certificate| pem(certificate)).collect()
    }

    /// The certificate alone (PEM): `cert.pem`.
    pub fn leaf_pem(&self) -> String {
        self.certificates.iter().take(1).map(|certificate| pem(certificate)).collect()
    }

    /// The chain without the certificate (PEM): `chain.pem`.
    pub fn issuers_pem(&self) -> String {
        self.certificates.iter().skip(1).map(|certificate| pem(certificate)).collect()
    }

    /// The certificates (DER): first the one that the key belongs to.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The certificate that the key belongs to (DER).
    pub fn leaf(&self) -> &[u8] {
        // invariant: a chain has a first certificate
        self.certificates.first().map_or(&[], |certificate| certificate)
    }

    /// The private key of the certificate.
    pub fn key(&self) -> &CertificateKey {
        &self.key
    }

    /// The chain and its key in the form that a TLS listener takes.
    pub fn certified(&self) -> Result<CertifiedKey> {
        let key = PrivateKeyDer::Pkcs8(self.key.0.serialize_der().into());
        tls::certified(self.certificates.clone(), key).map_err(unusable)
    }
}

/// Reads the certificates of a PEM text.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let read: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    read.map_err(unusable)
}

/// The common name of the root that a chain leads to: the issuer of its last certificate.
pub fn root_of(chain: &[CertificateDer<'_>]) -> Option<String> {
    let (_, last) = X509Certificate::from_der(chain.last()?).ok()?;
    let name = last.issuer().iter_common_name().next().and_then(|name| name.as_str().ok());
    name.map(str::to_owned)
}

fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned() + "\n");
    format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", lines.collect::<String>())
}

/// The content of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateInfo {
    /// The DNS names.
    pub names: Vec<String>,
    /// The distinguished name of the issuer.
    pub issuer: String,
    /// The beginning of the validity.
    #[serde(with = "as_text")]
    pub not_before: Timestamp,
    /// The end of the validity.
    #[serde(with = "as_text")]
    pub not_after: Timestamp,
    /// The serial number in hex.
    pub serial: String,
    /// The SHA-256 fingerprint in hex.
    pub sha256: String,
    /// The identifier in renewal information: authority key identifier and serial number (RFC 9773 section 4.1).
    #[serde(skip)]
    pub renewal_id: Option<String>,
    #[serde(skip)]
    public_key: Vec<u8>,
}

/// Moments as RFC 3339 text.
mod as_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::model::time::Timestamp;

    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl CertificateInfo {
    /// Reads a certificate (DER).
    pub fn read(certificate: &[u8]) -> Result<Self> {
        let (_, read) = X509Certificate::from_der(certificate)
            .map_err(|error| AcmeError::Certificate(format!("it is not a certificate: {error}")))?;
        let names = read.subject_alternative_name().ok().flatten();
        let names = names.map_or_else(Vec::new, |names| {
            let dns = names.value.general_names.iter().filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            });
            dns.collect()
        });
        let authority = read.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.as_ref().map(|id| id.0),
            _ => None,
        });
        let validity = read.validity();
        Ok(Self {
            names,
            issuer: read.issuer().to_string(),
            not_before: timestamp(validity.not_before.timestamp()),
            not_after: timestamp(validity.not_after.timestamp()),
            serial: hex(read.raw_serial()),
            sha256: hex(digest(&SHA256, certificate).as_ref()),
            renewal_id: authority.map(|id| format!("{}.{}", base64url(id), base64url(read.raw_serial()))),
            public_key: read.public_key().raw.to_vec(),
        })
    }

    /// Whether the certificate is for exactly these names.
    pub fn is_for(&self, names: &[Identifier]) -> bool {
        let names = texts(names);
        self.names.len() == names.len() && names.iter().all(|name| self.names.contains(name))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A time in Unix seconds. A time before 1970 counts as 1970.
fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_unix(u64::try_from(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<Identifier> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_chain_survives_its_file_and_its_key_never_appears_in_debug() {
        for key_type in [KeyType::P256, KeyType::P384] {
            let key = CertificateKey::generate(key_type).unwrap();
            let secret = key.reveal_pem();
            assert!(!format!("{key:?}").contains(&secret[40..60]));
            assert_eq!(
                key.signing_key().unwrap().algorithm(),
                if key_type == KeyType::P256 { "ES256" } else { "ES384" }
            );
            let wanted = names(&["a.test.example", "*.a.test.example"]);
            let chain = key.self_signed(&wanted).unwrap();
            assert!(chain.info.is_for(&wanted) && !chain.info.is_for(&wanted[..1]));
            let again = Chain::from_pem(&format!("# a remark\n{secret}{}", chain.pem())).unwrap();
            assert_eq!(again.info, chain.info);
            assert!(again.certified().is_ok());
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let key = || CertificateKey::generate(KeyType::P256).unwrap();
        let chain = key().self_signed(&names(&["a.test.example"])).unwrap();
        assert!(matches!(Chain::new(chain.certificates.clone(), key()), Err(AcmeError::Certificate(_))));
        assert!(Chain::from_pem(&chain.pem()).is_err(), "no key");
        assert!(Chain::from_pem(&chain.key().reveal_pem()).is_err(), "no certificate");
    }

    /// The example of RFC 9773 section 4.1.
    #[test]
    fn the_renewal_id_is_that_of_the_rfcs_example() {
        let (aki, serial) = ("69885b6b87464041e1b37b847bd6ae2cde01c8d4", "008765 4321".replace(' ', ""));
        let bytes = |hex: &str| {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect::<Vec<u8>>()
        };
        let id = format!("{}.{}", base64url(&bytes(aki)), base64url(&bytes(&serial)));
        assert_eq!(id, "aYhba4dGQEHhs3uEe9auLN4ByNQ.AIdlQyE");
    }
}
