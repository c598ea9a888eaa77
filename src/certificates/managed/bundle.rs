//! PKCS#12 bundles (RFC 7292): certificate, chain and key in one file, sealed with a password, for programs that read no
//! PEM.

#[cfg(feature = "pkcs12")]
use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey, PrivateKeyChain,
};

use crate::acme::certificate::Chain;
use crate::config::certificate::CertificateName;
use crate::config::pkcs12::Password;

use super::super::error::{CertificateError, Result};

/// Ties the key to its certificate inside the bundle.
#[cfg(feature = "pkcs12")]
const KEY_ID: &[u8] = &[1];

/// Seals a chain and its key. The friendly name of the key is the certificate's name.
#[cfg(feature = "pkcs12")]
pub fn seal(chain: &Chain, name: &CertificateName, password: &Password) -> Result<Vec<u8>> {
    write(chain, name, password).map_err(|error| CertificateError::Bundle(error.to_string()))
}

/// Always fails. The configuration of this build refuses `pkcs12` as well.
#[cfg(not(feature = "pkcs12"))]
pub fn seal(_: &Chain, _: &CertificateName, _: &Password) -> Result<Vec<u8>> {
    Err(CertificateError::Bundle(crate::config::pkcs12::NOT_BUILT_IN.into()))
}

/// Encrypts with PBES2, PBKDF2 (HMAC-SHA-256) and AES-256, and adds a MAC with SHA-256. The library chooses 10,000 rounds,
/// as Java does: the same key is stored beside the bundle without a password.
#[cfg(feature = "pkcs12")]
fn write(chain: &Chain, name: &CertificateName, password: &Password) -> p12_keystore::Result<Vec<u8>> {
    let mut certificates = Vec::new();
    for certificate in chain.certificates() {
        certificates.push(Certificate::from_der(certificate)?);
    }
    let key = PrivateKey::from_der(&chain.key().reveal_der())?;
    let entry = PrivateKeyChain::new(KEY_ID, key, certificates);
    let mut store = KeyStore::new();
    store.add_entry(&name.to_string(), KeyStoreEntry::PrivateKeyChain(entry));
    let writer = store.writer(password.reveal());
    let writer = writer.encryption_algorithm(EncryptionAlgorithm::PbeWithHmacSha256AndAes256);
    writer.mac_algorithm(MacAlgorithm::HmacSha256).write()
}
