//! A client of the API of a txtgate or an acme-dns.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use tokio_rustls::rustls;
use tokio_rustls::rustls::crypto::ring;
use ureq::http::{Request, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Error, Proxy, Timeout};

use crate::api::SERVED_HEADER;
use crate::api::types::failure::FailureReply;
use crate::api::types::list::List;
use crate::api::types::values::JudgedValue;
use crate::model::name::Name;
use crate::model::txt::TxtValue;
use crate::net::roots;

use super::super::operator::encoded;
use super::super::output::tell;
use super::accounts::HookAccount;
use super::error::HookError;
use super::settings::Settings;
use super::url::ServerUrl;

/// How long a connection with its TLS handshake may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one try may take: a busy acme-dns is slow, because it hashes keys under a lock.
const TRY: Duration = Duration::from_secs(30);
/// The same for a request that waits for nameservers: longer than any `wait-limit` of a server.
const SERVED_TRY: Duration = Duration::from_secs(6 * 60);
/// No try begins after this time: by then, a server that restarts is back.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause before the second try, doubled before each further one.
const PAUSE: Duration = Duration::from_millis(500);
/// How long to wait for an explanation. The server itself looks up a CNAME for two seconds at most.
const EXPLANATION: Duration = Duration::from_secs(5);
/// The most characters that are printed of what the nameservers serve.
const MAX_PROBLEM: usize = 1_000;
/// The most bytes of a reply.
const MAX_REPLY: u64 = 64 * 1_024;

type Result<T> = std::result::Result<T, HookError>;

/// A server, ready for requests.
#[derive(Debug)]
pub struct HookServer {
    url: ServerUrl,
    agent: Agent,
}

/// How long one try of a request may take, if not the usual time.
#[derive(Clone, Copy)]
struct Patience(Duration);

struct ServerReply {
    status: StatusCode,
    /// The header that says when to retry, or which address to use.
    header: Option<String>,
    /// Whether the server has waited for the nameservers.
    has_waited: bool,
    body: String,
}

