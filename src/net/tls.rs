//! Certificates of the API and of DNS over TLS and QUIC: read from files, and read again when they change, or put in
//! place by the daemon's own ACME client; always without a restart and without a lost connection.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};
use tracing::{error, info};

/// What the API speaks (RFC 7301 section 6).
pub const HTTP: &[&[u8]] = &[b"h2", b"http/1.1"];
/// What DNS over TLS speaks (RFC 7858).
pub const DOT: &[&[u8]] = &[b"dot"];
/// What DNS over QUIC speaks (RFC 9250 section 4.1.1).
pub const DOQ: &[&[u8]] = &[b"doq"];

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Why a certificate cannot be used. `path` is the file to look at.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("cannot read {path}: {source}")]
    Pem { path: String, source: pem::Error },
    #[error("{0} holds no certificate; write the chain as PEM, the server's own first")]
    NoCertificate(String),
    #[error("{path} does not go with its key: {source}")]
    Mismatch { path: String, source: rustls::Error },
    #[error("TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// A certificate chain and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// TLS for a listener; a cheap handle.
#[derive(Clone, Debug)]
pub struct Tls {
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

/// The certificate in use; without one every handshake is refused.
#[derive(Debug)]
struct Current {
    files: Option<Files>,
    key: ArcSwapOption<CertifiedKey>,
}

/// The files that it comes from, and what they looked like when they were read.
#[derive(Debug)]
struct Files {
    paths: TlsFiles,
    seen: Mutex<Seen>,
}

type Seen = [Option<(i64, i64, u64, u64)>; 2];

impl Tls {
    /// Reads the files. TLS 1.2 and 1.3; `protocols` are what ALPN may settle on, the best first.
    pub fn load(files: TlsFiles, protocols: &[&[u8]]) -> Result<Self, TlsError> {
        let (seen, key) = (Mutex::new(look(&files)), read(&files)?);
        let files = Some(Files { paths: files, seen });
        Self::with(Arc::new(Current { files, key: ArcSwapOption::from_pointee(key) }), protocols)
    }

    /// Without a certificate until one is put in place.
    pub fn empty(protocols: &[&[u8]]) -> Result<Self, TlsError> {
        Self::with(Arc::new(Current { files: None, key: ArcSwapOption::empty() }), protocols)
    }

    /// The same certificate, now and later, for a listener that speaks something else.
    pub fn speaking(&self, protocols: &[&[u8]]) -> Result<Self, TlsError> {
        Self::with(self.current.clone(), protocols)
    }

    fn with(current: Arc<Current>, protocols: &[&[u8]]) -> Result<Self, TlsError> {
        // The provider is named: a process-wide default could be another one, or none.
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self { current, config: Arc::new(config) })
    }

    /// Accepts handshakes with the certificate that is current at each.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.clone())
    }

    /// The same for QUIC, which brings handshakes of its own.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// Puts a certificate in place: from the next handshake on it is the one that is shown.
    pub fn install(&self, key: CertifiedKey) {
        self.current.key.store(Some(Arc::new(key)));
    }

    /// The certificate that is shown now.
    pub fn shown(&self) -> Option<CertificateDer<'static>> {
        self.current.key.load().as_ref()?.cert.first().cloned()
    }

    /// Reads the files again, if it has any. Where they cannot be used the certificate stays as it is.
    pub fn reload(&self) -> Result<(), TlsError> {
        let Some(files) = &self.current.files else { return Ok(()) };
        // Before they are read: what changes meanwhile is then a change again.
        *files.seen.lock().unwrap_or_else(PoisonError::into_inner) = look(&files.paths);
        self.install(read(&files.paths)?);
        info!("certificate {} read again", files.paths.certificate.display());
        Ok(())
    }

    /// Reads the files again whenever they change; ends never.
    pub async fn keep_fresh(self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.reload_if_changed();
        }
    }

    /// Whoever replaces the files may do so one after the other, so one failure is no loss: the second file is a
    /// change again.
    fn reload_if_changed(&self) {
        let Some(files) = &self.current.files else { return };
        let seen = *files.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen == look(&files.paths) {
            return;
        }
        if let Err(problem) = self.reload() {
            error!("the certificate stays as it was: {problem}");
        }
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.key.load_full()
    }
}

/// What tells one version of a file from the next: time to the nanosecond, inode and length.
fn look(files: &TlsFiles) -> Seen {
    let of = |path: &Path| std::fs::metadata(path).ok().map(|m| (m.mtime(), m.mtime_nsec(), m.ino(), m.len()));
    [of(&files.certificate), of(&files.key)]
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let path = files.certificate.display().to_string();
    let unreadable = |source| TlsError::Pem { path: path.clone(), source };
    let chain = CertificateDer::pem_file_iter(&files.certificate).map_err(unreadable)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(path));
    }
    let unreadable = |source| TlsError::Pem { path: files.key.display().to_string(), source };
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable)?;
    certified(chain, key).map_err(|source| TlsError::Mismatch { path, source })
}

/// A chain and its key, which must be a pair.
pub fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain, key, &ring::default_provider())
}

#[cfg(test)]
pub(crate) mod tests;
