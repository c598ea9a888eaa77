//! HTTP requests, head and body, to the routers behind the API's and the operator's listeners: each gets a status that
//! says what was wrong with it, in JSON, and none finds a fault of ours.

#![no_main]

use std::net::SocketAddr;
use std::sync::{LazyLock, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, Version};
use libfuzzer_sys::{Corpus, fuzz_target};
use tokio::runtime::{self, Runtime};
use tower::ServiceExt;
use txtgate::api::peer::Peer;
use txtgate::model::account::{AllowFrom, Note};
use txtgate::model::actor::Actor;
use txtgate::model::secret::{ApiKey, ApiKeyHash, SecretHash};
use txtgate::publisher::{Choice, OwnerRequest, Registration};
use txtgate_fuzz::api_fixture::Fixture;
use txtgate_fuzz::routers::{nobody, operator, public};

const PROXIES: &str = "trusted-proxies = [\"127.0.0.0/8\"]\nclient-ip-header = \"X-Forwarded-For\"";
const OPEN: &str = "registration = \"open-to-anyone\"\ncors-origins = [\"*\"]";
/// Lets in whoever registers with `Host: secret`.
const SECRET: &str = "a-registration-secret";
const HEADERS: usize = 32;
const MAX_REPLY: usize = 1 << 20;

/// What listens, by the request's Host, and the account that all requests with credentials come from.
struct Site {
    open: Router,
    secret: Router,
    operator: Router,
    username: String,
    /// Ends after the routers.
    _house: Fixture,
}

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"));
static KEY: LazyLock<(ApiKey, ApiKeyHash)> = LazyLock::new(|| {
    let key = ApiKey::random().expect("random numbers");
    let hash = ApiKeyHash::of(&key).expect("a hash");
    (key, hash)
});
static SITE: LazyLock<Mutex<Site>> = LazyLock::new(|| Mutex::new(Site::new()));

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let mut site = SITE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((host, request)) = site.request(bytes) else { return Corpus::Reject };
    let may_be_empty = matches!(request.method().as_str(), "HEAD" | "OPTIONS");
    let path = request.uri().path();
    let is_about_account = path.contains("/v1/account") || path.contains("/v1/subdomains") || host == "operator";
    let may_alter = request.method() != "GET" && is_about_account;
    let router = site.router(&host).clone();
    let status = RUNTIME.block_on(async {
        let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
        assert_answer(response, may_be_empty).await
    });
    if status.is_success() && may_alter {
        *site = Site::new();
    }
    Corpus::Keep
});

impl Site {
    fn new() -> Self {
        let _house = Fixture::new();
        let subdomain = Some("shop".parse().expect("a label"));
        let name = OwnerRequest::Subdomain(Choice { subdomain, ..Choice::default() });
        let (allow_from, note) = (AllowFrom::default(), Note::default());
        let wanted = Registration { name, allow_from, note, key: KEY.1.clone(), tsig: None, alias: None };
        let account = RUNTIME.block_on(_house.publisher.register(Actor::OPERATOR, wanted)).expect("an account");
        let secret = SecretHash::of(SECRET).expect("a secret");
        let secret = format!("registration = \"secret\"\nregistration-secrets = [\"{secret}\"]\n{PROXIES}");
        Self {
            open: public(&_house, &format!("{OPEN}\n{PROXIES}"), nobody()),
            secret: public(&_house, &secret, nobody()),
            operator: operator(&_house, None),
            username: account.username.to_string(),
            _house,
        }
    }

    fn router(&self, host: &str) -> &Router {
        match host {
            "secret" => &self.secret,
            "operator" => &self.operator,
            _ => &self.open,
        }
    }

    /// A request out of bytes, by hyper's own parser, and its Host. Credentials in it become those of the account.
    fn request(&self, bytes: &[u8]) -> Option<(String, Request<Body>)> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let Ok(httparse::Status::Complete(length)) = head.parse(bytes) else { return None };
        let mut request = Request::builder().method(head.method?).uri(head.path?).version(Version::HTTP_11);
        let mut host = String::new();
        for header in head.headers.iter() {
            let name = header.name.to_ascii_lowercase();
            if name == "host" {
                host = String::from_utf8_lossy(header.value).into_owned();
            }
            request = match &*name {
                "x-api-user" => request.header(name, &self.username),
                "x-api-key" => request.header(name, KEY.0.reveal()),
                _ => request.header(name, header.value),
            };
        }
        let mut request = request.body(Body::from(bytes[length..].to_vec())).ok()?;
        request.extensions_mut().insert(Peer::Tcp(SocketAddr::from(([127, 0, 0, 1], 5_380))));
        Some((host, request))
    }
}

async fn assert_answer(response: Response<Body>, may_be_empty: bool) -> StatusCode {
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, MAX_REPLY).await.expect("a body");
    let (status, text) = (head.status, String::from_utf8_lossy(&body));
    assert!(status.is_success() || status.is_client_error() || status == 503, "{status} {text}");
    if body.is_empty() {
        assert!(status.is_success() || may_be_empty, "{status} without a word");
        return status;
    }
    // Some of the operator's replies are a JSON object a line.
    for line in text.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{status} {text}");
    }
    if !status.is_success() {
        assert!(text.starts_with("{\"error\": \"") && !text.contains('\n'), "{status} {text}");
    }
    status
}
