//! What acme-dns promises its clients.

use super::*;

#[tokio::test]
async fn registration_replies_201_with_acme_dnss_members_in_their_order() {
    let site = Site::new("").await;
    let reply = site.ask("POST /register", "", r#"{"allowfrom":["192.168.100.1/24","[2001:db8::]/32"]}"#).await;
    assert!(reply.status == 201 && reply.has("content-type: application/json"), "{reply:?}");
    let made = Registered(reply.json());
    let [user, key, full, sub] = ["username", "password", "fulldomain", "subdomain"].map(|name| made.text(name));
    let exact = format!(
        "{{\"username\":\"{user}\",\"password\":\"{key}\",\"fulldomain\":\"{full}\",\"subdomain\":\"{sub}\",\
         \"allowfrom\":[\"192.168.100.1/24\",\"2001:db8::/32\"]}}"
    );
    assert_eq!(reply.body, exact);
    assert_eq!((key.len(), full), (40, format!("{sub}.auth.test").as_str()));
    assert!(reply.has("cache-control: no-store"), "a key must not be cached");
}

#[tokio::test]
async fn every_empty_body_registers() {
    let site = Site::new("").await;
    for (headers, body) in [
        ("", ""),
        ("Content-Length: 0\r\n", ""),
        ("Content-Type: application/json\r\n", "null\n"),
        ("Content-Type: text/plain; charset=utf-8\r\n", "{}"),
        ("Content-Type: application/x-www-form-urlencoded\r\n", "{\"allowfrom\":null,\"subdomain\":null,\"x\":1}"),
        ("Content-Type: text/plain\r\n", "{\"SubDomain\":\"\",\"AllowFrom\":[]}"),
    ] {
        let reply = site.ask("POST /register", headers, body).await;
        assert!(reply.status == 201 && reply.body.ends_with("\"allowfrom\":[]}"), "{body:?}: {reply:?}");
    }
}

#[tokio::test]
async fn an_update_replies_200_with_the_value_and_is_served() {
    let site = Site::new("").await;
    let account = site.register("").await;
    for letter in ["A", "b", "_"] {
        let reply = site.update(&account, &txt(letter)).await;
        assert_eq!((reply.status, reply.body), (200, format!("{{\"txt\": \"{}\"}}", txt(letter))));
    }
    assert_eq!(site.live(account.text("fulldomain")), [txt("_"), txt("b"), txt("A")]);
}

#[tokio::test]
async fn credentials_are_judged_before_the_body_and_then_the_body() {
    let site = Site::new("").await;
    let (account, other) = (site.register("").await, site.register("").await);
    let limited = site.register(r#"{"allowfrom":["192.0.2.0/24"]}"#).await;
    let good = account.headers();
    let body = |subdomain: &str, txt: &str| format!("{{\"subdomain\":\"{subdomain}\",\"txt\":\"{txt}\"}}");
    let own = account.text("subdomain");
    for (headers, body, status, code) in [
        (String::new(), "{".to_owned(), 401, "forbidden"),
        (good.replace("X-Api-Key: ", "X-Api-Key: x"), "{".to_owned(), 401, "forbidden"),
        (format!("X-Api-User: {own}\r\nX-Api-Key: {}\r\n", txt("a")), body(own, &txt("a")), 401, "forbidden"),
        (limited.headers(), body(limited.text("subdomain"), &txt("a")), 401, "forbidden"),
        (good.clone(), body(other.text("subdomain"), &txt("a")), 401, "forbidden"),
        (good.clone(), "{".to_owned(), 400, "malformed_json_payload"),
        (good.clone(), "subdomain=x&txt=y".to_owned(), 400, "malformed_json_payload"),
        (good.clone(), body("a b", &txt("a")), 400, "bad_subdomain"),
        (good.clone(), body("", &txt("a")), 400, "bad_subdomain"),
        (good.clone(), String::new(), 400, "bad_subdomain"),
        (good.clone(), body(own, ""), 400, "bad_txt"),
        (good.clone(), body(own, "short"), 400, "bad_txt"),
        (good.clone(), format!("{{\"subdomain\":\"{own}\",\"txt\":1234567890}}"), 400, "bad_txt"),
        (good.clone(), format!("{{\"subdomain\":\"{own}\",\"zone\":\"a..b\",\"txt\":1}}"), 400, "bad_zone"),
        (good.clone(), format!("{{\"subdomain\":\"{own}\",\"zone\":\"second.test\"}}"), 401, "forbidden"),
    ] {
        let reply = site.ask("POST /update", &headers, &body).await;
        eprintln!("{body}");
        reply.is_failure(status, code);
        assert_eq!(reply.json().get("field").is_some(), code.starts_with("bad_"), "{reply:?}");
    }
    assert!(site.live(account.text("fulldomain")).is_empty());
}

#[tokio::test]
async fn what_is_wrong_is_said_in_words() {
    let site = Site::new("").await;
    let account = site.register("").await;
    let reply = site.update(&account, "token.thumbprint").await;
    assert_eq!(reply.json()["message"], "this looks like a key authorization; send base64url(SHA-256(it))");
    assert_eq!(reply.json()["field"], "txt");
    let reply = site.ask("POST /register", "", r#"{"allowfrom":["192.0.2.1"]}"#).await;
    reply.is_failure(400, "invalid_allowfrom_cidr");
    assert!(reply.json()["message"].as_str().unwrap().contains("192.0.2.7/32"), "{reply:?}");
    site.ask("POST /register", "", "[]").await.is_failure(400, "malformed_json_payload");
    site.ask("POST /register", "", r#"{"note":"a\nb"}"#).await.is_failure(400, "bad_note");
}

#[tokio::test]
async fn paths_are_taken_as_clients_make_them_and_never_redirected() {
    let site = Site::new("").await;
    let account = site.register("").await;
    let body = format!("{{\"subdomain\":\"{}\",\"txt\":\"{}\"}}", account.text("subdomain"), txt("a"));
    for path in ["/update", "//update", "/update/", "/some/prefix/update", "/sub//update//", "/update?x=1"] {
        assert_eq!(site.ask(&format!("POST {path}"), &account.headers(), &body).await.status, 200, "{path}");
    }
    for path in ["/health", "//health/", "/prefix/health"] {
        let reply = site.ask(&format!("GET {path}"), "", "").await;
        assert!(reply.status == 200 && reply.body.is_empty() && !reply.head.contains("content-type"), "{reply:?}");
        assert_eq!(site.ask(&format!("HEAD {path}"), "", "").await.status, 200);
    }
    assert_eq!(site.ask("POST /prefix//register/", "", "").await.status, 201);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_json() {
    let site = Site::new("").await;
    for path in ["/", "/updat", "/update/x", "/v1", "/v2/account", "/UPDATE"] {
        site.ask(&format!("POST {path}"), "", "").await.is_failure(404, "not_found");
    }
    for (what, allow) in [("GET /update", "allow: post"), ("PUT /register", "allow: post")] {
        let reply = site.ask(what, "", "").await;
        reply.is_failure(405, "method_not_allowed");
        assert!(reply.has(allow), "{reply:?}");
    }
    let reply = site.ask("POST /health", "", "").await;
    assert!(reply.status == 405 && reply.has("allow: get,head"), "{reply:?}");
}

#[tokio::test]
async fn an_authorization_that_means_nothing_is_ignored() {
    let site = Site::new("").await;
    let account = site.register("").await;
    let body = format!("{{\"subdomain\":\"{}\",\"txt\":\"{}\"}}", account.text("subdomain"), txt("a"));
    for authorization in ["Basic ", "Basic !", "Basic dTpw", "Bearer x", "\u{e9}"] {
        let header = format!("Authorization: {authorization}\r\n");
        assert_eq!(site.ask("POST /register", &header, "").await.status, 201, "{authorization:?}");
        let reply = site.ask("POST /update", &format!("{header}{}", account.headers()), &body).await;
        assert_eq!(reply.status, 200, "{authorization:?}");
    }
}

#[tokio::test]
async fn a_body_has_a_limit_whatever_length_it_announces() {
    let site = Site::new("").await;
    let blank = |length: usize| format!("{{{}}}", " ".repeat(length - 2));
    assert_eq!(site.ask("POST /register", "", &blank(64 * 1_024)).await.status, 201);
    site.ask("POST /register", "", &blank(64 * 1_024 + 1)).await.is_failure(413, "body_too_large");
    let chunk = format!("10001\r\n{}\r\n0\r\n\r\n", blank(0x10001));
    let head = "POST /register HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    site.raw(&format!("{head}{chunk}")).await.is_failure(413, "body_too_large");
    site.ask("POST /update", "", &blank(3_000_000)).await.is_failure(413, "body_too_large");
}

#[tokio::test]
async fn behind_a_proxy_the_client_is_whom_the_proxy_saw() {
    let proxied = "registration = \"open-to-anyone\"\ntrusted-proxies = [\"127.0.0.0/8\"]\n\
                   client-ip-header = \"X-Forwarded-For\"";
    let site = Site::new(proxied).await;
    let account = site.register(r#"{"allowfrom":["198.51.100.0/24","127.0.0.0/8"]}"#).await;
    let body = format!("{{\"subdomain\":\"{}\",\"txt\":\"{}\"}}", account.text("subdomain"), txt("a"));
    for (header, status) in [
        ("X-Forwarded-For: 192.0.2.1, 198.51.100.7\r\n", 200),
        ("X-Forwarded-For: 198.51.100.7, 192.0.2.1\r\n", 401),
        ("X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-For: 192.0.2.1\r\n", 401),
        ("X-Real-IP: 198.51.100.7\r\n", 401),
        ("", 401),
    ] {
        let reply = site.ask("POST /update", &format!("{header}{}", account.headers()), &body).await;
        assert_eq!(reply.status, status, "{header}");
    }
    let direct = Site::new("").await;
    let account = direct.register(r#"{"allowfrom":["198.51.100.0/24"]}"#).await;
    let spoofed = format!("X-Forwarded-For: 198.51.100.7\r\n{}", account.headers());
    direct.ask("POST /update", &spoofed, "{}").await.is_failure(401, "forbidden");
}

#[tokio::test]
async fn web_pages_may_call_where_the_operator_says_so() {
    let preflight = "Origin: https://panel.test\r\nAccess-Control-Request-Method: POST\r\n\
                     Access-Control-Request-Headers: x-api-user,x-api-key\r\n";
    let site = Site::new("cors-origins = [\"https://panel.test\"]").await;
    let reply = site.ask("OPTIONS /update", preflight, "").await;
    assert_eq!(reply.status, 204, "{reply:?}");
    assert!(reply.has("access-control-allow-origin: https://panel.test") && reply.has("vary: origin"), "{reply:?}");
    let headers = reply.head.lines().find(|line| line.starts_with("access-control-allow-headers")).unwrap();
    assert!(headers.contains("x-api-user") && headers.contains("x-api-key"), "{headers}");
    let reply = site.ask("POST /register", "Origin: https://panel.test\r\n", "").await;
    assert!(reply.status == 201 && reply.has("access-control-allow-origin: https://panel.test"), "{reply:?}");
    let reply = site.ask("POST /update", "Origin: https://panel.test\r\n", "").await;
    assert!(reply.has("access-control-allow-origin: https://panel.test"), "failures too: {reply:?}");
    let reply = site.ask("POST /register", "Origin: https://other.test\r\n", "").await;
    assert!(!reply.head.contains("access-control") && reply.has("vary: origin"), "{reply:?}");
    let reply = Site::new("").await.ask("OPTIONS /update", preflight, "").await;
    assert!(reply.status == 405 && !reply.head.contains("access-control"), "{reply:?}");
}

#[tokio::test]
async fn a_lost_database_is_a_503_and_not_ready() {
    let site = Site::new("").await;
    let account = site.register("").await;
    std::fs::remove_file(site.fixture.publisher.store().path()).unwrap();
    let reply = site.update(&account, &txt("a")).await;
    reply.is_failure(503, "db_error");
    assert!(!reply.body.contains("t.db"), "{reply:?}");
    assert_eq!(site.fixture.metrics.faults.value(), 1);
}

#[tokio::test]
async fn readiness_tells_a_sound_database_from_a_lost_one() {
    let site =
        Site::of(|fixture| crate::api::metrics::router(fixture.metrics.clone(), fixture.publisher.clone())).await;
    let reply = site.ask("GET /ready", "", "").await;
    assert_eq!((reply.status, reply.json()["ready"].as_bool()), (200, Some(true)));
    let reply = site.ask("GET /metrics", "", "").await;
    assert!(reply.body.contains("\ntxtgate_accounts 0\n") && reply.body.contains("\ntxtgate_zones 2\n"), "{reply:?}");
    assert!(reply.has("content-type: text/plain; version=0.0.4; charset=utf-8"), "{reply:?}");
    std::fs::remove_file(site.fixture.publisher.store().path()).unwrap();
    let reply = site.ask("GET /ready", "", "").await;
    assert_eq!((reply.status, reply.json()["database"].as_bool()), (503, Some(false)));
    assert!(reply.json()["problem"].as_str().unwrap().contains("deleted"), "{reply:?}");
}
