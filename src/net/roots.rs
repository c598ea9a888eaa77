//! The certificate authorities that the clients in this program trust.

use std::path::Path;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// The authorities of the system, and those of a PEM file. Authorities of the system that cannot be read are left out:
/// the file may have the only one that is needed.
pub fn trusted(more: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut found = rustls_native_certs::load_native_certs().certs;
    if let Some(path) = more {
        found.extend(of_file(path).map_err(|problem| format!("{}: {problem}", path.display()))?);
    }
    Ok(found)
}

/// The same authorities in the form that rustls takes.
pub fn store(more: Option<&Path>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(trusted(more)?);
    Ok(store)
}

fn of_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| error.to_string())?;
    if read.is_empty() {
        return Err("the file holds no certificate; write that of the authority as PEM".into());
    }
    let mut store = RootCertStore::empty();
    read.iter().try_for_each(|root| store.add(root.clone())).map_err(|error| error.to_string())?;
    Ok(read)
}
