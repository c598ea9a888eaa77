//! A certificate, its chain and its key in one file, sealed with a password: PKCS#12 (RFC 7292), for programs that read
//! no PEM.

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey, PrivateKeyChain,
};

use crate::config::certificate::CertificateName;
use crate::config::pkcs12::Password;

use crate::acme::certificate::Chain;
use crate::acme::error::{AcmeError, Result};

/// What ties the key to its certificate inside of the bundle.
const KEY_ID: &[u8] = &[1];

/// Seals a pair: PBES2 with PBKDF2 (HMAC-SHA-256) and AES-256, a MAC with SHA-256. The key's friendly name is the
/// certificate's name. The rounds are the crate's, 10,000, as Java's: the same key lies beside it without a password.
pub fn seal(chain: &Chain, name: &CertificateName, password: &Password) -> Result<Vec<u8>> {
    let sealed = || {
        let certificates = chain.certificates().iter().map(|certificate| Certificate::from_der(certificate));
        let certificates = certificates.collect::<p12_keystore::Result<Vec<_>>>()?;
        let key = PrivateKey::from_der(&chain.key().reveal_der())?;
        let mut store = KeyStore::new();
        let entry = PrivateKeyChain::new(KEY_ID, key, certificates);
        store.add_entry(&name.to_string(), KeyStoreEntry::PrivateKeyChain(entry));
        let writer = store.writer(password.reveal());
        let writer = writer.encryption_algorithm(EncryptionAlgorithm::PbeWithHmacSha256AndAes256);
        writer.mac_algorithm(MacAlgorithm::HmacSha256).write()
    };
    sealed().map_err(|error: p12_keystore::error::Error| {
        AcmeError::Certificate(format!("no PKCS#12 bundle can be made of it: {error}"))
    })
}
