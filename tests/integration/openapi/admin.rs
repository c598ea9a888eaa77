//! `docs/openapi-admin.json`, the description of the operator's API: the same paths and methods as its router, and the
//! scopes that it asks tokens for.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::http::send;
use crate::harness::{Process, Settings};

use super::description::Operation;
use super::routes;

fn document() -> Value {
    let document: Value = serde_json::from_str(include_str!("../../../docs/openapi-admin.json")).expect("JSON");
    assert_eq!(
        (&document["openapi"], &document["info"]["version"]),
        (&"3.1.0".into(), &env!("CARGO_PKG_VERSION").into())
    );
    document
}

/// Each operation with its scope.
fn operations(document: &Value) -> Vec<(Operation, String)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let scope = operation["x-scope"].as_str().unwrap_or_else(|| panic!("{method} {path} has no scope"));
            found.push((Operation::new(method, path), scope.to_owned()));
        }
    }
    found
}

#[test]
fn each_route_of_the_operators_api_is_described() {
    let described: BTreeSet<Operation> = operations(&document()).into_iter().map(|(operation, _)| operation).collect();
    assert_eq!(routes(include_str!("../../../src/api/admin.rs")), described);
    assert!(described.len() >= 40, "{described:?}");
}

#[test]
fn each_schema_that_is_referred_to_is_there() {
    let document = document();
    let text = document.to_string();
    let mut count = 0;
    for name in text.split("\"#/components/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(!document["components"].pointer(&format!("/{name}")).unwrap_or(&Value::Null).is_null(), "{name}");
        count += 1;
    }
    assert!(count > 40, "{count}");
}

#[test]
fn each_operation_asks_for_the_scope_that_is_described() {
    let daemon = Process::start(&Settings::default().more("[admin]\nlisten = [\"127.0.0.1:0\"]"));
    let token = |scope: &str| {
        let made = daemon.home().run_ok(&["admin", "token", "create", "--json", "--scope", scope]);
        serde_json::from_str::<Value>(&made).unwrap()["token"].as_str().unwrap().to_owned()
    };
    let tokens = ["read", "accounts", "all"].map(|scope| (scope, token(scope)));
    let rank = |scope: &str| ["read", "accounts", "all", "socket"].iter().position(|known| *known == scope).unwrap();
    for (Operation { path, method }, needed) in operations(&document()) {
        let concrete = path.replace("{who}", "nobody").replace("{name}", "nothing").replace("{id}", "999");
        for (scope, token) in &tokens {
            let is_enough = rank(scope) >= rank(&needed);
            // Streams of lines, and what would ask a CA; the tests of each topic ask for these.
            let is_elsewhere = ["/watch", "/bulk", "/transfer", "/acme"].iter().any(|start| path.starts_with(start));
            if is_enough && (is_elsewhere || *scope == "all") {
                continue;
            }
            let bearer = format!("Authorization: Bearer {token}");
            let reply = send(daemon.admin(), &method.to_uppercase(), &concrete, &[&bearer], "{}");
            let is_refused = reply.status == 403 && reply.body.contains("insufficient_scope");
            assert_eq!(is_refused, !is_enough, "{method} {path} with {scope}: {reply:?}");
        }
    }
}
