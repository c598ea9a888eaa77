//! Lego's HTTP storage: whose it is, what it tells lego, and what is left of it on disk.

use serde_json::json;

use super::enrolment::token;
use super::registration::{SECRET, basic, secret_site};
use super::*;
use crate::model::account::AllowFrom;
use crate::model::actor::Actor;
use crate::net::dns_client::tests::Resolver;

/// As goacmedns writes an account.
fn account_of(site: &Site, registered: &Registered) -> Value {
    let get = |key: &str| registered.text(key);
    json!({
        "fulldomain": get("fulldomain"), "subdomain": get("subdomain"), "username": get("username"),
        "password": get("password"), "server_url": format!("http://{}", site.address),
    })
}

async fn storage(site: &Site, token: &str, what: &str, body: &str) -> Reply {
    let (method, path) = what.split_once(' ').unwrap();
    let headers = format!("Accept: application/json\r\n{}", basic(&format!("lego:{token}")));
    site.ask(&format!("{method} /v1/storage{path}"), &headers, body).await
}

#[tokio::test]
async fn lego_finds_again_what_it_has_put() {
    let resolver = Resolver::start().await;
    let site = Site::with_lookup("", resolver.client()).await;
    let (token, _) = token(&site, |_| {}).await;
    let account = account_of(&site, &site.register("").await);
    storage(&site, &token, "GET /example.com", "").await.is_failure(404, "not_found");
    assert_eq!(storage(&site, &token, "GET ", "").await.body, "{}");
    let put = storage(&site, &token, "POST /example.com", &format!("{account}\n")).await;
    assert_eq!(put.status, 200, "{put:?}");
    let fulldomain = account["fulldomain"].as_str().unwrap();
    let record = format!("_acme-challenge.example.com. CNAME {fulldomain}.");
    assert!(put.json()["message"].as_str().unwrap().contains(&record), "{put:?}");
    for path in ["GET /example.com", "GET /EXAMPLE.com.", "GET /*.example.com"] {
        assert_eq!(storage(&site, &token, path, "").await.json(), account, "{path}");
    }
    assert_eq!(storage(&site, &token, "GET /", "").await.json(), json!({ "example.com": account }));
    for removed in [1, 0] {
        let reply = storage(&site, &token, "DELETE /example.com", "").await;
        assert_eq!(reply.json(), json!({ "removed": removed }));
    }
    storage(&site, &token, "GET /example.com", "").await.is_failure(404, "not_found");
}

#[tokio::test]
async fn created_means_that_the_cname_leads_to_the_account() {
    let resolver = Resolver::start().await;
    let site = Site::with_lookup("", resolver.client()).await;
    let (token, _) = token(&site, |_| {}).await;
    let (mine, other) = (site.register("").await, site.register("").await);
    let account = account_of(&site, &mine).to_string();
    let put = async || storage(&site, &token, "POST /example.com", &account).await;
    resolver.tell("_acme-challenge.example.com.", &[]);
    assert_eq!(put().await.status, 200, "a name without a CNAME");
    resolver.cname("_acme-challenge.example.com.", &format!("{}.", other.text("fulldomain")));
    let elsewhere = put().await;
    assert!(elsewhere.status == 200 && elsewhere.body.contains(other.text("fulldomain")), "{elsewhere:?}");
    resolver.cname("_acme-challenge.example.com.", "via.example.net.");
    resolver.cname("via.example.net.", &format!("{}.", mine.text("fulldomain").to_uppercase()));
    assert_eq!(put().await.status, 201, "over another name");
    resolver.cname("_acme-challenge.example.com.", &format!("{}.", mine.text("fulldomain")));
    assert_eq!(put().await.status, 201);
    assert_eq!(storage(&site, &token, "GET /example.com", "").await.status, 200);
}

#[tokio::test]
async fn a_resolver_that_does_not_answer_is_no_reason_to_go_on_nor_to_lose_the_account() {
    let site = Site::new("").await;
    let (token, _) = token(&site, |_| {}).await;
    let account = account_of(&site, &site.register("").await).to_string();
    let put = storage(&site, &token, "POST /example.com", &account).await;
    assert!(put.status == 200 && put.body.contains("no resolver answered"), "{put:?}");
    assert_eq!(storage(&site, &token, "GET /example.com", "").await.status, 200);
}

