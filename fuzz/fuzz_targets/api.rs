//! HTTP requests, head and body, to the routers behind the API's and the operator's listeners: each gets a status that
//! says what was wrong with it, in JSON, and none finds a fault of ours.

#![no_main]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, Version};
use libfuzzer_sys::{Corpus, fuzz_target};
use tokio::runtime::{self, Runtime};
use tower::ServiceExt;
use txtgate::account::{Account, AllowFrom, Note};
use txtgate::api::admin::{self, Facts};
use txtgate::api::http::Peer;
use txtgate::config::Config;
use txtgate::publisher::{Choice, Edit, Place, Registering};
use txtgate::secret::{ApiKey, ApiKeyHash, SecretHash};
use txtgate_fuzz::house::House;

const HEADERS: usize = 32;
/// Lets in whoever registers with `Host: secret`.
const SECRET: &str = "a-registration-secret";
const OPEN: &str = "registration = \"open-to-anyone\"\ncors-origins = [\"*\"]";
const MAX_REPLY: usize = 1 << 20;

/// What listens, by the request's Host, and an account that all requests with credentials come from.
struct Site {
    runtime: Runtime,
    house: House,
    open: Router,
    secret: Router,
    operator: Router,
    account: Account,
    key: ApiKey,
    hash: ApiKeyHash,
}

static SITE: LazyLock<Site> = LazyLock::new(Site::new);

fuzz_target!(|octets: &[u8]| -> Corpus {
    let Some((host, request)) = SITE.request(octets) else { return Corpus::Reject };
    let may_be_empty = matches!(request.method().as_str(), "HEAD" | "OPTIONS");
    let may_alter = request.method() != "GET" && request.uri().path().contains("/v1/account");
    SITE.runtime.block_on(async {
        let response = SITE.router(&host).clone().oneshot(request).await;
        let status = response.as_ref().map_or(StatusCode::OK, Response::status);
        assert_answer(response.unwrap_or_else(|never| match never {}), may_be_empty).await;
        if status.is_success() && (may_alter || host == "operator") {
            SITE.repair().await;
        }
    });
    Corpus::Keep
});

impl Site {
    fn new() -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let house = House::new();
        let key = ApiKey::random().expect("random numbers");
        let hash = ApiKeyHash::of(&key).expect("a hash");
        let place = Place::Subdomain(Choice { zone: None, subdomain: Some("shop".parse().expect("a label")) });
        let (allow_from, note) = (AllowFrom::default(), Note::default());
        let wanted = Registering { place, allow_from, note, key: hash.clone() };
        let account = runtime.block_on(house.publisher.register(wanted)).expect("an account");
        let secret = SecretHash::of(SECRET).expect("a secret");
        let secret = format!("registration = \"secret\"\nregistration-secrets = [\"{secret}\"]");
        let (open, secret) = (public(&house, OPEN), public(&house, &secret));
        let facts = Facts { started: None, listeners: Vec::new() };
        let (publisher, hasher, metrics) = (house.publisher.clone(), house.hasher.clone(), house.metrics.clone());
        let operator = admin::router(publisher, hasher, metrics, facts, None, None);
        Self { runtime, house, open, secret, operator, account, key, hash }
    }

    fn router(&self, host: &str) -> &Router {
        match host {
            "secret" => &self.secret,
            "operator" => &self.operator,
            _ => &self.open,
        }
    }

    /// A request out of octets, by hyper's own parser, and its Host. Credentials in it become those of the account.
    fn request(&self, octets: &[u8]) -> Option<(String, Request<Body>)> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let length = match head.parse(octets) {
            Ok(httparse::Status::Complete(length)) => length,
            _ => return None,
        };
        let mut request = Request::builder().method(head.method?).uri(head.path?).version(Version::HTTP_11);
        let mut host = String::new();
        for header in head.headers.iter() {
            let name = header.name.to_ascii_lowercase();
            request = match &*name {
                "x-api-user" => request.header(name, self.account.username.to_string()),
                "x-api-key" => request.header(name, self.key.reveal()),
                _ => {
                    if name == "host" {
                        host = String::from_utf8_lossy(header.value).into_owned();
                    }
                    request.header(name, header.value)
                }
            };
        }
        let mut request = request.body(Body::from(octets[length..].to_vec())).ok()?;
        request.extensions_mut().insert(Peer::Tcp(SocketAddr::from(([127, 0, 0, 1], 5_380))));
        Some((host, request))
    }

    /// Makes the account again what it was.
    async fn repair(&self) {
        let (publisher, who) = (&self.house.publisher, self.account.username);
        publisher.enable(who).await.expect("an account that works");
        let edit = Edit { allow_from: Some(AllowFrom::default()), note: Some(Note::default()) };
        publisher.edit(who, edit).await.expect("an account without limits");
        publisher.rotate(who, self.hash.clone(), Default::default()).await.expect("an account with the key");
    }
}

fn public(house: &House, settings: &str) -> Router {
    let zone = "name = \"auth.test\"\nns = [\"ns1.example\"]\ncontact = \"a@b.c\"";
    let proxies = "trusted-proxies = [\"127.0.0.0/8\"]\nclient-ip-header = \"X-Forwarded-For\"";
    let text = format!("[api]\n{proxies}\n{settings}\n[[zone]]\n{zone}\n");
    let config = Config::parse(Path::new("c.toml"), &text).expect("a configuration");
    let (publisher, credentials) = (house.publisher.clone(), house.credentials.clone());
    txtgate::api::router(&config.api, publisher, credentials, house.hasher.clone(), house.metrics.clone())
}

async fn assert_answer(response: Response<Body>, may_be_empty: bool) {
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, MAX_REPLY).await.expect("a body");
    let (status, text) = (head.status, String::from_utf8_lossy(&body));
    assert!(status.is_success() || status.is_client_error() || status == 503, "{status} {text}");
    if body.is_empty() {
        assert!(status.is_success() || may_be_empty, "{status} without a word");
        return;
    }
    assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok(), "{status} {text}");
    if !status.is_success() {
        assert!(text.starts_with("{\"error\": \"") && !text.contains('\n'), "{status} {text}");
    }
}
