//! Certificates of the API and of DNS over TLS and QUIC. They are read from files, and read again when the files change,
//! or the daemon's own ACME client installs them. Neither needs a restart or costs a connection.

pub mod presented;

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

use crate::file::Unusable;

/// The ALPN protocols of the API (RFC 7301 section 6).
pub const HTTP: &[&[u8]] = &[b"h2", b"http/1.1"];
/// The ALPN protocol of the operator's API over the network. Its streams may be silent for long, which HTTP/2 has no
/// time limit beside.
pub const HTTP1: &[&[u8]] = &[b"http/1.1"];
/// The ALPN protocol of DNS over TLS (RFC 7858).
pub const DOT: &[&[u8]] = &[b"dot"];
/// The ALPN protocol of DNS over QUIC (RFC 9250 section 4.1.1).
pub const DOQ: &[&[u8]] = &[b"doq"];

/// How often the files are checked for changes.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Why a certificate cannot be used. `path` is the file with the problem.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("cannot read {}", Unusable(path, source))]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path} cannot be read as PEM: {source}")]
    Pem { path: String, source: pem::Error },
    #[error("{0} holds no certificate; write the chain as PEM, the server's own certificate first")]
    NoCertificate(String),
    #[error("{path} does not match its key: {source}")]
    Mismatch { path: String, source: rustls::Error },
    #[error("TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// The files of a certificate chain and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain. The server's own certificate comes first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// TLS for a listener. A cheap handle.
#[derive(Clone, Debug)]
pub struct Tls {
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

/// The certificate in use. Without one every handshake is refused.
#[derive(Debug)]
struct Current {
    files: Option<Files>,
    key: ArcSwapOption<CertifiedKey>,
}

/// The files of the certificate, and their versions when they were read.
#[derive(Debug)]
struct Files {
    paths: TlsFiles,
    versions: Mutex<FileVersions>,
}

/// The versions of both files.
type FileVersions = [Option<FileVersion>; 2];

/// What distinguishes one version of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileVersion {
    /// The time of the last change, in seconds and nanoseconds.
    changed: (i64, i64),
    inode: u64,
    length: u64,
}

impl Tls {
    /// Reads the files. Speaks TLS 1.2 and 1.3. `protocols` are those that ALPN can choose, the best first.
    pub fn load(files: TlsFiles, protocols: &[&[u8]]) -> Result<Self, TlsError> {
        // Before the files are read: a change meanwhile is then noticed.
        let versions = Mutex::new(versions_of(&files));
        let key = read(&files)?;
        let files = Some(Files { paths: files, versions });
        Self::with(Arc::new(Current { files, key: ArcSwapOption::from_pointee(key) }), protocols)
    }

    /// TLS without a certificate, until one is installed.
    pub fn empty(protocols: &[&[u8]]) -> Result<Self, TlsError> {
        Self::with(Arc::new(Current { files: None, key: ArcSwapOption::empty() }), protocols)
    }

    /// TLS with the same certificate, now and later, for a listener with other protocols.
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

    /// Accepts handshakes, each with the certificate in use at that time.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.clone())
    }

    /// The configuration for QUIC, which has handshakes of its own.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// Installs a certificate. Every handshake from now on uses it.
    pub fn install(&self, key: CertifiedKey) {
        self.current.key.store(Some(Arc::new(key)));
    }

    /// The certificate in use.
    pub fn shown(&self) -> Option<CertificateDer<'static>> {
        self.current.key.load().as_ref()?.cert.first().cloned()
    }

    /// Reads the files again, if there are any. If they cannot be used, the certificate stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let Some(files) = &self.current.files else { return Ok(()) };
        // Before the files are read: a change meanwhile is then noticed.
        *files.versions.lock().unwrap_or_else(PoisonError::into_inner) = versions_of(&files.paths);
        self.install(read(&files.paths)?);
        info!("certificate {} read again", files.paths.certificate.display());
        Ok(())
    }

    /// Reads the files again whenever they change. Never returns.
    pub async fn keep_fresh(self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.reload_if_changed();
        }
    }

    /// The two files may be replaced one after the other. So a failure between them does no harm: the second file is another
    /// change.
    fn reload_if_changed(&self) {
        let Some(files) = &self.current.files else { return };
        let versions = *files.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if versions == versions_of(&files.paths) {
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

fn versions_of(files: &TlsFiles) -> FileVersions {
    [version_of(&files.certificate), version_of(&files.key)]
}

fn version_of(path: &Path) -> Option<FileVersion> {
    let metadata = std::fs::metadata(path).ok()?;
    let changed = (metadata.mtime(), metadata.mtime_nsec());
    Some(FileVersion { changed, inode: metadata.ino(), length: metadata.len() })
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let path = files.certificate.display().to_string();
    let chain = CertificateDer::pem_file_iter(&files.certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|source| unreadable(&files.certificate, source))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(path));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| unreadable(&files.key, source))?;
    certified(chain, key).map_err(|source| TlsError::Mismatch { path, source })
}

fn unreadable(path: &Path, source: pem::Error) -> TlsError {
    match source {
        pem::Error::Io(source) => TlsError::File { path: path.to_owned(), source },
        source => TlsError::Pem { path: path.display().to_string(), source },
    }
}

/// A chain with its key. Fails if they do not match.
pub fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain, key, &ring::default_provider())
}

#[cfg(test)]
pub(crate) mod tests;
