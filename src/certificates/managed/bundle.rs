//! A certificate, its chain and its key in one file, sealed with a password: PKCS#12 (RFC 7292), for programs that read
//! no PEM.

#[cfg(feature = "pkcs12")]
use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey, PrivateKeyChain,
};

use crate::acme::certificate::Chain;
use crate::acme::error::{AcmeError, Result};
use crate::config::certificate::CertificateName;
use crate::config::pkcs12::Password;

/// Links the key to its certificate within the bundle.
#[cfg(feature = "pkcs12")]
const KEY_ID: &[u8] = &[1];

/// Seals a pair; the key's friendly name is the certificate's name.
#[cfg(feature = "pkcs12")]
pub fn seal(chain: &Chain, name: &CertificateName, password: &Password) -> Result<Vec<u8>> {
    sealed(chain, name, password)
        .map_err(|error| AcmeError::Certificate(format!("no PKCS#12 bundle can be made of it: {error}")))
}

/// Refuses, although the configuration already refuses `pkcs12` in this build.
#[cfg(not(feature = "pkcs12"))]
pub fn seal(_: &Chain, _: &CertificateName, _: &Password) -> Result<Vec<u8>> {
    Err(AcmeError::Certificate(crate::config::pkcs12::NOT_BUILT_IN.into()))
}

/// PBES2 with PBKDF2 (HMAC-SHA-256) and AES-256, and a MAC with SHA-256. The crate does 10,000 rounds, as Java does; the
/// same key lies beside the bundle without a password.
#[cfg(feature = "pkcs12")]
fn sealed(chain: &Chain, name: &CertificateName, password: &Password) -> p12_keystore::Result<Vec<u8>> {
    let certificates = chain.certificates().iter().map(|certificate| Certificate::from_der(certificate));
    let certificates = certificates.collect::<p12_keystore::Result<Vec<_>>>()?;
    let key = PrivateKey::from_der(&chain.key().reveal_der())?;
    let entry = PrivateKeyChain::new(KEY_ID, key, certificates);
    let mut store = KeyStore::new();
    store.add_entry(&name.to_string(), KeyStoreEntry::PrivateKeyChain(entry));
    let writer = store.writer(password.reveal());
    let writer = writer.encryption_algorithm(EncryptionAlgorithm::PbeWithHmacSha256AndAes256);
    writer.mac_algorithm(MacAlgorithm::HmacSha256).write()
}
