//! The certificate authorities that our clients trust.

use std::path::Path;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// What the system trusts, and what a PEM file adds. An unreadable certificate of the system's is passed over.
pub fn trusted(more: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut found = rustls_native_certs::load_native_certs().certs;
    if let Some(path) = more {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let read = read.map_err(|error| format!("{}: {error}", path.display()))?;
        if read.is_empty() {
            return Err(format!("{} holds no certificate; write the authority's as PEM", path.display()));
        }
        found.extend(read);
    }
    Ok(found)
}
