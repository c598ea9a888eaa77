//! The OpenAPI description of the HTTP API says what the daemon does: the same paths and methods as its router, and
//! schemas that its replies match.

mod admin;
mod description;
mod replies;
mod schema;

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::http::{Reply, send};
use crate::harness::{Process, Settings};

use description::{Description, Operation};

/// The routes of the router's source: `.route("/path", get(..).post(..))`.
fn routes(source: &str) -> BTreeSet<Operation> {
    let mut found = BTreeSet::new();
    for line in source.split(".route(\"").skip(1) {
        let (path, rest) = line.split_once('"').expect("a path ends with a quote");
        let handlers = rest.split(".route(").next().unwrap_or_default();
        let handlers = handlers.split(".fallback(").next().unwrap_or_default();
        for method in ["get", "post", "put", "patch", "delete"] {
            let is_there = [format!(" {method}("), format!(".{method}(")].iter().any(|call| handlers.contains(call));
            if is_there {
                found.insert(Operation::new(method, path));
            }
        }
    }
    found
}

fn router() -> BTreeSet<Operation> {
    routes(include_str!("../../src/api.rs"))
}

/// The methods that a reply's `Allow` names. HEAD comes with each GET, and is not described.
fn allowed(reply: &Reply) -> BTreeSet<String> {
    let allow = reply.header("allow").unwrap_or_default();
    let methods = allow.split(',').map(|method| method.trim().to_lowercase());
    methods.filter(|method| !method.is_empty() && method != "head").collect()
}

#[test]
fn each_route_is_described_and_each_description_has_a_route() {
    let described = Description::read().operations();
    assert_eq!(router(), described);
    assert!(described.len() >= 20, "{described:?}");
}

#[test]
fn each_path_takes_the_methods_that_are_described_and_no_others() {
    let daemon = Process::start(&Settings::default());
    let operations = Description::read().operations();
    for path in operations.iter().map(|operation| &operation.path).collect::<BTreeSet<_>>() {
        let of_path = operations.iter().filter(|operation| operation.path == *path);
        let methods: BTreeSet<String> = of_path.map(|operation| operation.method.clone()).collect();
        let concrete = path.replace("{domain}", "example.com");
        for method in &methods {
            let reply = send(daemon.api(), &method.to_uppercase(), &concrete, &[], "");
            assert!(!matches!(reply.status, 404 | 405), "{method} {path}: {reply:?}");
        }
        let other = send(daemon.api(), "PUT", &concrete, &[], "");
        other.assert_error(405, "method_not_allowed");
        assert_eq!(allowed(&other), methods, "{path}");
    }
    send(daemon.api(), "GET", "/v2/account", &[], "").assert_error(404, "not_found");
}

/// Codes that only the operator's own requests can have.
const OPERATORS_CODES: [&str; 1] = ["bad_certificate"];

#[test]
fn each_code_of_an_error_is_described() {
    let description = Description::read();
    let described = description.error_codes();
    let sources = [
        include_str!("../../src/api/error.rs"),
        include_str!("../../src/api/error/causes.rs"),
        include_str!("../../src/api/fields.rs"),
        include_str!("../../src/api/storage.rs"),
        include_str!("../../src/api/rotate.rs"),
        include_str!("../../src/api/register.rs"),
        include_str!("../../src/api/wait.rs"),
    ];
    let mut looked_at = 0;
    for code in sources.iter().flat_map(|source| source.split('"').skip(1).step_by(2)) {
        if !code.starts_with("bad_") || OPERATORS_CODES.contains(&code) {
            continue;
        }
        assert!(described.contains(code), "{code} is in no description");
        looked_at += 1;
    }
    assert!(looked_at > 10, "{looked_at} codes");
}

/// The checks themselves can fail.
#[test]
fn a_route_without_a_description_is_seen() {
    let source =
        "Router::new()\n.route(\"/a\", get(a::show).delete(a::forget))\n.route(\"/b\", post(b))\n.fallback(get(x))";
    let found = routes(source);
    let expected = [("delete", "/a"), ("get", "/a"), ("post", "/b")].map(|(method, path)| Operation::new(method, path));
    assert_eq!(found, BTreeSet::from(expected));
    let mut description = Description::read();
    description.remove("/v1/txt");
    let missing: Vec<Operation> = router().difference(&description.operations()).cloned().collect();
    assert_eq!(missing, ["delete", "get", "post"].map(|method| Operation::new(method, "/v1/txt")));
}

#[test]
fn a_reply_that_is_not_as_described_is_seen() {
    let description = Description::read();
    let right = json!({"retired": 1});
    for (body, problem) in [
        (json!({}), "retired is missing"),
        (json!({"retired": "1"}), "expected integer"),
        (json!({"retired": -1}), "is below 0"),
        (json!({"retired": 1, "more": 2}), "more is not described"),
        (json!([]), "expected object"),
    ] {
        let found = description.problems("delete", "/v1/txt", 200, &body);
        assert!(found.len() == 1 && found[0].contains(problem), "{body}: {found:?}");
    }
    assert_eq!(description.problems("delete", "/v1/txt", 200, &right), [""; 0]);
    let unknown = description.problems("delete", "/v1/txt", 418, &right);
    assert!(unknown.len() == 1 && unknown[0].contains("418 is not described"), "{unknown:?}");
    let code = json!({"error": "bad_weather", "message": "rain"});
    let found = description.problems("delete", "/v1/txt", 400, &code);
    assert!(found.len() == 1 && found[0].contains("is none of"), "{found:?}");
}
