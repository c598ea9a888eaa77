//! A certificate authority of the test's own, and clients that trust it.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SignatureAlgorithm,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::TLS12;
use tokio_rustls::rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::PATIENCE;
use super::http::Wire;

/// The first name in every certificate; the other is `localhost`.
pub const HOST: &str = "auth.test";

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Writes `cert.pem` and `key.pem` into a folder; the certificate's bytes.
    pub fn issue(&self, folder: &Path) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![HOST.to_owned(), "localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
        certificate.der().to_vec()
    }

    /// Signs the key of a certificate request, for these names; the chain in PEM.
    pub fn sign(&self, request: &[u8], names: &[&str]) -> String {
        let (_, request) = X509CertificationRequest::from_der(request).unwrap();
        let key = &request.certification_request_info.subject_pki.subject_public_key.data;
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.use_authority_key_identifier_extension = true;
        params.signed_by(&RequestedKey(key), &self.issuer).unwrap().pem()
    }

    /// Its own certificate in DER.
    pub fn der(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// Its own certificate, for clients that take it from a file.
    pub fn pem(&self) -> String {
        let body = STANDARD.encode(&self.certificate);
        let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// A client's settings, with the protocols that it offers by ALPN.
    pub fn client(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        trusting(self.certificate.clone(), protocols)
    }

    /// A connection of TLS 1.2 after its handshake.
    pub fn connect_tls12(
        &self,
        server: SocketAddr,
        protocols: &[&str],
    ) -> Wire<StreamOwned<ClientConnection, TcpStream>> {
        let config = trusting_over(&[&TLS12], self.certificate.clone(), protocols);
        connect(server, config, HOST).expect("a handshake")
    }

    /// A connection after its handshake.
    pub fn connect(&self, server: SocketAddr, protocols: &[&str]) -> Wire<StreamOwned<ClientConnection, TcpStream>> {
        connect(server, self.client(protocols), HOST).expect("a handshake")
    }
}

/// A P-256 key that somebody else has.
struct RequestedKey<'a>(&'a [u8]);

impl PublicKeyData for RequestedKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// A client's settings that trust one root and nothing else.
pub fn trusting(root: CertificateDer<'static>, protocols: &[&str]) -> Arc<ClientConfig> {
    trusting_over(ALL_VERSIONS, root, protocols)
}

fn trusting_over(
    versions: &[&'static SupportedProtocolVersion],
    root: CertificateDer<'static>,
    protocols: &[&str],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// A connection after its handshake, in which the server has proven that it is `host`.
pub fn connect(
    server: SocketAddr,
    config: Arc<ClientConfig>,
    host: &'static str,
) -> std::io::Result<Wire<StreamOwned<ClientConnection, TcpStream>>> {
    let mut tcp = TcpStream::connect(server)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    let mut tls = ClientConnection::new(config, ServerName::try_from(host).unwrap()).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp)?;
    }
    Ok(Wire(StreamOwned::new(tls, tcp)))
}

/// The certificate that a server has shown.
pub fn shown(wire: &Wire<StreamOwned<ClientConnection, TcpStream>>) -> Vec<u8> {
    wire.0.conn.peer_certificates().unwrap()[0].to_vec()
}

/// The protocol that was settled.
pub fn alpn(wire: &Wire<StreamOwned<ClientConnection, TcpStream>>) -> Option<String> {
    wire.0.conn.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned())
}
