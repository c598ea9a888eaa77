//! Further names of an account: who may have them, and for what.

use serde_json::json;

use super::registration::{SECRET, basic, secret_site};
use super::*;

fn body(subdomain: &Value, more: &str) -> String {
    format!("{{\"subdomain\":{subdomain},{more}}}")
}

#[tokio::test]
async fn an_account_adds_a_subdomain_publishes_there_and_removes_it() {
    let site = Site::new("").await;
    let account = site.register("").await;
    let added = site.ask("POST /v1/subdomains", &account.headers(), "").await;
    let second = added.json()["fulldomain"].as_str().unwrap().to_owned();
    assert_eq!((added.status, &added.json()["zone"]), (201, &"auth.test".into()));
    let label = added.json()["subdomain"].clone();
    let update = body(&label, &format!("\"txt\":\"{}\"", txt("b")));
    assert_eq!(site.ask("POST /update", &account.headers(), &update).await.status, 200);
    assert_eq!(site.live(&second), [txt("b")]);
    assert_eq!(site.update(&account, &txt("a")).await.status, 200);
    let shown = site.ask("GET /v1/account", &account.headers(), "").await.json();
    assert_eq!(shown["fulldomains"], json!([account.text("fulldomain"), second]));
    let remove = async |subdomain: &Value| {
        site.ask("DELETE /v1/subdomains", &account.headers(), &format!("{{\"subdomain\":{subdomain}}}")).await
    };
    let left = remove(&label).await;
    assert_eq!((left.status, &left.json()["fulldomains"]), (200, &json!([account.text("fulldomain")])));
    assert!(site.live(&second).is_empty());
    site.ask("POST /update", &account.headers(), &update).await.is_failure(401, "forbidden");
    remove(&label).await.is_failure(401, "forbidden");
    remove(&account.0["subdomain"]).await.is_failure(409, "conflict");
    site.ask("DELETE /v1/subdomains", &account.headers(), "").await.is_failure(400, "bad_subdomain");
    site.ask("POST /v1/subdomains", "", "").await.is_failure(401, "forbidden");
    site.ask("POST /v1/subdomains", &account.headers(), r#"{"zone":"x.test"}"#).await.is_failure(400, "bad_zone");
}

#[tokio::test]
async fn a_further_subdomain_takes_what_a_registration_takes() {
    let site = secret_site().await;
    let secret = basic(&format!("u:{SECRET}"));
    let account = Registered(site.ask("POST /register", &secret, "").await.json());
    let add = async |more: &str, body: &str| {
        site.ask("POST /v1/subdomains", &format!("{}{more}", account.headers()), body).await
    };
    add("", "").await.is_failure(401, "forbidden");
    let chosen = add(&secret, r#"{"subdomain":"Shop","zone":"second.test"}"#).await;
    assert_eq!((chosen.status, &chosen.json()["fulldomain"]), (201, &"shop.second.test".into()));
    add(&secret, r#"{"subdomain":"shop","zone":"second.test"}"#).await.is_failure(409, "subdomain_taken");

    let open = Site::new("").await;
    let account = open.register("").await;
    let add = async |body: &str| open.ask("POST /v1/subdomains", &account.headers(), body).await;
    add(r#"{"subdomain":"shop"}"#).await.is_failure(400, "bad_subdomain");
    for _ in 1..50 {
        assert_eq!(add("").await.status, 201);
    }
    add("").await.is_failure(429, "too_many_requests");
}

#[tokio::test]
async fn a_closed_server_gives_no_further_subdomains() {
    let site = Site::new("registration = \"closed\"").await;
    let (account, key) = site.fixture.register(&[]).await;
    let headers = format!("X-Api-User: {}\r\nX-Api-Key: {}\r\n", account.username, key.reveal());
    site.ask("POST /v1/subdomains", &headers, "").await.is_failure(404, "not_found");
    // Aliases give nobody a name.
    let alias = r#"{"alias":"_acme-challenge.example.com"}"#;
    assert_eq!(site.ask("POST /v1/aliases", &headers, alias).await.status, 200);
}

#[tokio::test]
async fn aliases_come_and_go_each_accounts_own() {
    let site = Site::new("").await;
    let (account, other) = (site.register("").await, site.register("").await);
    let is_known = |name: &str| {
        let name: crate::model::name::Name = name.parse().unwrap();
        site.fixture.publisher.zones().aliases().contains(name.as_ref())
    };
    let ask = async |what: &str, body: &str| site.ask(&format!("{what} /v1/aliases"), &account.headers(), body).await;
    let added = ask("POST", r#"{"alias":"_ACME-challenge.Example.com."}"#).await;
    let fulldomain = account.text("fulldomain");
    assert_eq!(added.json(), json!({"alias": "_acme-challenge.example.com", "fulldomain": fulldomain}));
    assert!(is_known("_acme-challenge.example.com"));
    let show = async |who: &Registered| site.ask("GET /v1/account", &who.headers(), "").await.json()["aliases"].clone();
    assert_eq!(show(&account).await, json!([added.json()]));
    assert_eq!(show(&other).await, json!([]));
    for (wrong, code) in [
        (r#"{"alias":"example.com"}"#, "bad_alias"),
        (r#"{"alias":"_acme-challenge.a..b"}"#, "bad_alias"),
        (r#"{"alias":"_acme-challenge.x.auth.test"}"#, "bad_alias"),
        (r#"{"alias":7}"#, "bad_alias"),
        ("{}", "bad_alias"),
        ("[", "malformed_json_payload"),
    ] {
        ask("POST", wrong).await.is_failure(400, code);
    }
    let theirs = body(&other.0["subdomain"], r#""alias":"_acme-challenge.example.com""#);
    ask("POST", &theirs).await.is_failure(401, "forbidden");
    let second = site.ask("POST /v1/subdomains", &account.headers(), "").await.json();
    ask("POST", r#"{"alias":"_acme-challenge.example.org"}"#).await.is_failure(400, "bad_subdomain");
    let there = body(&second["subdomain"], r#""alias":"_acme-challenge.example.org""#);
    assert_eq!(ask("POST", &there).await.json()["fulldomain"], second["fulldomain"]);
    for removed in [1, 0] {
        let reply = ask("DELETE", r#"{"alias":"_acme-challenge.example.com"}"#).await;
        assert_eq!((reply.status, reply.json()), (200, json!({ "removed": removed })));
    }
    assert!(!is_known("_acme-challenge.example.com") && is_known("_acme-challenge.example.org"));
}
