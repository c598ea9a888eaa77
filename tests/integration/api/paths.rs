//! Paths and methods: what is there, what is not, and that nothing is redirected.

use crate::harness::http::{get, post, send};
use crate::harness::{Account, Process, Settings, value};

#[test]
fn health_is_200_and_empty() {
    let daemon = Process::start(&Settings::default());
    let reply = get(daemon.api(), "/health");
    assert_eq!((reply.status, reply.body.as_str(), reply.header("content-type")), (200, "", None));
    assert_eq!(send(daemon.api(), "HEAD", "/health", &[], "").status, 200);
}

#[test]
fn every_way_to_write_a_path_is_served_and_none_redirected() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    for prefix in ["", "/", "/some/prefix", "/some//prefix/", "http://auth.test", "http://auth.test/p"] {
        for end in ["", "/", "//"] {
            let reply = account.send(daemon.api(), "POST", &format!("{prefix}/update{end}"), &account.body(&value(1)));
            assert_eq!((reply.status, reply.header("location")), (200, None), "{prefix}/update{end}");
            assert_eq!(post(daemon.api(), &format!("{prefix}/register{end}"), &[], "").status, 201);
            assert_eq!(get(daemon.api(), &format!("{prefix}/health{end}?x=1")).status, 200);
        }
    }
}

#[test]
fn other_methods_are_405_with_allow() {
    let daemon = Process::start(&Settings::default());
    for (method, path, allow) in [
        ("GET", "/update", "POST"),
        ("PUT", "/update", "POST"),
        ("GET", "/register", "POST"),
        ("DELETE", "/register/", "POST"),
        ("POST", "/health", "GET,HEAD"),
        ("PUT", "/v1/txt", "GET,HEAD,POST,DELETE"),
        ("OPTIONS", "/update", "POST"),
    ] {
        let reply = send(daemon.api(), method, path, &[], "");
        reply.assert_error(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
    }
}

#[test]
fn other_paths_are_404() {
    let daemon = Process::start(&Settings::default());
    for path in ["/", "/updates", "/update/x", "/UPDATE", "/v1", "/metrics", "/ready", "/accounts", "/status", "/txt"] {
        get(daemon.api(), path).assert_error(404, "not_found");
        post(daemon.api(), path, &[], "").assert_error(404, "not_found");
    }
}

#[test]
fn metrics_and_readiness_stand_on_a_listener_of_their_own() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    let metrics = get(daemon.metrics(), "/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for line in [
        "txtgate_updates_total 1",
        "txtgate_update_seconds_count 1",
        "txtgate_registrations_total 1",
        "txtgate_accounts 1",
        "txtgate_values 1",
    ] {
        assert!(metrics.body.lines().any(|found| found == line), "{line}: {}", metrics.body);
    }
    let ready = get(daemon.metrics(), "/ready");
    assert_eq!((ready.status, ready.json()["ready"].as_bool()), (200, Some(true)));
    get(daemon.metrics(), "/register").assert_error(404, "not_found");
    post(daemon.metrics(), "/metrics", &[], "").assert_error(405, "method_not_allowed");
}
