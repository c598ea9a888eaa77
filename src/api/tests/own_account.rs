//! What an account may do about itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::model::actor::Actor;

#[tokio::test]
async fn an_account_sees_its_own_values_and_no_secret() {
    let site = Site::new("").await;
    let account = site.register(r#"{"note":"shop"}"#).await;
    site.update(&account, &txt("a")).await;
    let pair = format!("{}:{}", account.text("username"), account.text("password"));
    let basic = format!("Authorization: Basic {}\r\n", STANDARD.encode(pair));
    for headers in [account.headers(), basic] {
        let reply = site.ask("GET /v1/account", &headers, "").await;
        let shown = reply.json();
        assert_eq!((reply.status, &shown["note"], &shown["state"]), (200, &"shop".into(), &"active".into()));
        let value = &shown["owners"][0]["values"][0];
        assert_eq!((&value["txt"], &shown["owners"][0]["zone"]), (&txt("a").into(), &"auth.test".into()));
        assert!(value["expires"].as_str().unwrap().ends_with('Z') && shown["last_update"].is_string(), "{shown}");
        assert!((604_700..=604_800).contains(&value["seconds_left"].as_u64().unwrap()), "{shown}");
        assert!(!reply.body.contains("argon2") && !reply.body.contains(account.text("password")));
    }
    site.ask("GET /v1/account", "", "").await.is_failure(401, "forbidden");
}

#[tokio::test]
async fn its_networks_only_get_narrower() {
    let site = Site::new("").await;
    let account = site.register(r#"{"allowfrom":["127.0.0.0/8"]}"#).await;
    let patch = async |body: &str| site.ask("PATCH /v1/account", &account.headers(), body).await;
    for wider in [r#"{"allowfrom":[]}"#, r#"{"allowfrom":["127.0.0.0/7"]}"#, r#"{"allowfrom":["10.0.0.0/8"]}"#] {
        patch(wider).await.is_failure(403, "allowfrom_can_only_narrow");
    }
    assert_eq!(patch(r#"{"note":"moved"}"#).await.json()["allowfrom"][0], "127.0.0.0/8");
    assert_eq!(patch(r#"{"allowfrom":["127.0.0.1/32"]}"#).await.json()["note"], "moved");
    patch(r#"{"allowfrom":["127.0.0.0/8"]}"#).await.is_failure(403, "allowfrom_can_only_narrow");
    assert_eq!(patch(r#"{"allowfrom":["127.9.9.9/32"]}"#).await.status, 403);
}

#[tokio::test]
async fn a_rotated_key_is_shown_once_and_the_former_works_for_its_grace() {
    let site = Site::new("").await;
    let account = site.register("").await;
    site.ask("POST /v1/account/rotate", &account.headers(), r#"{"grace":"8d"}"#).await.is_failure(400, "bad_grace");
    site.ask("POST /v1/account/rotate", &account.headers(), r#"{"grace":"soon"}"#).await.is_failure(400, "bad_grace");
    let reply = site.ask("POST /v1/account/rotate", &account.headers(), "").await;
    let rotated = Registered(reply.json());
    assert_eq!(rotated.text("username"), account.text("username"));
    assert_ne!(rotated.text("password"), account.text("password"));
    // A stolen key that was replaced must not be able to replace its successor.
    for route in ["POST /v1/account/rotate", "GET /v1/account", "DELETE /v1/account"] {
        site.ask(route, &account.headers(), "").await.is_failure(401, "forbidden");
    }
    for works in [&rotated, &account] {
        assert_eq!(site.update(works, &txt("a")).await.status, 200);
    }
    let last = site.ask("POST /v1/account/rotate", &rotated.headers(), r#"{"grace":"0s"}"#).await;
    for gone in [&rotated, &account] {
        site.update(gone, &txt("b")).await.is_failure(401, "forbidden");
    }
    assert_eq!(site.update(&Registered(last.json()), &txt("b")).await.status, 200);
}

#[tokio::test]
async fn values_are_retired_one_by_one_or_all_together() {
    let site = Site::new("").await;
    let (account, other) = (site.register("").await, site.register("").await);
    for letter in ["a", "b", "c"] {
        site.update(&account, &txt(letter)).await;
    }
    let one = format!("{{\"subdomain\":\"{}\",\"txt\":\"{}\"}}", account.text("subdomain"), txt("b"));
    let all = format!("{{\"subdomain\":\"{}\"}}", account.text("subdomain"));
    site.ask("DELETE /v1/txt", &other.headers(), &all).await.is_failure(401, "forbidden");
    let retire = async |body: &str| site.ask("DELETE /v1/txt", &account.headers(), body).await.body;
    assert_eq!(retire(&one).await, "{\"retired\":1}");
    assert_eq!(site.live(account.text("fulldomain")), [txt("c"), txt("a")]);
    assert_eq!(retire(&one).await, "{\"retired\":0}");
    assert_eq!(retire(&all).await, "{\"retired\":2}");
}

#[tokio::test]
async fn a_deleted_account_is_refused_and_can_be_restored() {
    let site = Site::new("").await;
    let account = site.register("").await;
    site.update(&account, &txt("a")).await;
    let reply = site.ask("DELETE /v1/account", &account.headers(), "").await;
    assert_eq!((reply.status, &reply.json()["state"]), (200, &"deleted".into()));
    assert!(reply.json()["removed_at"].is_string());
    site.update(&account, &txt("b")).await.is_failure(401, "forbidden");
    assert!(site.live(account.text("fulldomain")).is_empty());
    site.fixture.publisher.enable(Actor::OPERATOR, account.text("username").parse().unwrap()).await.unwrap();
    assert_eq!(site.live(account.text("fulldomain")), [txt("a")]);
    assert_eq!(site.update(&account, &txt("b")).await.status, 200);
}