impl HookServer {
    /// Reads the certificate authorities. Does not connect yet.
    pub fn at(url: ServerUrl, settings: &Settings) -> Result<Self> {
        let wrong = |problem| HookError::Setting { place: "ca".into(), problem };
        let roots = roots::trusted(settings.ca.as_deref()).map_err(wrong)?;
        let roots = roots.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect::<Vec<_>>();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build();
        let proxy = if url.is_local() { None } else { Proxy::try_from_env() };
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(proxy)
            .user_agent(concat!("txtgate-hook/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            // A redirected POST becomes a GET, and a key must not be sent to another server.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(TRY));
        Ok(Self { url, agent: config.build().into() })
    }

    /// The address.
    pub fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// Registers an account for a domain. Returns the reply as received, which holds the key.
    pub fn register(&self, domain: &Name, settings: &Settings) -> Result<Map<String, Value>> {
        // The note is for txtgate's operator; acme-dns ignores it.
        let mut body = json!({ "note": domain.to_string() });
        if !settings.allow_from.networks().is_empty() {
            body["allowfrom"] = json!(settings.allow_from);
        }
        let bearer = settings.registration_secret.as_ref().map(|secret| format!("Bearer {}", secret.reveal()));
        let request = || {
            let request = Request::post(self.url.endpoint("/register"));
            bearer
                .iter()
                .fold(self.with_credentials(request), |request, bearer| request.header("Authorization", bearer))
        };
        let reply = self.send("register", false, &request, &body)?;
        if !reply.status.is_success() {
            let advice = match reply.status.as_u16() {
                401 | 403 => {
                    "; give the registration secret: `registration-secret` in hook.toml, or TXTGATE_REGISTRATION_SECRET"
                }
                404 | 405 => {
                    "; if its address is right it takes no registrations: have its operator make an account and put it \
                     into the account file"
                }
                _ => "",
            };
            return Err(self.refused("register", &reply, advice.into()));
        }
        serde_json::from_str(&reply.body).map_err(|error| HookError::Unreadable {
            server: self.url.to_string(),
            // The place of the error, but not the text, which holds the key.
            problem: format!("no JSON object (line {}, column {})", error.line(), error.column()),
        })
    }

    /// Publishes a value; with `is_served`, until every nameserver of the delegation serves it.
    pub fn publish(&self, account: &HookAccount, txt: &TxtValue, is_served: bool, file: &Path) -> Result<()> {
        let path = if is_served { "/update?wait=served" } else { "/update" };
        let request = || {
            let request = self.with_credentials(as_account(Request::post(self.url.endpoint(path)), account));
            if is_served { request.extension(Patience(SERVED_TRY)) } else { request }
        };
        let reply = self.send("publish", true, &request, &body(account, txt))?;
        if reply.status.is_success() {
            if is_served && !reply.has_waited {
                tell(&format!("{} has published the value; it does not support waiting for nameservers", self.url));
            }
            return Ok(());
        }
        if let Some(served) = not_served(&reply) {
            return Err(HookError::NotServed { server: self.url.to_string(), problem: served });
        }
        let advice = match reply.status.as_u16() {
            401 | 403 => format!(
                "; the account of {} in {} has another key there, is disabled, or may not be used from this address",
                account.fulldomain,
                file.display()
            ),
            404 | 405 => "; is its address right?".into(),
            _ => String::new(),
        };
        Err(self.refused("publish", &reply, advice))
    }

    /// Retires a value if the server can, and says whether it can. acme-dns cannot, which is not a failure.
    pub fn retire(&self, account: &HookAccount, txt: &TxtValue) -> Result<bool> {
        let request = || self.with_credentials(as_account(Request::delete(self.url.endpoint("/v1/txt")), account));
        let reply = self.send("retire", true, &request, &body(account, txt))?;
        match reply.status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(self.refused("retire", &reply, String::new())),
        }
    }

    /// What the server saw of the queries for a value, in words. `None` if the server has no query log, is older, or does not
    /// reply soon: the client waits, and a missing explanation is not a failure.
    pub fn verdict(&self, account: &HookAccount, txt: &TxtValue, domain: Option<&Name>) -> Option<String> {
        let domain = domain.map(|domain| format!("&domain={domain}")).unwrap_or_default();
        let path = format!("/v1/txt?subdomain={}&txt={txt}{domain}", encoded(&account.subdomain));
        let request = self.with_credentials(as_account(Request::get(self.url.endpoint(&path)), account));
        let request = self.agent.configure_request(request.body(()).ok()?).timeout_global(Some(EXPLANATION)).build();
        let mut reply = self.agent.run(request).ok().filter(|reply| reply.status().is_success())?;
        let body = reply.body_mut().with_config().limit(MAX_REPLY).lossy_utf8(true).read_to_string().ok()?;
        let list: List<JudgedValue> = serde_json::from_str(&body).ok()?;
        list.items.first().map(|value| value.verdict.text.chars().filter(|c| !c.is_control()).collect())
    }

    fn with_credentials(&self, request: ureq::http::request::Builder) -> ureq::http::request::Builder {
        match self.url.credentials() {
            Some((user, password)) => {
                request.header("Authorization", format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            None => request,
        }
    }

    /// Sends a request, and repeats it if that may help: after a failed connection, if the server is busy, and, if
    /// `is_idempotent`, whenever no complete reply arrived.
    fn send(
        &self,
        what: &'static str,
        is_idempotent: bool,
        request: &dyn Fn() -> ureq::http::request::Builder,
        body: &Value,
    ) -> Result<ServerReply> {
        let start = Instant::now();
        let mut pause = PAUSE;
        loop {
            let outcome = self.send_once(request(), body);
            let wait = match &outcome {
                Ok(reply) if is_busy(reply.status) => retry_after(reply).unwrap_or(pause),
                Err(error) if is_unsent(error) || (is_idempotent && is_lost(error)) => pause,
                _ => Duration::ZERO,
            };
            if wait.is_zero() || start.elapsed() + wait > PATIENCE {
                return outcome.map_err(|error| self.unreachable(&error));
            }
            tell(&format!("{} does not {what} yet; trying again", self.url));
            std::thread::sleep(wait);
            pause *= 2;
        }
    }

    fn send_once(
        &self,
        request: ureq::http::request::Builder,
        body: &Value,
    ) -> std::result::Result<ServerReply, Error> {
        let request = request.header("Content-Type", "application/json").body(body.to_string())?;
        // The API defines a body for DELETE, which RFC 9110 section 9.3.5 permits.
        let patience = request.extensions().get().map_or(TRY, |Patience(patience)| *patience);
        let request = self.agent.configure_request(request).allow_non_standard_methods(true);
        let request = request.timeout_global(Some(patience)).build();
        let mut reply = self.agent.run(request)?;
        let has_waited = reply.headers().contains_key(SERVED_HEADER);
        let header = ["Location", "Retry-After"].into_iter().find_map(|name| reply.headers().get(name));
        let header = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = reply.status();
        let body = reply.body_mut().with_config().limit(MAX_REPLY).lossy_utf8(true).read_to_string()?;
        Ok(ServerReply { status, header, has_waited, body })
    }

    fn unreachable(&self, error: &Error) -> HookError {
        let problem = match (tls_error(error), error) {
            (Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)), _) => {
                "its certificate is of an unknown authority; name yours with `ca = \"FILE\"` (--ca)".into()
            }
            (Some(error), _) => format!("TLS: {error}"),
            (_, Error::HostNotFound) => "its name has no address; is it written right?".into(),
            (_, Error::Io(error)) => error.to_string(),
            (_, Error::Timeout(Timeout::Connect | Timeout::Resolve)) => {
                format!("no connection within {} s", CONNECT.as_secs())
            }
            (_, Error::Timeout(_)) => format!("no reply within {} s", TRY.as_secs()),
            (_, Error::BodyExceedsLimit(_)) => "its reply is longer than any of a txtgate or acme-dns".into(),
            // An error with a URI in it would show its path.
            (_, Error::BadUri(_) | Error::RequireHttpsOnly(_) | Error::Http(_)) => "its address cannot be used".into(),
            (_, other) => other.to_string(),
        };
        HookError::Unreachable { server: self.url.to_string(), problem }
    }

    fn refused(&self, what: &'static str, reply: &ServerReply, advice: String) -> HookError {
        let status = reply.status;
        let server = self.url.to_string();
        if status.is_redirection() {
            let said = format!("{status}, a redirect, which is not followed");
            return HookError::Refused { server, what, said, advice: "; name the server by its last address".into() };
        }
        let json: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        let said = json["message"].as_str().or(json["error"].as_str()).map(printable);
        let said = said.map_or_else(|| status.to_string(), |said| format!("{said} ({})", status.as_u16()));
        HookError::Refused { server, what, said, advice }
    }
}

fn as_account(request: ureq::http::request::Builder, account: &HookAccount) -> ureq::http::request::Builder {
    request.header("X-Api-User", &account.username).header("X-Api-Key", account.key.reveal())
}

fn body(account: &HookAccount, txt: &TxtValue) -> Value {
    json!({ "subdomain": account.subdomain, "txt": txt })
}

/// A text of another machine on one line, shortened.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// What keeps the nameservers from serving the value, if that is why the server has failed.
fn not_served(reply: &ServerReply) -> Option<String> {
    let failure: FailureReply = serde_json::from_str(&reply.body).ok()?;
    let served = failure.served.filter(|_| reply.status == StatusCode::GATEWAY_TIMEOUT)?;
    Some(served.problem().chars().filter(|c| !c.is_control()).take(MAX_PROBLEM).collect())
}

/// Whether the server did nothing, and may do it later.
fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

fn retry_after(reply: &ServerReply) -> Option<Duration> {
    reply.header.as_ref()?.parse().ok().map(|seconds: u64| Duration::from_secs(seconds.max(1)))
}

/// Whether the server cannot have seen the request, and may see the next one.
fn is_unsent(error: &Error) -> bool {
    match error {
        Error::HostNotFound | Error::ConnectionFailed | Error::Timeout(Timeout::Connect | Timeout::Resolve) => true,
        Error::Io(error) => {
            use ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
            matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
        }
        _ => false,
    }
}

/// Whether the connection failed, and not the exchange on it.
fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Io(_) | Error::Timeout(_) | Error::Protocol(_)) && tls_error(error).is_none()
}

/// A failed handshake, which ureq reports as an error of the stream.
fn tls_error(error: &Error) -> Option<&rustls::Error> {
    match error {
        Error::Rustls(error) => Some(error),
        Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}
