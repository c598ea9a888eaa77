//! What a TLS server presents, whether it is to be trusted or not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// The chain that the server at `address` presents to a client that asks for `name`, the server's own certificate first.
/// Checks that the server has the certificate's key, and nothing else. `limit` is the time for all of it.
pub async fn chain(
    address: SocketAddr,
    name: ServerName<'static>,
    limit: Duration,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let connector = trusting_any().map_err(|error| format!("TLS: {error}"))?;
    let connected = async {
        let stream = TcpStream::connect(address).await?;
        connector.connect(name, stream).await
    };
    let stream = timeout(limit, connected).await.map_err(|_| format!("no handshake within {} s", limit.as_secs()))?;
    let stream = stream.map_err(|error| error.to_string())?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(chain.iter().map(|certificate| certificate.clone().into_owned()).collect())
}

/// A connector that checks that a server has the key of the certificate that it presents, and nothing else.
pub fn trusting_any() -> Result<TlsConnector, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(ring::default_provider())))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Whether clients that trust `roots` accept the chain for `name` now.
pub fn verify(chain: &[CertificateDer<'_>], name: &ServerName<'_>, roots: RootCertStore) -> Result<(), rustls::Error> {
    let (own, issuers) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    verifier.verify_server_cert(own, issuers, name, &[], UnixTime::now())?;
    Ok(())
}

/// Whether a certificate is for a host (RFC 9525 section 6).
pub fn is_for(certificate: &CertificateDer<'_>, host: &ServerName<'_>) -> bool {
    ParsedCertificate::try_from(certificate).is_ok_and(|read| verify_server_name(&read, host).is_ok())
}

/// Takes every certificate whose key signs the handshake.
#[derive(Debug)]
struct AnyCertificate(CryptoProvider);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
