use std::net::SocketAddr;
use std::path::PathBuf;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;

/// Two self-signed certificates for `api.test` that nobody else trusts, and their keys.
const PAIRS: [(&str, &str); 2] = [
    (
        "-----BEGIN CERTIFICATE-----\n\
         MIIBkTCCATegAwIBAgIUPKQsumgpL6bD8Yx+pdjvB11jcl0wCgYIKoZIzj0EAwIw\n\
         FDESMBAGA1UEAwwJYXBpMS50ZXN0MCAXDTI2MTEyNDAyNTg0NFoYDzIxMjYxMDMx\n\
         MDI1ODQ0WjAUMRIwEAYDVQQDDAlhcGkxLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO\n\
         PQMBBwNCAAS42tEX3B7qZXgOvk6O9pEDYj/OMko7CB7MG5tyMPpVKqpqaZzu9eVa\n\
         5D/1yFiG5SfPcBjqrlejkszxhI2/6/Ioo2UwYzAdBgNVHQ4EFgQUNGTEKxrdMqBU\n\
         Y87Smq+JqD9hKRkwHwYDVR0jBBgwFoAUNGTEKxrdMqBUY87Smq+JqD9hKRkwEwYD\n\
         VR0RBAwwCoIIYXBpLnRlc3QwDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNIADBF\n\
         AiEAljM3jL+vEob3AMup2J77s9/IasTi3aXa9bPcSSYeW8oCIHHu+T9LuFAIEVgG\n\
         aL1mtO4m8jpNwFjQPp157k7bH0hf\n\
         -----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\n\
         MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgncQEzijaprRtb6ld\n\
         O60V6pln2qjHn4sQC3vVshnNd6OhRANCAAS42tEX3B7qZXgOvk6O9pEDYj/OMko7\n\
         CB7MG5tyMPpVKqpqaZzu9eVa5D/1yFiG5SfPcBjqrlejkszxhI2/6/Io\n\
         -----END PRIVATE KEY-----\n",
    ),
    (
        "-----BEGIN CERTIFICATE-----\n\
         MIIBkTCCATegAwIBAgIUcPHLUvqFEN+/j7WatENwpUVGDjMwCgYIKoZIzj0EAwIw\n\
         FDESMBAGA1UEAwwJYXBpMi50ZXN0MCAXDTI2MTEyNDAyNTg0NFoYDzIxMjYxMDMx\n\
         MDI1ODQ0WjAUMRIwEAYDVQQDDAlhcGkyLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO\n\
         PQMBBwNCAAShPEd13otHHw7mNnNDppl0iKsJpBaiQ4CE4nEgD/IRfc6FpEXFfjTk\n\
         m4wzTVYe3K7cNxPF4gvxl0PHMz+v09pvo2UwYzAdBgNVHQ4EFgQUzAsd8+UQQ7Ln\n\
         MlCo0YnoQakQb6owHwYDVR0jBBgwFoAUzAsd8+UQQ7LnMlCo0YnoQakQb6owEwYD\n\
         VR0RBAwwCoIIYXBpLnRlc3QwDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNIADBF\n\
         AiBWqzAyMDKZfsTopBN2Lu6tnvFkHmyaOFqCG+RZzt1m3gIhAI7zvGrrMZikrT34\n\
         qissBOD3l/equgSpvHCoZ+eqwv7q\n\
         -----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\n\
         MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg69SbiM9wa2x8M3Fr\n\
         RnEICas2rjwh2z0Whl/wLmLa4B2hRANCAAShPEd13otHHw7mNnNDppl0iKsJpBai\n\
         Q4CE4nEgD/IRfc6FpEXFfjTkm4wzTVYe3K7cNxPF4gvxl0PHMz+v09pv\n\
         -----END PRIVATE KEY-----\n",
    ),
];

/// A certificate and its key in a folder.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.put(0);
        files
    }

    /// Writes the first or the second certificate and its key.
    pub fn put(&self, pair: usize) {
        self.write(PAIRS[pair].0, PAIRS[pair].1);
    }

    fn write(&self, certificate: &str, key: &str) {
        std::fs::write(self.path("c.pem"), certificate).unwrap();
        std::fs::write(self.path("k.pem"), key).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn files(&self) -> TlsFiles {
        TlsFiles { certificate: self.path("c.pem"), key: self.path("k.pem") }
    }
}

/// A client that trusts one certificate and offers one protocol (none for an empty one).
pub struct Client(TlsConnector);

impl Client {
    pub fn trusting(files: &Files, alpn: &[u8]) -> Self {
        Self(TlsConnector::from(Arc::new(client_config(files, alpn))))
    }

    pub async fn connect(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(address).await.unwrap();
        self.0.connect("api.test".try_into().unwrap(), stream).await.unwrap()
    }

    /// The body of a reply, over whatever ALPN settles.
    pub async fn get(&self, address: SocketAddr, path: &str) -> String {
        let stream = self.connect(address).await;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let request = Request::get(format!("https://api.test{path}")).body(Body::empty()).unwrap();
        let reply = if is_http2 {
            let io = TokioIo::new(stream);
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        };
        String::from_utf8(reply.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }
}

pub fn client_config(files: &Files, alpn: &[u8]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(files.path("c.pem")).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = Some(alpn.to_vec()).filter(|alpn| !alpn.is_empty()).into_iter().collect();
    config
}

fn shown(tls: &Tls) -> Vec<u8> {
    tls.shown().unwrap().to_vec()
}

#[test]
fn a_changed_certificate_is_taken_and_a_broken_one_is_not() {
    let files = Files::new();
    let tls = Tls::load(files.files(), HTTP).unwrap();
    let first = shown(&tls);
    files.put(1);
    tls.reload_if_changed();
    let second = shown(&tls);
    assert_ne!(first, second);
    for (certificate, key) in [(PAIRS[0].0, "nothing"), ("", PAIRS[1].1), (PAIRS[0].0, PAIRS[1].1)] {
        files.write(certificate, key);
        assert!(tls.reload().is_err(), "{certificate} {key}");
        assert_eq!(shown(&tls), second);
    }
    files.put(0);
    tls.reload_if_changed();
    assert_eq!(shown(&tls), first);
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let files = Files::new();
    std::fs::remove_file(files.path("k.pem")).unwrap();
    let error = Tls::load(files.files(), HTTP).unwrap_err().to_string();
    assert!(error.contains("k.pem"), "{error}");
    files.write(PAIRS[0].0, PAIRS[1].1);
    let error = Tls::load(files.files(), HTTP).unwrap_err().to_string();
    assert!(error.contains("c.pem does not match its key"), "{error}");
    files.write("text", PAIRS[1].1);
    assert!(matches!(Tls::load(files.files(), HTTP), Err(TlsError::NoCertificate(_))));
}
