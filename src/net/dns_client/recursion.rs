//! Questions to one recursive resolver, over the transport of its [`Upstream`].

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::model::name::Name;
use crate::net::{https, roots};

use super::client::DnsClient;
use super::error::AskError;
use super::exchange::{answer_to, any_source, over_tcp, over_udp, query, to_bytes};
use super::reply::DnsReply;
use super::upstream::Upstream;

/// The time for one question over TLS or HTTPS, the handshake included.
const PATIENCE: Duration = Duration::from_secs(5);
/// The media type of DNS messages (RFC 8484 section 6).
const MESSAGE: &str = "application/dns-message";

impl DnsClient {
    /// Asks a recursive resolver. Any reply to the question is a success, whatever its response code. Takes at most 5
    /// seconds, plus 10 in the queue. `extra_roots`: authorities to trust beside the system's.
    pub async fn ask_upstream(
        &self,
        upstream: &Upstream,
        name: &Name,
        rtype: RecordType,
        extra_roots: Option<&Path>,
    ) -> Result<DnsReply, AskError> {
        let _permit = self.permit().await.ok_or(AskError::Busy)?;
        let mut question = query(name, rtype)?;
        question.metadata.recursion_desired = true;
        let answer = match upstream {
            Upstream::Udp(server) => over_udp_or_tcp(*server, &question).await?,
            Upstream::Tcp(server) => over_tcp(any_source(*server), *server, &question).await?,
            Upstream::Tls { address, name } => {
                in_time(over_tls(*address, name.as_deref(), &question, extra_roots)).await?
            }
            Upstream::Https(url) => in_time(over_https(url.uri(), &question, extra_roots)).await?,
        };
        Ok(answer.into())
    }
}

async fn over_udp_or_tcp(server: SocketAddr, question: &Message) -> Result<Message, AskError> {
    let answer = over_udp(any_source(server), server, question).await?;
    if answer.metadata.truncation { over_tcp(any_source(server), server, question).await } else { Ok(answer) }
}

async fn in_time(exchange: impl Future<Output = Result<Message, AskError>>) -> Result<Message, AskError> {
    timeout(PATIENCE, exchange).await.unwrap_or(Err(AskError::TimedOut(PATIENCE)))
}

/// DNS over TLS (RFC 7858).
async fn over_tls(
    server: SocketAddr,
    name: Option<&str>,
    question: &Message,
    extra_roots: Option<&Path>,
) -> Result<Message, AskError> {
    let extra_roots = extra_roots.map(Path::to_owned);
    let trusted = blocking(move || roots::store(extra_roots.as_deref())).await?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let host = match name {
        Some(name) => ServerName::try_from(name.to_owned()).map_err(io::Error::other)?,
        None => ServerName::from(server.ip()),
    };
    let stream = TcpStream::connect(server).await?;
    let stream = TlsConnector::from(Arc::new(config)).connect(host, stream).await?;
    let reply = converse(stream, &to_bytes(question)?).await?;
    answer_to(question, &reply).ok_or(AskError::NotAnAnswer)
}

/// Reads files, for which no task of the runtime may wait.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> Result<T, String> + Send + 'static) -> io::Result<T> {
    spawn_blocking(read).await.map_err(io::Error::other)?.map_err(io::Error::other)
}

/// Writes one message and reads one, each behind its length.
async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, question: &[u8]) -> Result<Vec<u8>, AskError> {
    let length = u16::try_from(question.len()).map_err(|error| AskError::Unwritable(error.to_string()))?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    stream.flush().await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; length.into()];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

/// DNS over HTTPS by POST (RFC 8484 section 4.1). Follows no redirect.
async fn over_https(uri: Uri, question: &Message, extra_roots: Option<&Path>) -> Result<Message, AskError> {
    let extra_roots = extra_roots.map(Path::to_owned);
    let connector = blocking(move || https::connector(extra_roots.as_deref(), PATIENCE)).await?;
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let body = Full::new(Bytes::from(to_bytes(question)?));
    let request = Request::post(uri).header(CONTENT_TYPE, MESSAGE).header(ACCEPT, MESSAGE).body(body);
    let reply = client.request(request.map_err(io::Error::other)?).await.map_err(io::Error::other)?;
    if !reply.status().is_success() {
        return Err(io::Error::other(format!("HTTP {}", reply.status())).into());
    }
    let body = Limited::new(reply.into_body(), usize::from(u16::MAX)).collect().await.map_err(io::Error::other)?;
    answer_to(question, &body.to_bytes()).ok_or(AskError::NotAnAnswer)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use hickory_proto::op::{MessageType, ResponseCode};

    use super::*;

    /// An HTTP server that answers one DNS question with NXDOMAIN.
    fn server(head: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/dns-query", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = Vec::new();
            let mut part = [0; 2_048];
            let question = loop {
                let count = stream.read(&mut part).unwrap();
                bytes.extend_from_slice(&part[..count]);
                let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
                if let Some(message) = end.and_then(|end| Message::from_vec(&bytes[end + 4..]).ok()) {
                    break message;
                }
            };
            assert!(String::from_utf8_lossy(&bytes).starts_with("POST /dns-query "), "{bytes:?}");
            let mut reply = question;
            assert!(reply.metadata.recursion_desired);
            reply.metadata.message_type = MessageType::Response;
            reply.metadata.response_code = ResponseCode::NXDomain;
            let body = reply.to_vec().unwrap();
            let head = format!("{head}\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        });
        url
    }

    #[tokio::test]
    async fn a_resolver_is_asked_over_http() {
        let name: Name = "a.test".parse().unwrap();
        let ask = async |url: String| {
            let upstream = Upstream::Https(url.parse().unwrap());
            DnsClient::new(&[]).ask_upstream(&upstream, &name, RecordType::TXT, None).await
        };
        assert!(ask(server("HTTP/1.1 200 OK")).await.unwrap().is_name_error());
        let refused = ask(server("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/")).await.unwrap_err();
        assert!(refused.to_string().contains("302"), "{refused}");
    }
}