#[tokio::test]
async fn each_secret_has_a_storage_of_its_own() {
    let site = secret_site().await;
    let (one, id) = token(&site, |terms| terms.uses = 0).await;
    let (other, _) = token(&site, |_| {}).await;
    let registered = Registered(site.ask("POST /register", &basic(&format!("u:{SECRET}")), "").await.json());
    let account = account_of(&site, &registered).to_string();
    assert_eq!(storage(&site, &one, "POST /example.com", &account).await.status, 200);
    for stranger in [&other, SECRET] {
        storage(&site, stranger, "GET /example.com", "").await.is_failure(404, "not_found");
        assert_eq!(storage(&site, stranger, "GET ", "").await.body, "{}");
        assert_eq!(storage(&site, stranger, "DELETE /example.com", "").await.json(), json!({"removed": 0}));
    }
    assert_eq!(storage(&site, &one, "GET /example.com", "").await.status, 200);
    // The token of no use is none for registrations.
    site.ask("POST /register", &basic(&format!("u:{one}")), "").await.is_failure(401, "forbidden");
    let hash = crate::model::secret::SecretHash::of(&one).unwrap();
    assert_eq!(site.fixture.publisher.all_stored(&hash).unwrap().len(), 1);
    site.fixture.publisher.revoke(Actor::OPERATOR, id).await.unwrap();
    storage(&site, &one, "GET /example.com", "").await.is_failure(401, "forbidden");
    assert!(site.fixture.publisher.all_stored(&hash).unwrap().is_empty(), "nobody can open it any more");
}

#[tokio::test]
async fn storage_outlives_the_registrations_of_a_token_but_not_its_networks() {
    let site = Site::new("registration = \"closed\"").await;
    let (over, _) = token(&site, |terms| {
        (terms.uses, terms.expires) = (0, crate::model::time::RunningTime::START);
    })
    .await;
    assert_eq!(storage(&site, &over, "GET ", "").await.status, 200);
    let (elsewhere, _) = token(&site, |terms| terms.allow_from = AllowFrom::parse(&["192.0.2.0/24"]).unwrap()).await;
    storage(&site, &elsewhere, "GET ", "").await.is_failure(401, "forbidden");
    site.ask("GET /v1/storage", "", "").await.is_failure(401, "forbidden");
    for attempt in 0..10 {
        storage(&site, &format!("a-wrong-token-of-some-length-{attempt}"), "GET ", "")
            .await
            .is_failure(401, "forbidden");
    }
    storage(&site, &over, "GET ", "").await.is_failure(429, "too_many_requests");
}

#[tokio::test]
async fn what_is_no_account_of_this_server_is_refused() {
    let site = Site::new("").await;
    let (token, _) = token(&site, |_| {}).await;
    let account = account_of(&site, &site.register("").await);
    let with = |field: &str, value: Value| {
        let mut account = account.clone();
        account[field] = value;
        account.to_string()
    };
    for (body, field) in [
        (with("fulldomain", json!("x.example.com")), "fulldomain"),
        (with("fulldomain", json!("a..b")), "fulldomain"),
        (with("fulldomain", Value::Null), "fulldomain"),
        (with("username", json!("me")), "username"),
        (with("password", json!("short")), "password"),
        (with("password", json!(["x"])), "password"),
        (with("server_url", json!("u".repeat(1_025))), "server_url"),
        (with("subdomain", json!("a b")), "subdomain"),
        ("null".into(), "fulldomain"),
    ] {
        let reply = storage(&site, &token, "POST /example.com", &body).await;
        assert_eq!((reply.status, &reply.json()["field"]), (400, &json!(field)), "{body}: {reply:?}");
        assert!(!reply.body.contains(account["password"].as_str().unwrap()), "{reply:?}");
    }
    storage(&site, &token, "POST /example.com", "[").await.is_failure(400, "malformed_json_payload");
    let long = format!("{{\"x\":\"{}\"}}", "a".repeat(70_000));
    storage(&site, &token, "POST /example.com", &long).await.is_failure(413, "body_too_large");
    for domain in ["a..b", "a%20b", &"a".repeat(64), "%ff", &["a23456789"; 25].join(".")] {
        let reply = storage(&site, &token, &format!("POST /{domain}"), &account.to_string()).await;
        reply.is_failure(400, "bad_domain");
    }
    assert_eq!(storage(&site, &token, "GET ", "").await.body, "{}");
}

#[tokio::test]
async fn the_storage_of_one_secret_has_an_end() {
    use crate::publisher::{Abort, ClientStorageError, MAX_STORED};
    let site = Site::new("").await;
    let hash = crate::model::secret::SecretHash::of(SECRET).unwrap();
    let keep = |number: i64| {
        let domain = format!("d{number}.example.com").parse().unwrap();
        site.fixture.publisher.put_stored(Actor::OPERATOR, hash.clone(), domain, vec![1])
    };
    for number in 0..MAX_STORED {
        keep(number).await.unwrap();
    }
    assert!(matches!(keep(MAX_STORED).await, Err(Abort::Refused(ClientStorageError::TooMany))));
    keep(0).await.unwrap();
}
