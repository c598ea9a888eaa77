//! Who may register, and with which label.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::*;
use crate::model::secret::SecretHash;

/// Long enough, and different in each base64.
pub const SECRET: &str = "??>>~~sesame-open-1234567890/ok";

pub async fn secret_site() -> Site {
    let hash = SecretHash::of(SECRET).unwrap();
    let other = SecretHash::of("another-secret-of-some-length").unwrap();
    Site::new(&format!("registration = \"secret\"\nregistration-secrets = [\"{other}\", \"{hash}\"]")).await
}

pub fn basic(credentials: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(credentials))
}

#[tokio::test]
async fn a_secret_comes_as_password_token_or_path() {
    let site = secret_site().await;
    let pair = format!("anyone:{SECRET}");
    let encoded = [STANDARD.encode(&pair), STANDARD_NO_PAD.encode(&pair), URL_SAFE.encode(&pair)];
    for encoded in encoded.into_iter().chain([URL_SAFE_NO_PAD.encode(&pair)]) {
        let reply = site.ask("POST /register", &format!("authorization: basic {encoded}\r\n"), "").await;
        assert_eq!(reply.status, 201, "{encoded}: {reply:?}");
    }
    let reply = site.ask("POST /register", &format!("Authorization: Bearer {SECRET}\r\n"), "").await;
    assert_eq!(reply.status, 201);
    let escaped = SECRET.replace('?', "%3F").replace('/', "%2f").replace('>', "%3e");
    for path in [format!("/{escaped}/register"), format!("//base/{escaped}//more/register/")] {
        assert_eq!(site.ask(&format!("POST {path}"), "", "null\n").await.status, 201, "{path}");
    }
}

#[tokio::test]
async fn without_a_secret_nobody_registers_and_everybody_updates() {
    let site = secret_site().await;
    for headers in ["", "Authorization: Basic \r\n", &basic("u:short"), &basic(&format!("{SECRET}:"))] {
        site.ask("POST /base/register", headers, "{").await.is_failure(401, "forbidden");
    }
    assert_eq!(site.fixture.metrics.denials.value(), 4);
    let account = Registered(site.ask("POST /register", &basic(&format!("u:{SECRET}")), "").await.json());
    assert_eq!(site.update(&account, &txt("a")).await.status, 200);
}

#[tokio::test]
async fn guessing_secrets_slows_down() {
    let site = secret_site().await;
    for attempt in 0..10 {
        let wrong = basic(&format!("u:a-wrong-secret-of-length-{attempt}"));
        site.ask("POST /register", &wrong, "").await.is_failure(401, "forbidden");
    }
    let reply = site.ask("POST /register", &basic(&format!("u:{SECRET}")), "").await;
    reply.is_failure(429, "too_many_requests");
    assert!(reply.has("retry-after: 1"), "{reply:?}");
    assert_eq!(site.fixture.hashes(), 0, "no hash before the secret");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(site.ask("POST /register", &basic(&format!("u:{SECRET}")), "").await.status, 201);
}

#[tokio::test]
async fn closed_is_as_if_there_were_no_registration() {
    let site = Site::new("registration = \"closed\"").await;
    site.ask("POST /register", "", "").await.is_failure(404, "not_found");
    site.ask("POST /some-long-secret-or-other/register", "", "").await.is_failure(404, "not_found");
}

#[tokio::test]
async fn a_label_of_choice_needs_a_secret() {
    let open = Site::new("").await;
    open.ask("POST /register", "", r#"{"subdomain":"shop"}"#).await.is_failure(400, "bad_subdomain");
    let site = secret_site().await;
    let with_secret = basic(&format!("u:{SECRET}"));
    let register = async |body: &str| site.ask("POST /register", &with_secret, body).await;
    let made = register(r#"{"subdomain":"Shop","note":"the shop"}"#).await;
    assert_eq!((made.status, made.json()["fulldomain"].as_str()), (201, Some("shop.auth.test")));
    register(r#"{"subdomain":"shop"}"#).await.is_failure(409, "subdomain_taken");
    for label in ["0f8fad5b-d9cb-469f-a165-70867728950e", "ns1", "a.b", "_acme-challenge"] {
        let reply = register(&format!("{{\"subdomain\":\"{label}\"}}")).await;
        reply.is_failure(400, "bad_subdomain");
        assert_eq!(reply.json()["field"], "subdomain");
    }
    let second = register(r#"{"subdomain":"shop","zone":"Second.test."}"#).await;
    assert_eq!(second.json()["fulldomain"], "shop.second.test");
    register(r#"{"zone":"unknown.test"}"#).await.is_failure(400, "bad_zone");
    let account = Registered(second.json());
    assert_eq!(site.update(&account, &txt("a")).await.status, 200);
    assert_eq!(site.live("shop.second.test"), [txt("a")]);
    assert!(site.live("shop.auth.test").is_empty(), "the same label in another zone is another name");
}

#[tokio::test]
async fn open_registration_slows_down_after_fifty() {
    let site = Site::new("").await;
    let replies = (0..50).map(|_| site.ask("POST /register", "", ""));
    let mut statuses = Vec::new();
    for reply in replies {
        statuses.push(reply.await.status);
    }
    assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
    site.ask("POST /register", "", "").await.is_failure(429, "too_many_requests");
    assert_eq!((site.fixture.metrics.refusals.value(), site.fixture.metrics.registrations.value()), (1, 50));
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_logged_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    // With one dispatcher in the process, tracing lets whichever thread comes to a callsite first decide for all, and
    // the other tests' threads have none.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);
    let site = secret_site().await;
    let secret = "sesame-open-1234567890";
    site.ask(&format!("POST /%3F%3F%3e%3e~~{secret}%2fok/register"), "", "").await;
    site.ask(&format!("POST /{secret}/register"), &basic(&format!("u:{secret}")), "").await;
    let account = Registered(site.ask("POST /register", &basic(&format!("u:{SECRET}")), "").await.json());
    site.update(&account, &txt("a")).await;
    let wrong = account.headers().replace(account.text("password"), &"w".repeat(40));
    site.ask("POST /update", &wrong, &format!("{{\"txt\":\"{secret}\"}}")).await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("/register") && log.contains("wrong key"), "the log was heard: {log}");
    for secret in [secret, account.text("password"), &"w".repeat(40), "argon2id", &STANDARD.encode(SECRET)[..20]] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
