//! What the operator may do.

use super::*;
use crate::api::admin::QueryStreams;
use crate::dns::watch::Watchers;
use crate::querylog::QueryLog;

async fn site() -> Site {
    site_watched_by(&Watchers::default()).await
}

/// A daemon that is about to stop: a stream of queries ends as soon as it is open.
async fn site_watched_by(watchers: &Watchers) -> Site {
    let (_, stopping) = tokio::sync::watch::channel(true);
    let streams = QueryStreams::new(watchers.clone(), QueryLog::off(), routers::unknowing(), stopping);
    Site::of(|fixture| routers::operator(fixture, Some(streams))).await
}

impl Site {
    async fn create(&self, body: &str) -> Registered {
        let reply = self.ask("POST /accounts", "", body).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        Registered(reply.json())
    }
}

#[tokio::test]
async fn accounts_are_made_and_found_by_each_of_their_names() {
    let site = site().await;
    let shop = site.create(r#"{"subdomain":"shop","note":"the shop","allowfrom":["10.0.0.0/8"]}"#).await;
    let random = site.create("").await;
    for (account, names) in [
        (&shop, ["shop", "SHOP.auth.test.", shop.text("username")]),
        (&random, [random.text("subdomain"), random.text("fulldomain"), random.text("username")]),
    ] {
        for name in names {
            let reply = site.ask(&format!("GET /accounts/{name}"), "", "").await;
            assert_eq!(reply.json()["username"], account.text("username"), "{name}: {reply:?}");
        }
    }
    site.ask("GET /accounts/nobody", "", "").await.is_failure(404, "not_found");
    site.create(r#"{"subdomain":"shop","zone":"second.test"}"#).await;
    let reply = site.ask("GET /accounts/shop", "", "").await;
    reply.is_failure(400, "bad_subdomain");
    assert!(reply.body.contains("shop.auth.test or shop.second.test"), "{reply:?}");
    assert_eq!(site.ask("GET /accounts/shop.second.test", "", "").await.status, 200);
}

#[tokio::test]
async fn accounts_are_listed_in_pages_and_searched() {
    let site = site().await;
    for index in 0..5 {
        site.create(&format!("{{\"subdomain\":\"shop-{index}\",\"note\":\"Ring {}\"}}", index % 2)).await;
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = site.ask(&format!("GET /accounts?limit=2&after={after}"), "", "").await.json();
        let accounts = page["items"].as_array().unwrap();
        assert!(accounts.len() <= 2);
        seen.extend(accounts.iter().map(|account| account["username"].to_string()));
        if page["truncated"] == false {
            break;
        }
        after = accounts[accounts.len() - 1]["username"].as_str().unwrap().to_owned();
    }
    seen.dedup();
    assert_eq!(seen.len(), 5);
    let found = site.ask("GET /accounts?search=ring%201", "", "").await.json();
    assert_eq!(found["items"].as_array().unwrap().len(), 2, "{found}");
    site.ask("GET /accounts?limit=x", "", "").await.is_failure(400, "bad_parameter");
}

#[tokio::test]
async fn networks_widen_and_keys_rotate() {
    let site = site().await;
    let account = site.create(r#"{"subdomain":"shop","allowfrom":["10.0.0.0/8"]}"#).await;
    let reply = site.ask("PATCH /accounts/shop", "", r#"{"allowfrom":[],"note":"n"}"#).await;
    assert_eq!((&reply.json()["allowfrom"], &reply.json()["note"]), (&Value::Array(vec![]), &"n".into()));
    let rotated = Registered(site.ask("POST /accounts/shop/rotate", "", r#"{"grace":"0s"}"#).await.json());
    let home = crate::api::credentials::tests::HOME;
    let verify = async |who: &Registered| {
        site.fixture.credentials.verify(who.text("username"), who.text("password"), home).await.is_ok()
    };
    assert!(verify(&rotated).await && !verify(&account).await);
}

#[tokio::test]
async fn accounts_are_stopped_restored_and_removed() {
    let site = site().await;
    site.create(r#"{"subdomain":"shop"}"#).await;
    let body = format!("{{\"name\":\"shop\",\"txt\":\"{}\"}}", txt("a"));
    let state = async |what: &str| site.ask(what, "", "").await.json()["state"].as_str().unwrap().to_owned();
    assert_eq!(state("POST /accounts/shop/disable").await, "disabled");
    site.ask("POST /txt", "", &body).await.is_failure(409, "conflict");
    assert_eq!(state("POST /accounts/shop/enable").await, "active");
    assert_eq!(site.ask("POST /txt", "", &body).await.status, 200);
    assert_eq!(state("DELETE /accounts/shop").await, "deleted");
    assert_eq!(state("POST /accounts/shop/enable").await, "active");
    assert_eq!(state("DELETE /accounts/shop?now=true").await, "removed");
    site.ask("GET /accounts/shop", "", "").await.is_failure(404, "not_found");
    site.ask("POST /accounts", "", r#"{"subdomain":"shop"}"#).await.is_failure(409, "subdomain_taken");
}

#[tokio::test]
async fn values_are_published_listed_and_retired_at_any_name() {
    let site = site().await;
    site.create(r#"{"subdomain":"shop"}"#).await;
    let names = ["shop", "shop.auth.test", "_acme-challenge", "_acme-challenge.second.test"];
    for (name, letter) in names.iter().zip(["a", "b", "c", "d"]) {
        let reply = site.ask("POST /txt", "", &format!("{{\"name\":\"{name}\",\"txt\":\"{}\"}}", txt(letter))).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    assert_eq!(site.live("shop.auth.test"), [txt("b"), txt("a")]);
    assert_eq!(site.live("_acme-challenge.auth.test"), [txt("c")]);
    assert_eq!(site.live("_acme-challenge.second.test"), [txt("d")]);
    let all = site.ask("GET /txt", "", "").await;
    for letter in ["a", "b", "c", "d"] {
        assert!(all.body.contains(&txt(letter)), "{all:?}");
    }
    let one = site.ask("GET /txt?name=shop", "", "").await;
    assert!(one.body.contains(&txt("a")) && !one.body.contains(&txt("c")), "{one:?}");
    let gone = site.ask("DELETE /txt", "", r#"{"name":"shop"}"#).await;
    assert_eq!(gone.body, "{\"retired\":2}");
    site.ask("POST /txt", "", &format!("{{\"name\":\"nobody\",\"txt\":\"{}\"}}", txt("a")))
        .await
        .is_failure(404, "not_found");
    site.ask("POST /txt", "", &format!("{{\"txt\":\"{}\"}}", txt("a"))).await.is_failure(400, "bad_name");
}

#[tokio::test]
async fn status_and_the_stream_of_queries() {
    let site = site().await;
    site.create(r#"{"subdomain":"shop"}"#).await;
    let status = site.ask("GET /status", "", "").await.json();
    assert_eq!((&status["accounts"], &status["zones"][1]["name"]), (&1.into(), &"second.test".into()));
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    for name in ["shop", "www.example.com", ""] {
        let reply = site.ask(&format!("GET /watch?name={name}"), "", "").await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "0\r\n\r\n"), "{name}: no line, and the end");
    }
    site.ask("GET /watch?name=nobody", "", "").await.is_failure(404, "not_found");
    site.ask("GET /watch?name=a..b", "", "").await.is_failure(400, "bad_name");
}

#[tokio::test]
async fn a_watch_past_the_last_is_refused() {
    let watchers = Watchers::default();
    let site = site_watched_by(&watchers).await;
    let mut open = Vec::new();
    while let Ok(watch) = watchers.watch("a.auth.test".parse().unwrap()) {
        open.push(watch);
    }
    site.ask("GET /watch?name=www.example.com", "", "").await.is_failure(409, "conflict");
    open.pop();
    assert_eq!(site.ask("GET /watch?name=www.example.com", "", "").await.status, 200);
}

#[tokio::test]
async fn an_account_is_found_by_the_domain_that_it_is_for() {
    let site = site().await;
    let shop = site.create(r#"{"subdomain":"shop","note":"example.com"}"#).await;
    let remark = site.create(r#"{"note":"blog.example.net (Ann's blog)"}"#).await;
    let idn = site.create(r#"{"note":"xn--bcher-kva.example"}"#).await;
    let aliased = site.create(r#"{"note":"old router","alias":"_acme-challenge.router.example"}"#).await;
    site.create(r#"{"note":"not example.com.evil.example"}"#).await;
    for (account, names) in [
        (&shop, &["example.com", "EXAMPLE.com.", "*.example.com", "_acme-challenge.example.com"][..]),
        (&remark, &["blog.example.net", "*.blog.example.net"]),
        (
            &idn,
            &[
                "b%C3%BCcher.example",
                "B%C3%9CCHER.example",
                "xn--bcher-kva.example",
                "_acme-challenge.b%C3%BCcher.example",
            ],
        ),
        (&aliased, &["router.example", "_acme-challenge.router.example", "old%20router", "OLD%20router"]),
    ] {
        for name in names {
            let reply = site.ask(&format!("GET /accounts/{name}"), "", "").await;
            assert_eq!(reply.json()["username"], account.text("username"), "{name}: {reply:?}");
        }
    }
    for nobody in ["xample.com", "le.com", "www.example.com", "router", "Ann", "com"] {
        site.ask(&format!("GET /accounts/{nobody}"), "", "").await.is_failure(404, "not_found");
    }
    let value = format!(r#"{{"name":"example.com","txt":"{}"}}"#, txt("a"));
    assert_eq!(site.ask("POST /txt", "", &value).await.json()["name"], "shop.auth.test");
    assert_eq!(site.ask("GET /txt?name=*.example.com", "", "").await.json()["items"][0]["name"], "shop.auth.test");
}

#[tokio::test]
async fn a_domain_of_several_accounts_lists_them() {
    let site = site().await;
    let two = [site.create(r#"{"note":"example.com"}"#).await, site.create(r#"{"note":"EXAMPLE.COM"}"#).await];
    site.create(r#"{"note":"formerly example.com"}"#).await;
    let reply = site.ask("GET /accounts/example.com", "", "").await;
    reply.is_failure(400, "bad_name");
    let message = reply.json()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("2 accounts are for \"example.com\""), "{message}");
    assert!(two.iter().all(|account| message.contains(account.text("fulldomain"))), "{message}");
    for _ in 0..12 {
        site.create(r#"{"note":"example.com"}"#).await;
    }
    let reply = site.ask("POST /accounts/example.com/disable", "", "").await;
    let message = reply.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("and 4 more; `txtgate account list`") && message.lines().count() == 12, "{message}");
}

#[tokio::test]
async fn a_tsig_key_is_shown_once_and_taken_away() {
    let site = site().await;
    let account = site.create("").await;
    let path = format!("/accounts/{}/tsig", account.text("username"));
    let what = format!("POST {path}");
    let create = |body| site.ask(&what, "", body);
    let first = create("").await;
    assert_eq!(first.status, 201, "{first:?}");
    let key = first.json();
    assert_eq!(key["name"], format!("{}.", account.text("username")));
    assert_eq!((&key["algorithm"], key["secret"].as_str().unwrap().len()), (&"hmac-sha256".into(), 44));
    let second = create(r#"{"algorithm":"HMAC-SHA512"}"#).await.json();
    assert_eq!((&second["algorithm"], second["secret"].as_str().unwrap().len()), (&"hmac-sha512".into(), 88));
    let shown = site.ask(&format!("GET /accounts/{}", account.text("username")), "", "").await;
    assert_eq!(shown.json()["tsig"], "hmac-sha512");
    assert!(!shown.body.contains(&second["secret"].as_str().unwrap()[..20]));
    create(r#"{"algorithm":"hmac-md5"}"#).await.is_failure(400, "bad_algorithm");
    create(r#"{"algorithm":"hmac-sha3"}"#).await.is_failure(400, "bad_algorithm");
    for _ in 0..2 {
        let gone = site.ask(&format!("DELETE {path}"), "", "").await;
        assert_eq!((gone.status, &gone.json()["tsig"]), (200, &serde_json::Value::Null));
    }
    site.ask("POST /accounts/nobody/tsig", "", "").await.is_failure(404, "not_found");
}

#[tokio::test]
async fn an_account_with_a_tsig_key_is_made_whole_or_not_at_all() {
    let site = site().await;
    let accounts = async || site.ask("GET /accounts", "", "").await.json()["items"].as_array().unwrap().len();
    let refused = site.ask("POST /accounts", "", r#"{"subdomain":"shop","tsig":"hmac-md5"}"#).await;
    refused.is_failure(400, "bad_algorithm");
    assert_eq!(refused.json()["field"], "tsig");
    let ours = r#"{"subdomain":"shop","tsig":"hmac-sha256","alias":"_acme-challenge.auth.test"}"#;
    site.ask("POST /accounts", "", ours).await.is_failure(400, "bad_alias");
    assert_eq!(accounts().await, 0, "a refused key or alias leaves no account");
    let body = r#"{"subdomain":"shop","tsig":"hmac-sha512","alias":"_acme-challenge.example.com"}"#;
    let reply = site.ask("POST /accounts", "", body).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let made = reply.json();
    assert_eq!(made["tsig"]["name"], format!("{}.", made["username"].as_str().unwrap()));
    assert_eq!(
        (&made["tsig"]["algorithm"], made["tsig"]["secret"].as_str().unwrap().len()),
        (&"hmac-sha512".into(), 88)
    );
    let shown = site.ask("GET /accounts/shop", "", "").await.json();
    assert_eq!((&shown["tsig"], &shown["aliases"][0]["fulldomain"]), (&"hmac-sha512".into(), &"shop.auth.test".into()));
    assert_eq!(accounts().await, 1);
}
